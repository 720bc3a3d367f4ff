import type { RunInstancesCommandInput, TagSpecification } from "@aws-sdk/client-ec2";
import { clientToken, type Ec2Offering, InvalidSpecError, type LaunchOrder, scopeKey } from "@grp/core";
import { formatPlacement, type Placement } from "./placement.ts";

/** EC2's limit, before base64. */
const MAX_USER_DATA_BYTES = 16_384;

export const INSTALLATION_TAG = "grp:installation";
export const LAUNCH_TAG = "grp:launch";
export const CLASS_TAG = "grp:class";
export const SCOPE_TAG = "grp:scope";

/** The SDK sends user data as it gets it: base64 is ours to do. */
export function encodeUserData(text: string): string {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length > MAX_USER_DATA_BYTES)
    throw new InvalidSpecError(
      `user data has ${bytes.length} bytes, EC2 takes ${MAX_USER_DATA_BYTES} at most`,
      { code: "UserDataTooLarge" },
    );
  return bytes.toString("base64");
}

function tagsOf(order: LaunchOrder<Ec2Offering>, installation: string): Record<string, string> {
  return {
    [INSTALLATION_TAG]: installation,
    [LAUNCH_TAG]: order.launchId,
    [CLASS_TAG]: order.runnerClass.name,
    [SCOPE_TAG]: scopeKey(order.scope),
    Name: `${installation} ${order.runnerClass.name}`,
  };
}

/** The whole call. Nothing in it may differ between two tries of one placement, or EC2 takes it for another launch. */
export function runRequest(
  order: LaunchOrder<Ec2Offering>,
  placement: Placement,
  userData: string,
  installation: string,
): RunInstancesCommandInput {
  return {
    ...machineRequest(order.offering, placement, tagsOf(order, installation)),
    ClientToken: clientToken(order.launchId, formatPlacement(placement)),
    MinCount: 1,
    MaxCount: order.size,
    UserData: userData,
  };
}

/** What every machine of an offering has, whoever it is for. */
export function machineRequest(
  offering: Ec2Offering,
  placement: Placement,
  tags: Readonly<Record<string, string>>,
): Omit<RunInstancesCommandInput, "MinCount" | "MaxCount"> {
  return {
    ImageId: placement.imageId,
    InstanceType: placement.instanceType as NonNullable<RunInstancesCommandInput["InstanceType"]>,
    SubnetId: placement.subnet,
    SecurityGroupIds: offering.securityGroups,
    InstanceInitiatedShutdownBehavior: "terminate",
    MetadataOptions: { HttpEndpoint: "enabled", HttpTokens: "required", HttpPutResponseHopLimit: 1 },
    BlockDeviceMappings: [rootVolume(offering)],
    TagSpecifications: tagSpecifications(offering, tags),
    ...instanceProfile(offering),
    ...hostPlacement(offering),
    ...marketOptions(offering),
  };
}

function rootVolume({ volume }: Ec2Offering) {
  return {
    DeviceName: volume.device,
    Ebs: {
      VolumeType: "gp3" as const,
      VolumeSize: volume.sizeGiB,
      Encrypted: true,
      DeleteOnTermination: true,
      ...(volume.iops === undefined ? {} : { Iops: volume.iops }),
      ...(volume.throughputMiBps === undefined ? {} : { Throughput: volume.throughputMiBps }),
    },
  };
}

function tagSpecifications(
  offering: Ec2Offering,
  tags: Readonly<Record<string, string>>,
): TagSpecification[] {
  const kinds = ["instance", "volume", "network-interface"] as const;
  const all = offering.market === "spot" ? [...kinds, "spot-instances-request" as const] : kinds;
  const list = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  return all.map((ResourceType) => ({ ResourceType, Tags: list }));
}

function instanceProfile({ instanceProfile: profile }: Ec2Offering) {
  if (!profile) return {};
  return { IamInstanceProfile: profile.startsWith("arn:") ? { Arn: profile } : { Name: profile } };
}

function hostPlacement({ host }: Ec2Offering) {
  if (!host) return {};
  const where = "id" in host ? { HostId: host.id } : { HostResourceGroupArn: host.resourceGroup };
  return { Placement: { Tenancy: "host" as const, ...where } };
}

/** No MaxPrice: AWS advises against it, and the on-demand price is the cap anyway. */
function marketOptions({ market }: Ec2Offering) {
  if (market !== "spot") return {};
  const SpotOptions = {
    SpotInstanceType: "one-time" as const,
    InstanceInterruptionBehavior: "terminate" as const,
  };
  return { InstanceMarketOptions: { MarketType: "spot" as const, SpotOptions } };
}
