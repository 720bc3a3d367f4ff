import { TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import type { Clients } from "./clients.ts";
import { codeOf, sortError } from "./errors.ts";
import { type Described, describeInstances } from "./instances.ts";

/**
 * "Not found" right after a launch means nothing: a new instance may stay unseen "up to a few minutes"
 * (https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html), so the answer is `terminating`, and the
 * caller asks again. Gone it is when EC2 has shown nothing for this long; a terminated one is forgotten in about an hour.
 */
const BELIEVE_NOT_FOUND_AFTER_MS = 300_000;

const SETTLED = ["shutting-down", "terminated"];

/** Ids that are asked for once and never again must not pile up. */
const MAX_REMEMBERED = 10_000;

export interface Terminator {
  terminate(instanceId: string, signal: AbortSignal): Promise<"terminating" | "gone">;
  /** Instance ids don't tell their region: what we have seen, we needn't search. */
  remember(instanceId: string, region: string): void;
}

export interface TerminatorOptions {
  readonly clients: Clients;
  /** Searched, in this order, for an instance whose region is not known. */
  readonly regions: readonly string[];
  readonly now: () => number;
}

export function createTerminator({ clients, regions, now }: TerminatorOptions): Terminator {
  const regionOf = new Map<string, string>();
  const missingSince = new Map<string, number>();

  const find = async (instanceId: string, signal: AbortSignal): Promise<Described | undefined> => {
    const known = regionOf.get(instanceId);
    const where = known === undefined ? regions : [known];
    const byId = { Name: "instance-id", Values: [instanceId] };
    const found = await Promise.all(
      where.map((region) => describeInstances(clients, region, [byId], signal)),
    );
    return found.flat()[0];
  };
  const settle = (instanceId: string) => {
    regionOf.delete(instanceId);
    missingSince.delete(instanceId);
    return "gone" as const;
  };
  const judgeMissing = (instanceId: string) => {
    const since = missingSince.get(instanceId) ?? now();
    if (now() - since >= BELIEVE_NOT_FOUND_AFTER_MS) return settle(instanceId);
    keep(missingSince, instanceId, since);
    return "terminating" as const;
  };

  return {
    remember: (instanceId, region) => keep(regionOf, instanceId, region),
    /**
     * Looks, then acts: looking again and again while it ends costs no mutating call (those are few), and a policy that
     * allows only what bears our tag may answer UnauthorizedOperation for an instance that is long gone.
     */
    async terminate(instanceId, signal) {
      const found = await find(instanceId, signal);
      if (!found) return judgeMissing(instanceId);
      missingSince.delete(instanceId);
      keep(regionOf, instanceId, found.region);
      const seen = found.instance.State?.Name;
      const state =
        seen && SETTLED.includes(seen) ? seen : await end(clients, found.region, instanceId, signal);
      return state === "terminated" ? settle(instanceId) : "terminating";
    },
  };
}

/** The state EC2 says it is in now; undefined if this part of EC2 doesn't know it yet. */
async function end(
  clients: Clients,
  region: string,
  instanceId: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const command = new TerminateInstancesCommand({ InstanceIds: [instanceId] });
    const answer = await clients.ec2(region).send(command, { abortSignal: signal });
    const change = answer.TerminatingInstances?.find((one) => one.InstanceId === instanceId);
    return change?.CurrentState?.Name;
  } catch (error) {
    if (codeOf(error) === "InvalidInstanceID.NotFound") return undefined;
    throw sortError(error, `EC2 TerminateInstances ${instanceId} in ${region}`, signal);
  }
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.set(key, value);
  const oldest = map.size > MAX_REMEMBERED ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
}
