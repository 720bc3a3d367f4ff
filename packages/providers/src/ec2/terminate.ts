import { TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import { gather, type Settled } from "@grp/core";
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

/** EC2 takes at most 200 values in a filter. */
const MAX_LOOKED_UP = 200;

/** Said of one id of several, for which EC2 refuses them all. Its other refusals are of whoever asks, whatever for. */
const BLAME_ONE = [
  "InvalidInstanceID.NotFound",
  "InvalidInstanceID.Malformed",
  // What a policy allows depends on the instance's tags.
  "UnauthorizedOperation",
  "OperationNotPermitted",
];

/** Ids that are asked for once and never again must not pile up. */
const MAX_REMEMBERED = 10_000;

export interface Terminator {
  terminate(instanceId: string, signal: AbortSignal, region?: string): Promise<"terminating" | "gone">;
  /** Instance ids don't tell their region: what we have seen, we needn't search. */
  remember(instanceId: string, region: string): void;
}

export interface TerminatorOptions {
  readonly clients: Clients;
  /** Searched, in this order, for an instance whose region is not known. */
  readonly regions: readonly string[];
  /** In one call. */
  readonly mostEnded: number;
  readonly now: () => number;
}

export function createTerminator({ clients, regions, mostEnded, now }: TerminatorOptions): Terminator {
  const regionOf = new Map<string, string>();
  const missingSince = new Map<string, number>();
  const look = perRegion((region) =>
    gather((ids: readonly string[]) => lookUp(clients, region, ids), { most: MAX_LOOKED_UP }),
  );
  const end = perRegion((region) =>
    gather((ids: readonly string[]) => endAll(clients, region, ids), { most: mostEnded }),
  );

  const find = async (instanceId: string, region?: string): Promise<Described | undefined> => {
    const known = regionOf.get(instanceId) ?? region;
    const where = known === undefined ? regions : [known];
    const found = await Promise.all(where.map((region) => look(region)(instanceId)));
    return found.find((described) => described !== undefined);
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
    async terminate(instanceId, signal, region) {
      const found = await untilAborted(find(instanceId, region), signal);
      if (!found) return judgeMissing(instanceId);
      missingSince.delete(instanceId);
      keep(regionOf, instanceId, found.region);
      const seen = found.instance.State?.Name;
      const isSettled = seen !== undefined && SETTLED.includes(seen);
      const state = isSettled ? seen : await untilAborted(end(found.region)(instanceId), signal);
      return state === "terminated" ? settle(instanceId) : "terminating";
    },
  };
}

/** A call for many ends for none of them when one caller gives up; that one only stops waiting for it. */
const NEVER = new AbortController().signal;

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = () => sortError(signal.reason, "EC2 terminate", signal);
  if (signal.aborted) throw aborted();
  let stop = () => {};
  const given = new Promise<never>((_resolve, reject) => {
    stop = () => reject(aborted());
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, given]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Those of the ids that this part of EC2 knows. */
async function lookUp(
  clients: Clients,
  region: string,
  ids: readonly string[],
): Promise<readonly Settled<Described | undefined>[]> {
  const byId = { Name: "instance-id", Values: [...ids] };
  const found = await describeInstances(clients, region, [byId], NEVER);
  const known = new Map(found.map((described) => [described.instance.InstanceId, described]));
  return ids.map((id) => ({ ok: true, value: known.get(id) }));
}

type State = string | undefined;

/**
 * The states EC2 says they are in now; undefined for one that this part of EC2 doesn't know yet. One that may not be ended
 * fails the call for all: they are asked for by halves, until it is alone.
 */
async function endAll(
  clients: Clients,
  region: string,
  ids: readonly string[],
): Promise<readonly Settled<State>[]> {
  try {
    const command = new TerminateInstancesCommand({ InstanceIds: [...ids] });
    const call = { region, api: "TerminateInstances", machines: ids.length, signal: NEVER } as const;
    const answer = await clients.pace.call(call, () => clients.ec2(region).send(command));
    const changes = answer.TerminatingInstances ?? [];
    const states = new Map(changes.map((one) => [one.InstanceId, one.CurrentState?.Name]));
    return ids.map((id) => ({ ok: true, value: states.get(id) }));
  } catch (error) {
    const code = codeOf(error) ?? "";
    if (ids.length > 1 && BLAME_ONE.includes(code)) {
      const half = Math.ceil(ids.length / 2);
      const halves = [ids.slice(0, half), ids.slice(half)];
      return (await Promise.all(halves.map((some) => endAll(clients, region, some)))).flat();
    }
    const isUnknown = code === "InvalidInstanceID.NotFound";
    const sorted = sortError(error, `EC2 TerminateInstances in ${region}`);
    return ids.map(() => (isUnknown ? { ok: true, value: undefined } : { ok: false, error: sorted }));
  }
}

function perRegion<T>(make: (region: string) => T): (region: string) => T {
  const made = new Map<string, T>();
  return (region) => {
    const known = made.get(region) ?? make(region);
    made.set(region, known);
    return known;
  };
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.set(key, value);
  const oldest = map.size > MAX_REMEMBERED ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
}
