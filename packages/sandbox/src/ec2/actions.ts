import type { Buckets } from "./buckets.ts";
import type { Cloud } from "./cloud.ts";
import { describeInstances, isFiltered, STATE_CODES } from "./describe-instances.ts";
import { Ec2Fault } from "./fault.ts";
import { type FormNode, listOf, textOf, textsOf } from "./form.ts";
import { runInstances } from "./run-instances.ts";
import { itemSet, type XmlValue } from "./xml.ts";

type Answer = { [name: string]: XmlValue };

/** One action of EC2's query protocol; throws `Ec2Fault`. */
export function act(
  cloud: Cloud,
  buckets: Buckets,
  region: string,
  action: string,
  request: FormNode,
): Answer {
  const isRead = action.startsWith("Describe");
  buckets.takeRequest(region, isRead && isFiltered(request) ? `${action} filtered` : action);
  switch (action) {
    case "RunInstances":
      return runInstances(cloud, buckets, region, request);
    case "DescribeInstances":
      return describeInstances(cloud, region, request);
    case "TerminateInstances":
      return terminateInstances(cloud, buckets, region, request);
    case "DescribeImages":
      return describeImages(cloud, request);
    default:
      throw new Ec2Fault("InvalidAction", `The action ${action} is not valid for this web service.`);
  }
}

/** All or nothing: one unknown id, or one that is protected, and none is ended. */
function terminateInstances(cloud: Cloud, buckets: Buckets, region: string, request: FormNode): Answer {
  const ids = textsOf(request, "InstanceId");
  if (ids.length === 0) throw new Ec2Fault("MissingParameter", "The request must contain InstanceId");
  const malformed = ids.find((id) => !/^i-[0-9a-f]{8,17}$/.test(id));
  if (malformed) throw new Ec2Fault("InvalidInstanceID.Malformed", `Invalid id: "${malformed}"`);
  const before = ids.map((id) => cloud.getVisible(region, id));
  if (before.includes(undefined))
    throw new Ec2Fault("InvalidInstanceID.NotFound", `The instance IDs '${ids.join(", ")}' do not exist`);
  const kept = ids.find((id) => cloud.isProtected(id));
  if (kept)
    throw new Ec2Fault(
      "OperationNotPermitted",
      `The instance '${kept}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.`,
    );
  buckets.takeResources(region, "TerminateInstances", ids.length);
  const changes = before.map((machine) => {
    const previous = machine?.state ?? "running";
    if (machine) cloud.end(machine.instanceId, "api");
    const current = previous === "terminated" ? "terminated" : "shutting-down";
    return {
      instanceId: machine?.instanceId,
      currentState: { code: STATE_CODES[current], name: current },
      previousState: { code: STATE_CODES[previous], name: previous },
    };
  });
  return { instancesSet: itemSet(changes) };
}

/** By id, or by owner and a `name` filter with `*` and `?`. */
function describeImages(cloud: Cloud, request: FormNode): Answer {
  const { images } = cloud.options;
  const ids = textsOf(request, "ImageId");
  const unknown = ids.find((id) => !images.some((image) => image.imageId === id));
  if (unknown) throw new Ec2Fault("InvalidAMIID.NotFound", `The image id '[${unknown}]' does not exist`);
  const owners = textsOf(request, "Owner");
  const names = filterValues(request, "name").map(globToRegExp);
  const states = filterValues(request, "state");
  const found = images.filter(
    (image) =>
      (ids.length === 0 || ids.includes(image.imageId)) &&
      (owners.length === 0 || owners.includes(image.ownerId) || owners.includes(image.ownerAlias ?? "\0")) &&
      (names.length === 0 || names.some((name) => name.test(image.name))) &&
      (states.length === 0 || states.includes(image.state ?? "available")),
  );
  const items = found.map((image) => ({
    imageId: image.imageId,
    imageState: image.state ?? "available",
    imageOwnerId: image.ownerId,
    architecture: image.architecture,
    name: image.name,
    rootDeviceName: image.rootDeviceName,
    creationDate: image.creationDate,
  }));
  return { imagesSet: itemSet(items) };
}

function filterValues(request: FormNode, name: string): readonly string[] {
  const filter = listOf(request, "Filter").find((candidate) => textOf(candidate, "Name") === name);
  return textsOf(filter, "Value");
}

function globToRegExp(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`);
}

/** AWS Systems Manager's JSON protocol, `GetParameter` only. */
export function getParameter(cloud: Cloud, buckets: Buckets, region: string, name: string): unknown {
  try {
    buckets.takeRequest(region, "GetParameter");
  } catch {
    throw new Ec2Fault("ThrottlingException", "Rate exceeded", 400);
  }
  const value = cloud.options.parameters[name];
  if (value === undefined) throw new Ec2Fault("ParameterNotFound", "", 400);
  return { Parameter: { Name: name, Type: "String", Value: value, Version: 1, DataType: "aws:ec2:image" } };
}
