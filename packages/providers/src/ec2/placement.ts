import type { Ec2Offering } from "@grp/core";

/** One RunInstances call's where and what: its string form is also what its ClientToken is made of. */
export interface Placement {
  readonly subnet: string;
  readonly instanceType: string;
  /** An AMI id, never a name or parameter: those may mean another image by the time of a retry. */
  readonly imageId: string;
}

/** Where a launch stands; `isOwed`: its machines were not counted yet in EC2's bucket, or EC2 said that it did not. */
export type Standing = Placement & { readonly isOwed?: boolean };

const OWED = "owed";

/** `subnet-a|t4g.large|ami-123`, and `|owed` */
export function formatStanding({ isOwed, ...placement }: Standing): string {
  return [formatPlacement(placement), ...(isOwed ? [OWED] : [])].join("|");
}

/** `subnet-a|t4g.large|ami-123` */
export function formatPlacement(placement: Placement): string {
  return [placement.subnet, placement.instanceType, placement.imageId].join("|");
}

/** Undefined for anything but what `formatStanding` gives. */
export function parseStanding(text: string | undefined): Standing | undefined {
  const [subnet, instanceType, imageId, owed, ...rest] = text?.split("|") ?? [];
  if (!subnet || !instanceType || !imageId || rest.length > 0) return undefined;
  if (owed !== undefined && owed !== OWED) return undefined;
  return { subnet, instanceType, imageId, ...(owed === OWED && { isOwed: true }) };
}

/**
 * Every type in every subnet, types first in order of liking, as a ring that begins at `start`. All that came before
 * `start` in the earlier walk was refused for certain, and `start` itself is settled by the first call of this one; so
 * the walk may come round to the earlier ones again (they may have room by now) without ever running two machines.
 */
export function placementsFrom(
  offering: Ec2Offering,
  imageId: string,
  start?: Placement,
): readonly [Placement, ...Placement[]] {
  const all = offering.instanceTypes.flatMap((instanceType) =>
    offering.subnets.map((subnet): Placement => ({ subnet, instanceType, imageId })),
  );
  const first = start ?? (all[0] as Placement);
  const at = all.findIndex((one) => formatPlacement(one) === formatPlacement(first));
  // The catalog may have lost the placement since: it is still where a machine may be running.
  return [first, ...all.slice(at + 1), ...all.slice(0, Math.max(at, 0))];
}
