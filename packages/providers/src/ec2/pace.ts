import { setTimeout as sleep } from "node:timers/promises";
import {
  type Admission,
  type BucketLimit,
  type Budget,
  type Catalog,
  type Charge,
  type Leave,
  RateLimitedError,
  type Turn,
  UNLIMITED,
} from "@grp/core";
import { endCodes } from "./error-codes.ts";
import { codeOf, sortError, THROTTLED_RETRY_AFTER_MS } from "./errors.ts";

/** A call is held back for so long at most; whoever must wait longer gives its work back meanwhile. */
const HOLD_MS = 5_000;

/** The code of an error that says that we held the call back, and AWS heard nothing of it. */
export const OUR_BUDGET = "budget";

/** Longer than the calls' bucket takes to fill from nothing, also at half its rate. */
const SOON_MS = 15_000;

export type Ec2Limits = Catalog["limits"]["ec2"];

/** Calls that share a bucket with nobody; `Describe…` are asked for with filters or pages, so theirs is the larger one. */
export type Api = "RunInstances" | "TerminateInstances" | "DescribeInstances" | "DescribeImages";

/** As AWS publishes them, for a process without a catalog. */
export const AWS_LIMITS: Ec2Limits = {
  launchSize: 100,
  runInstances: { burst: 5, perSecond: 2 },
  instances: { burst: 1_000, perSecond: 2 },
  terminateInstances: { burst: 100, perSecond: 5 },
  endedInstances: { burst: 1_000, perSecond: 20 },
  describe: { burst: 100, perSecond: 20 },
};

export interface PacedCall {
  readonly region: string;
  readonly api: Api;
  /** How many it may start, or end. */
  readonly machines?: number;
  /** They were counted before: for a call that we held back, or whose answer nobody knows. */
  readonly isCounted?: boolean;
  /** What `admit` gave, which an earlier call may have used. */
  readonly leave?: Leave | undefined;
  /** Told before the call is made that its machines are counted; with it, that may be long before. */
  onCounted?(): Promise<void>;
  readonly signal: AbortSignal;
}

/** Leave to make a call. */
interface Entry {
  readonly afterMs: number;
  readonly grantedAt: number;
}

export interface Pace {
  /** Leave for one RunInstances, of as many machines as the region's bucket has, if not of all. */
  admit(region: string, wanted: number, turn?: Turn): Promise<Admission>;
  /** Makes the call when AWS allows it; `RateLimitedError` when that is not soon, or when AWS says so all the same. */
  call<T>(call: PacedCall, send: () => Promise<T>): Promise<T>;
}

/** A call takes one of the first of its two buckets, and of the second, if it has one, as many as it is for. */
function createBuckets(limits: Ec2Limits) {
  const bucket = (region: string, what: string, size: Ec2Limits["describe"]): BucketLimit => ({
    kind: "bucket",
    name: `ec2:${region}:${what}`,
    capacity: size.burst,
    perSecond: size.perSecond,
  });
  const callSizes: Readonly<Record<Api, Ec2Limits["describe"]>> = {
    RunInstances: limits.runInstances,
    TerminateInstances: limits.terminateInstances,
    DescribeInstances: limits.describe,
    DescribeImages: limits.describe,
  };
  /** One call less at once than AWS takes: calls that were granted one after the other may arrive together. */
  const callLimit = ({ region, api }: Pick<PacedCall, "region" | "api">) => {
    const { burst, perSecond } = callSizes[api];
    return bucket(region, api, { burst: Math.max(1, burst - 1), perSecond });
  };
  const machineLimit = ({ region, api }: Pick<PacedCall, "region" | "api">) => {
    if (api === "RunInstances") return bucket(region, "instances", limits.instances);
    return bucket(region, "endedInstances", limits.endedInstances);
  };
  return { callLimit, machineLimit };
}

/**
 * EC2's own limits, per account and region, shared by all processes by way of the budget.
 * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
 */
export function createPace(limits: Ec2Limits, budget: Budget = UNLIMITED): Pace {
  const { callLimit, machineLimit } = createBuckets(limits);

  /**
   * AWS does not say which of a call's two buckets is empty. The calls' is taken for it, for it fills in seconds; refused
   * again soon after, although we ask half as often, it is the machines'.
   */
  async function slowDown(call: PacedCall): Promise<void> {
    const { sinceMs } = await budget.slowDown([callLimit(call)], THROTTLED_RETRY_AFTER_MS);
    if (isDescribe(call) || sinceMs === undefined || sinceMs >= SOON_MS) return;
    // Calls that were under way together are refused together: nothing is learned from the second.
    if (sinceMs >= THROTTLED_RETRY_AFTER_MS)
      await budget.slowDown([machineLimit(call)], THROTTLED_RETRY_AFTER_MS);
  }

  /** By the leave that it has, or by one of its own. */
  async function enter(call: PacedCall): Promise<Entry> {
    const machines = call.isCounted ? 0 : (call.machines ?? 0);
    const leave = call.leave?.use(machines);
    return leave ? { ...leave, afterMs: 0 } : ask(call, machines);
  }

  async function ask(call: PacedCall, cost: number): Promise<Entry> {
    const charges: Charge[] = [{ limit: callLimit(call), cost: 1 }];
    if (cost > 0) charges.push({ limit: machineLimit(call), cost });
    const verdict = await budget.spend({ ways: [charges], holdMs: HOLD_MS });
    if (verdict.granted) return { afterMs: verdict.afterMs, grantedAt: verdict.at };
    const machines = charges[verdict.lacks ?? 0];
    if (call.onCounted && verdict.lacks === 1 && machines) await reserve(call, machines);
    throw tooSoon(call, verdict.waitMs + HOLD_MS);
  }

  /** Launches that begin take what there is, from one machine up: one that goes on is counted ahead, and then waits. */
  async function reserve(call: PacedCall, machines: Charge): Promise<void> {
    const verdict = await budget.spend({ ways: [[{ ...machines, borrow: true }]] });
    if (!verdict.granted) throw tooSoon(call, verdict.waitMs);
    await call.onCounted?.();
    throw tooSoon(call, verdict.afterMs);
  }

  /** EC2 counts the machines of no call that it throttles. The call itself it may have counted. */
  async function refundMachines(call: PacedCall, { grantedAt }: Entry): Promise<void> {
    const { machines: cost, isCounted } = call;
    if (cost) await budget.refund([{ limit: machineLimit(call), cost }], isCounted ? undefined : grantedAt);
  }

  async function holdBack(call: PacedCall, forMs: number): Promise<void> {
    if (forMs === 0) return;
    await sleep(forMs, undefined, { signal: call.signal }).catch((error: unknown) => {
      throw sortError(error, `EC2 ${call.api} in ${call.region}`, call.signal);
    });
  }

  /** Until it is used or given back. */
  function createLeave(call: Charge, machines: Charge, grantedAt: number): Leave {
    let isOver = false;
    const end = (...left: Charge[]) => {
      if (isOver) return undefined;
      isOver = true;
      const charges = left.filter(({ cost }) => cost > 0);
      // What Redis does not hear of comes back by the clock.
      if (charges.length > 0) budget.refund(charges, grantedAt).catch(() => undefined);
      return { grantedAt };
    };
    return {
      use: (count) => end({ limit: machines.limit, cost: machines.cost - count }),
      giveBack: () => void end(call, machines),
    };
  }

  return {
    async admit(region, wanted, turn) {
      const launching = { region, api: "RunInstances" } as const;
      const call: Charge = { limit: callLimit(launching), cost: 1 };
      const machines: Charge = { limit: machineLimit(launching), cost: wanted, least: 1 };
      const verdict = await budget.spend({ ways: [[call, machines]], ...(turn && { turn }) });
      if (verdict.granted) {
        const { amount: cost, at } = verdict;
        return { granted: cost, leave: createLeave(call, { limit: machines.limit, cost }, at) };
      }
      const { waitMs, lacks } = verdict;
      const lacking = [call, machines][lacks ?? -1]?.limit;
      if (lacking?.kind !== "bucket") return { waitMs };
      const { name, perSecond } = lacking;
      const each = lacks === 0 ? limits.launchSize : 1;
      return { waitMs, shortage: { name, everyMs: 1_000 / perSecond, machines: each } };
    },
    async call(call, send) {
      const entry = await enter(call);
      await call.onCounted?.();
      await holdBack(call, entry.afterMs);
      try {
        return await send();
      } catch (error) {
        if (endCodes.get(codeOf(error) ?? "") !== "rate-limited") throw error;
        // Before a bucket is taken for empty: then these are no part of what it owes.
        await refundMachines(call, entry);
        await slowDown(call);
        throw error;
      }
    },
  };
}

function isDescribe({ api }: PacedCall): boolean {
  return api.startsWith("Describe");
}

function tooSoon({ api, region }: PacedCall, retryAfterMs: number): RateLimitedError {
  const text = `EC2 ${api} in ${region}: all that AWS allows is spent`;
  return new RateLimitedError(text, { code: OUR_BUDGET, retryAfterMs, isShared: true });
}
