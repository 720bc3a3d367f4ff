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
  /** How many it may start, or end. Absent: they were counted before. */
  readonly machines?: number;
  /** What `admit` gave, which an earlier call may have used. */
  readonly leave?: Leave | undefined;
  /** Told before the call is made that its machines are counted; with it, that may be long before. */
  onCounted?(): Promise<void>;
  readonly signal: AbortSignal;
}

export interface Pace {
  /** Leave for one RunInstances, of as many machines as the region's bucket has, if not of all. */
  admit(region: string, wanted: number, turn?: Turn): Promise<Admission>;
  /** Makes the call when AWS allows it; `RateLimitedError` when that is not soon, or when AWS says so all the same. */
  call<T>(call: PacedCall, send: () => Promise<T>): Promise<T>;
}

/**
 * EC2's own limits, per account and region, shared by all processes by way of the budget.
 * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
 */
export function createPace(limits: Ec2Limits, budget: Budget = UNLIMITED): Pace {
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

  /** How long until the call may be made. */
  async function enter(call: PacedCall): Promise<number> {
    const charges: Charge[] = [{ limit: callLimit(call), cost: 1 }];
    if (call.machines) charges.push({ limit: machineLimit(call), cost: call.machines });
    const verdict = await budget.spend({ ways: [charges], holdMs: HOLD_MS });
    if (verdict.granted) return verdict.afterMs;
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
      if (isOver) return false;
      isOver = true;
      const charges = left.filter(({ cost }) => cost > 0);
      // What Redis does not hear of comes back by the clock.
      if (charges.length > 0) budget.refund(charges, grantedAt).catch(() => undefined);
      return true;
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
      const afterMs = call.leave?.use(call.machines ?? 0) ? 0 : await enter(call);
      await call.onCounted?.();
      await holdBack(call, afterMs);
      try {
        return await send();
      } catch (error) {
        if (endCodes.get(codeOf(error) ?? "") === "rate-limited") await slowDown(call);
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
