import { Ec2Fault } from "./fault.ts";

export interface Bucket {
  readonly max: number;
  readonly refillPerSecond: number;
}

export interface Throttle {
  readonly request: Bucket;
  /** Counts instances, not calls. */
  readonly resource?: Bucket;
}

const READ: Throttle = { request: { max: 50, refillPerSecond: 10 } };
const FILTERED_READ: Throttle = { request: { max: 100, refillPerSecond: 20 } };

/**
 * AWS's own table, per account, region and API:
 * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
 */
export const AWS_THROTTLES: Readonly<Record<string, Throttle>> = {
  RunInstances: {
    request: { max: 5, refillPerSecond: 2 },
    resource: { max: 1000, refillPerSecond: 2 },
  },
  TerminateInstances: {
    request: { max: 100, refillPerSecond: 5 },
    resource: { max: 1000, refillPerSecond: 20 },
  },
  DescribeInstances: READ,
  "DescribeInstances filtered": FILTERED_READ,
  DescribeImages: READ,
  "DescribeImages filtered": FILTERED_READ,
  GetParameter: { request: { max: 40, refillPerSecond: 40 } },
};

/** Token buckets that fill with the clock; `take` throws `RequestLimitExceeded` when one is empty. */
export function createBuckets(throttles: Readonly<Record<string, Throttle>>, now: () => number) {
  const levels = new Map<string, { tokens: number; at: number }>();
  const take = (key: string, bucket: Bucket, count: number) => {
    const at = now();
    const level = levels.get(key) ?? { tokens: bucket.max, at };
    const refilled = level.tokens + ((at - level.at) / 1000) * bucket.refillPerSecond;
    const tokens = Math.min(bucket.max, refilled);
    levels.set(key, { tokens: tokens < count ? tokens : tokens - count, at });
    if (tokens < count) throw new Ec2Fault("RequestLimitExceeded", "Request limit exceeded.");
  };
  return {
    takeRequest(region: string, api: string): void {
      const throttle = throttles[api];
      if (throttle) take(`${region} ${api}`, throttle.request, 1);
    },
    takeResources(region: string, api: string, count: number): void {
      const bucket = throttles[api]?.resource;
      if (bucket) take(`${region} ${api} resources`, bucket, count);
    },
  };
}

export type Buckets = ReturnType<typeof createBuckets>;
