import type { FormNode } from "./form.ts";

export type Ec2State = "pending" | "running" | "shutting-down" | "terminated" | "stopping" | "stopped";

/** One machine of the stand-in, as tests and the boot-script runner see it. */
export interface Ec2Machine {
  readonly instanceId: string;
  readonly region: string;
  readonly accountId: string;
  readonly reservationId: string;
  readonly availabilityZone: string;
  readonly subnetId: string;
  readonly instanceType: string;
  readonly imageId: string;
  readonly architecture: "arm64" | "x86_64";
  readonly privateIp: string;
  readonly clientToken: string;
  readonly isSpot: boolean;
  /** Decoded, as the machine's metadata service would give it. */
  readonly userData: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Epoch ms. */
  readonly launchedAt: number;
  readonly state: Ec2State;
  /** `Client.UserInitiatedShutdown`, `Client.InstanceInitiatedShutdown`, `Server.SpotInstanceTermination` */
  readonly stateReason?: string;
  /** The whole RunInstances request that made it. */
  readonly request: FormNode;
}

export interface Ec2Image {
  readonly imageId: string;
  readonly ownerId: string;
  /** As in `owner: amazon` */
  readonly ownerAlias?: string;
  readonly name: string;
  readonly architecture: "arm64" | "x86_64" | "arm64_mac";
  readonly rootDeviceName: string;
  readonly creationDate: string;
  readonly state?: "available" | "pending" | "failed";
}

/** Which launches a capacity limit is about; what is left out matches everything. */
export interface CapacityPool {
  readonly region?: string;
  readonly subnetId?: string;
  readonly instanceType?: string;
  readonly market?: "spot" | "on-demand";
}

/** One call as it arrived, for assertions. */
export interface Ec2Call {
  readonly action: string;
  readonly region: string;
  readonly request: FormNode;
  /** EC2's code, or `ok`. */
  readonly outcome: string;
}
