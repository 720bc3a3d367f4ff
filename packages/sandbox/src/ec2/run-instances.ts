import type { Buckets } from "./buckets.ts";
import { type Cloud, newId, sameRequest } from "./cloud.ts";
import { machineXml } from "./describe-instances.ts";
import { Ec2Fault } from "./fault.ts";
import { type FormNode, listOf, nodeOf, textOf } from "./form.ts";
import type { Ec2Image, Ec2Machine } from "./types.ts";
import { itemSet, type XmlValue } from "./xml.ts";

const MAX_USER_DATA_BYTES = 16_384;

export interface Wanted {
  readonly min: number;
  readonly max: number;
  readonly image: Ec2Image;
  readonly instanceType: string;
  readonly subnetId: string;
  readonly zone: string;
  readonly isSpot: boolean;
  readonly userData: string;
  readonly token: string;
}

/**
 * ClientToken as AWS documents it: zonal when a subnet is given; the same token and parameters answer the machines
 * already started, other parameters `IdempotentParameterMismatch`, ended machines `IdempotentInstanceTerminated`. A
 * refused launch keeps no token. https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
 */
export function runInstances(cloud: Cloud, buckets: Buckets, region: string, request: FormNode): Answer {
  const wanted = check(cloud, region, request);
  const earlier = wanted.token ? cloud.byToken(region, wanted.zone, wanted.token) : [];
  if (earlier[0]) return answer(cloud, repeat(earlier, request));
  if (textOf(request, "DryRun") === "true")
    throw new Ec2Fault("DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
  buckets.takeResources(region, "RunInstances", wanted.max);
  const { subnetId, instanceType, isSpot } = wanted;
  const free = cloud.freeCapacity({ region, subnetId, instanceType, market: isSpot ? "spot" : "on-demand" });
  const count = Math.min(wanted.max, free);
  if (count < wanted.min)
    throw new Ec2Fault(
      "InsufficientInstanceCapacity",
      `We currently do not have sufficient ${instanceType} capacity in the Availability Zone you requested (${wanted.zone}).`,
    );
  const reservationId = newId("r");
  const facts = Array.from({ length: count }, () => makeFacts(cloud, region, reservationId, wanted, request));
  return answer(cloud, cloud.add(facts));
}

type Answer = { [name: string]: XmlValue };

function repeat(earlier: readonly Ec2Machine[], request: FormNode): readonly Ec2Machine[] {
  const isOver = (machine: Ec2Machine) => machine.state === "terminated" || machine.state === "shutting-down";
  if (earlier.every(isOver))
    throw new Ec2Fault(
      "IdempotentInstanceTerminated",
      "The instance launched with this token is terminated.",
    );
  if (!sameRequest(earlier[0]?.request ?? {}, request))
    throw new Ec2Fault(
      "IdempotentParameterMismatch",
      "The client token you have provided is associated with a resource that has different parameters.",
    );
  return earlier;
}

function check(cloud: Cloud, region: string, request: FormNode): Wanted {
  const imageId = required(request, "ImageId");
  const [min, max] = [Number(required(request, "MinCount")), Number(required(request, "MaxCount"))];
  if (!(min >= 1 && max >= min)) throw new Ec2Fault("InvalidParameterValue", "Bad MinCount or MaxCount");
  const image = cloud.options.images.find((candidate) => candidate.imageId === imageId);
  if (!image) throw new Ec2Fault("InvalidAMIID.NotFound", `The image id '[${imageId}]' does not exist`);
  const instanceType = textOf(request, "InstanceType") ?? "m1.small";
  checkFit(image, instanceType, request);
  const subnetId = textOf(request, "SubnetId") ?? "subnet-default";
  const zone = cloud.zoneOf(region, subnetId);
  if (!zone) throw new Ec2Fault("InvalidSubnetID.NotFound", `The subnet ID '${subnetId}' does not exist`);
  const token = textOf(request, "ClientToken") ?? "";
  if (token.length > 64) throw new Ec2Fault("InvalidParameterValue", "ClientToken is too long");
  const isSpot = textOf(nodeOf(request, "InstanceMarketOptions"), "MarketType") === "spot";
  const userData = decodeUserData(textOf(request, "UserData") ?? "");
  return { min, max, image, instanceType, subnetId, zone, isSpot, userData, token };
}

function checkFit(image: Ec2Image, instanceType: string, request: FormNode): void {
  const isMac = instanceType.startsWith("mac");
  const architecture = architectureOf(instanceType);
  if (
    image.architecture.replace("_mac", "") !== architecture ||
    image.architecture.endsWith("_mac") !== isMac
  )
    throw new Ec2Fault(
      "InvalidParameterValue",
      `The architecture '${architecture}' of the specified instance type does not match the architecture '${image.architecture}' of the specified AMI.`,
    );
  if (isMac && textOf(nodeOf(request, "Placement"), "Tenancy") !== "host")
    throw new Ec2Fault("UnsupportedOperation", "mac instances run on Dedicated Hosts only");
}

/** Graviton families carry a `g` after their number (t4g, m7gd); `mac1` alone among macs is x86_64. */
function architectureOf(instanceType: string): "arm64" | "x86_64" {
  const family = instanceType.split(".")[0] ?? "";
  if (family.startsWith("mac")) return family === "mac1" ? "x86_64" : "arm64";
  return /^[a-z]+\d+g/.test(family) || family === "a1" ? "arm64" : "x86_64";
}

function decodeUserData(encoded: string): string {
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.toString("base64") !== encoded)
    throw new Ec2Fault("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.");
  if (bytes.length > MAX_USER_DATA_BYTES)
    throw new Ec2Fault("InvalidParameterValue", "User data is limited to 16384 bytes");
  return bytes.toString("utf8");
}

function required(request: FormNode, name: string): string {
  const value = textOf(request, name);
  if (!value) throw new Ec2Fault("MissingParameter", `The request must contain the parameter ${name}`);
  return value;
}

function makeFacts(
  cloud: Cloud,
  region: string,
  reservationId: string,
  wanted: Wanted,
  request: FormNode,
): Omit<Ec2Machine, "state"> {
  const tags = listOf(request, "TagSpecification")
    .filter((specification) => textOf(specification, "ResourceType") === "instance")
    .flatMap((specification) => listOf(specification, "Tag"))
    .map((tag) => [textOf(tag, "Key") ?? "", textOf(tag, "Value") ?? ""]);
  return {
    instanceId: newId("i"),
    region,
    accountId: cloud.options.accountId,
    reservationId,
    availabilityZone: wanted.zone,
    subnetId: wanted.subnetId,
    instanceType: wanted.instanceType,
    imageId: wanted.image.imageId,
    architecture: architectureOf(wanted.instanceType),
    privateIp: "127.0.0.1",
    clientToken: wanted.token,
    isSpot: wanted.isSpot,
    userData: wanted.userData,
    tags: Object.fromEntries(tags),
    launchedAt: cloud.options.now(),
    request,
  };
}

function answer(cloud: Cloud, machines: readonly Ec2Machine[]): Answer {
  return {
    reservationId: machines[0]?.reservationId,
    ownerId: cloud.options.accountId,
    groupSet: {},
    instancesSet: itemSet(machines.map(machineXml)),
  };
}
