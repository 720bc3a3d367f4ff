import { setTimeout as sleep } from "node:timers/promises";
import {
  type Admission,
  type BucketLimit,
  type Budget,
  type Catalog,
  type Charge,
  RateLimitedError,
  UNLIMITED,
} from "@grp/core";
import { endCodes } from "./error-codes.ts";
import { codeOf, sortError, THROTTLED_RETRY_AFTER_MS } from "./errors.ts";

/** A call is held back for so long at most; whoever must wait longer gives its work back meanwhile. */
const HOLD_MS = 5_000;

/** Longer than the calls' bucket takes to fill, at half its rate, from nothing. */
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
  describe: { burst: 100, perSecond: 20 },
};

export interface PacedCall {
  readonly region: string;
  readonly api: Api;
  /** RunInstances: how many it may start. Absent: they were counted before. */
  readonly machines?: number;
  /** Its leave was given by `admit`. */
  readonly isAdmitted?: boolean;
  readonly signal: AbortSignal;
}

export interface Pace {
  /** Leave for one RunInstances, of as many machines as the region's bucket has, if not of all. */
  admit(region: string, wanted: number): Promise<Admission>;
  /** Makes the call when AWS allows it; `RateLimitedError` when that is not soon, or when AWS says so all the same. */
  call<T>(call: PacedCall, send: () => Promise<T>): Promise<T>;
}

/**
 * EC2's own limits, per account and region, shared by all processes by way of the budget.
 * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
 */
export function createPace(
  limits: Ec2Limits,
  budget: Budget = UNLIMITED,
  now: () => number = Date.now,
): Pace {
  const refusedAt = new Map<string, number>();
  const bucket = (region: string, what: string, size: Ec2Limits["describe"]): BucketLimit => ({
    kind: "bucket",
    name: `ec2:${region}:${what}`,
    capacity: size.burst,
    perSecond: size.perSecond,
  });
  const callLimit = ({ region, api }: Pick<PacedCall, "region" | "api">) => {
    if (api === "RunInstances") return bucket(region, api, limits.runInstances);
    return bucket(region, api, api === "TerminateInstances" ? limits.terminateInstances : limits.describe);
  };
  const machineLimit = (region: string) => bucket(region, "instances", limits.instances);

  /**
   * AWS does not say which of RunInstances' two buckets is empty. The calls' is taken for it, for it fills in seconds;
   * refused again soon after, although we ask half as often, it is the machines'.
   */
  async function slowDown({ region, api }: PacedCall): Promise<void> {
    const sinceMs = now() - (refusedAt.get(region) ?? Number.NEGATIVE_INFINITY);
    // Calls that were under way together are refused together: nothing is learned from the second.
    const isNew = api === "RunInstances" && sinceMs > THROTTLED_RETRY_AFTER_MS;
    if (isNew) refusedAt.set(region, now());
    const limits = [callLimit({ region, api })];
    if (isNew && sinceMs < SOON_MS) limits.push(machineLimit(region));
    await budget.slowDown(limits, THROTTLED_RETRY_AFTER_MS);
  }

  async function enter(call: PacedCall): Promise<void> {
    const charges: Charge[] = [{ limit: callLimit(call), cost: 1 }];
    if (call.machines) charges.push({ limit: machineLimit(call.region), cost: call.machines });
    const verdict = await budget.spend({ ways: [charges], holdMs: HOLD_MS });
    if (!verdict.granted) throw tooSoon(call, verdict.waitMs + HOLD_MS);
    if (verdict.afterMs === 0) return;
    await sleep(verdict.afterMs, undefined, { signal: call.signal }).catch((error: unknown) => {
      throw sortError(error, `EC2 ${call.api} in ${call.region}`, call.signal);
    });
  }

  return {
    async admit(region, wanted) {
      const call: Charge = { limit: callLimit({ region, api: "RunInstances" }), cost: 1 };
      const machines: Charge = { limit: machineLimit(region), cost: wanted, least: 1 };
      const verdict = await budget.spend({ ways: [[call, machines]] });
      if (verdict.granted) return { granted: verdict.amount };
      const { waitMs, lacks } = verdict;
      const lacking = [call, machines][lacks ?? -1]?.limit;
      if (lacking?.kind !== "bucket") return { waitMs };
      const { name, perSecond } = lacking;
      const each = lacks === 0 ? limits.launchSize : 1;
      return { waitMs, shortage: { name, everyMs: 1_000 / perSecond, machines: each } };
    },
    async call(call, send) {
      if (!call.isAdmitted) await enter(call);
      try {
        return await send();
      } catch (error) {
        if (endCodes.get(codeOf(error) ?? "") === "rate-limited") await slowDown(call);
        throw error;
      }
    },
  };
}

function tooSoon({ api, region }: PacedCall, retryAfterMs: number): RateLimitedError {
  const text = `EC2 ${api} in ${region}: all that AWS allows is spent`;
  return new RateLimitedError(text, { code: "budget", retryAfterMs, isShared: true });
}
