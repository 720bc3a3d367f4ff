import type { Ec2Offering, NoCapacityError } from "@grp/core";
import { refusalReach } from "./errors.ts";
import { type Placement, placementsFrom } from "./placement.ts";

/** Shorter than the pause after a walk that found no room anywhere, so that each further try really asks. */
const FRESH_MS = 20_000;

/** What EC2 had no room for a moment ago. */
export interface Refusals {
  find(offering: Ec2Offering, placement: Placement): NoCapacityError | undefined;
  /** No placement of the offering is left to ask for: a launch there makes no call. */
  areAll(offering: Ec2Offering): boolean;
  remember(offering: Ec2Offering, placement: Placement, error: NoCapacityError): void;
}

/**
 * Every RunInstances that is refused costs one of the two calls a second: while spot is out, each launch would spend most
 * of them on asking for it again. Kept by each process for itself; not for quotas, which have room as soon as a machine
 * ends.
 */
export function createRefusals(now: () => number): Refusals {
  const known = new Map<string, { readonly error: NoCapacityError; readonly until: number }>();
  const keyOf = ({ region, market, host }: Ec2Offering, { instanceType, subnet }: Placement) =>
    JSON.stringify([region, market, host, instanceType, subnet]);
  const find = (offering: Ec2Offering, placement: Placement) => {
    const found = known.get(keyOf(offering, placement));
    return found && found.until > now() ? found.error : undefined;
  };
  return {
    find,
    areAll: (offering) => placementsFrom(offering, "").every((placement) => find(offering, placement)),
    remember(offering, placement, error) {
      if (refusalReach(error.code) !== "pair") return;
      for (const [key, { until }] of known) if (until <= now()) known.delete(key);
      known.set(keyOf(offering, placement), { error, until: now() + FRESH_MS });
    },
  };
}
