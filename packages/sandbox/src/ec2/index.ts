export { AWS_THROTTLES, type Bucket, type Throttle } from "./buckets.ts";
export type { EndCause } from "./cloud.ts";
export { type FormNode, listOf } from "./form.ts";
export { DEFAULT_IMAGES } from "./images.ts";
export { createEc2StandIn, type Ec2StandIn, type Ec2StandInOptions } from "./stand-in.ts";
export type { CapacityPool, Ec2Call, Ec2Image, Ec2Machine, Ec2State } from "./types.ts";
