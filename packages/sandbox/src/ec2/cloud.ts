import { createHash, randomBytes } from "node:crypto";
import type { FormNode } from "./form.ts";
import type { CapacityPool, Ec2Image, Ec2Machine, Ec2State } from "./types.ts";

export type EndCause = "api" | "spot" | "shutdown";

const STATE_REASONS: Readonly<Record<EndCause, string>> = {
  api: "Client.UserInitiatedShutdown",
  spot: "Server.SpotInstanceTermination",
  shutdown: "Client.InstanceInitiatedShutdown",
};

export interface CloudOptions {
  readonly accountId: string;
  readonly images: readonly Ec2Image[];
  readonly parameters: Readonly<Record<string, string>>;
  /** Subnet id to availability zone; any subnet is taken when absent. */
  readonly subnets?: Readonly<Record<string, string>>;
  readonly pendingMs: number;
  readonly shuttingDownMs: number;
  /** How long a new machine stays unseen by Describe and Terminate. */
  readonly consistencyDelayMs: number;
  /** How long Describe still shows a terminated machine; about an hour at AWS. */
  readonly forgetTerminatedAfterMs: number;
  /** Pages are never longer than this, whatever was asked for (EC2 promises no full pages). */
  readonly maxPageSize: number;
  readonly now: () => number;
  readonly onLaunch?: (machine: Ec2Machine) => void;
  readonly onTerminate?: (machine: Ec2Machine, cause: EndCause) => void;
}

interface Held {
  readonly facts: Omit<Ec2Machine, "state" | "stateReason">;
  end?: { readonly at: number; readonly cause: EndCause; readonly into: "terminated" | "stopped" };
}

export interface Cloud {
  readonly options: CloudOptions;
  machines(region?: string): readonly Ec2Machine[];
  /** What Describe and Terminate see: not the newest, not the long gone. */
  visible(region: string): readonly Ec2Machine[];
  getVisible(region: string, instanceId: string): Ec2Machine | undefined;
  get(instanceId: string): Ec2Machine | undefined;
  byToken(region: string, zone: string, token: string): readonly Ec2Machine[];
  add(machines: readonly Omit<Ec2Machine, "state" | "stateReason">[]): readonly Ec2Machine[];
  end(instanceId: string, cause: EndCause, into?: "terminated" | "stopped"): void;
  /** From ends by the API. */
  protect(instanceId: string): void;
  isProtected(instanceId: string): boolean;
  limitCapacity(pool: CapacityPool, limit: number): void;
  freeCapacity(pool: Required<CapacityPool>): number;
  zoneOf(region: string, subnetId: string): string | undefined;
}

/** The state behind the wire: machines and the room for them. States follow from the clock; nothing is timed. */
export function createCloud(options: CloudOptions): Cloud {
  const held = new Map<string, Held>();
  const byToken = new Map<string, readonly Held[]>();
  const protectedIds = new Set<string>();
  const limits: { readonly pool: CapacityPool; readonly limit: number }[] = [];
  const { now } = options;
  const view = (item: Held): Ec2Machine => ({
    ...item.facts,
    state: stateOf(item, options),
    ...(item.end ? { stateReason: STATE_REASONS[item.end.cause] } : {}),
  });
  const all = (region?: string) =>
    [...held.values()].filter(({ facts }) => !region || facts.region === region).map(view);
  const isVisible = (machine: Ec2Machine) => {
    if (now() - machine.launchedAt < options.consistencyDelayMs) return false;
    const end = held.get(machine.instanceId)?.end;
    return machine.state !== "terminated" || now() - (end?.at ?? 0) < options.forgetTerminatedAfterMs;
  };
  return {
    options,
    machines: all,
    visible: (region) => all(region).filter(isVisible),
    getVisible(region, instanceId) {
      const item = held.get(instanceId);
      const machine = item?.facts.region === region ? view(item) : undefined;
      return machine && isVisible(machine) ? machine : undefined;
    },
    get(instanceId) {
      const item = held.get(instanceId);
      return item && view(item);
    },
    byToken: (region, zone, token) => (byToken.get(tokenKey(region, zone, token)) ?? []).map(view),
    add(machines) {
      const added = machines.map((facts) => {
        const item: Held = { facts };
        held.set(facts.instanceId, item);
        const key = tokenKey(facts.region, facts.availabilityZone, facts.clientToken);
        if (facts.clientToken) byToken.set(key, [...(byToken.get(key) ?? []), item]);
        return view(item);
      });
      for (const machine of added) options.onLaunch?.(machine);
      return added.map((machine) => ({ ...machine, state: "pending" }));
    },
    end(instanceId, cause, into = "terminated") {
      const item = held.get(instanceId);
      if (!item || item.end?.into === "terminated") return;
      item.end = { at: now(), cause, into };
      options.onTerminate?.(view(item), cause);
    },
    protect: (instanceId) => void protectedIds.add(instanceId),
    isProtected: (instanceId) => protectedIds.has(instanceId),
    limitCapacity(pool, limit) {
      limits.unshift({ pool, limit });
    },
    freeCapacity(pool) {
      const free = limits
        .filter((rule, at) => fits(pool, rule.pool) && at === limits.findIndex((r) => samePool(r, rule)))
        .map(
          (rule) => rule.limit - all().filter((one) => isRunning(one) && fits(poolOf(one), rule.pool)).length,
        );
      return Math.max(0, Math.min(Number.POSITIVE_INFINITY, ...free));
    },
    zoneOf(region, subnetId) {
      if (options.subnets) return options.subnets[subnetId];
      const byte = createHash("sha256").update(subnetId).digest()[0] ?? 0;
      return `${region}${"abc"[byte % 3]}`;
    },
  };
}

const tokenKey = (region: string, zone: string, token: string) => `${region} ${zone} ${token}`;

function stateOf(item: Held, options: CloudOptions): Ec2State {
  if (item.end) {
    const isOver = options.now() - item.end.at >= options.shuttingDownMs;
    if (item.end.into === "stopped") return isOver ? "stopped" : "stopping";
    return isOver ? "terminated" : "shutting-down";
  }
  return options.now() - item.facts.launchedAt >= options.pendingMs ? "running" : "pending";
}

const isRunning = (machine: Ec2Machine) => machine.state === "pending" || machine.state === "running";

function poolOf(machine: Ec2Machine): Required<CapacityPool> {
  const { region, subnetId, instanceType, isSpot } = machine;
  return { region, subnetId, instanceType, market: isSpot ? "spot" : "on-demand" };
}

/** A later limit for the same pool replaces the earlier one. */
function samePool(a: { readonly pool: CapacityPool }, b: { readonly pool: CapacityPool }): boolean {
  return fits({ ...a.pool }, b.pool) && fits({ ...b.pool }, a.pool);
}

function fits(asked: CapacityPool, rule: CapacityPool): boolean {
  return (Object.keys(rule) as (keyof CapacityPool)[]).every((key) => rule[key] === asked[key]);
}

export const newId = (prefix: string) => `${prefix}-${randomBytes(9).toString("hex").slice(0, 17)}`;

/** Requests compare equal when the same parameters were sent, whatever their order. */
export function sameRequest(a: FormNode, b: FormNode): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "";
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${key}:${canonical(item)}`).join(",")}}`;
}
