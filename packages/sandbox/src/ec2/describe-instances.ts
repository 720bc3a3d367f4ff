import type { Cloud } from "./cloud.ts";
import { Ec2Fault } from "./fault.ts";
import { type FormNode, listOf, textOf, textsOf } from "./form.ts";
import type { Ec2Machine, Ec2State } from "./types.ts";
import { itemSet, type XmlValue } from "./xml.ts";

export const STATE_CODES: Readonly<Record<Ec2State, number>> = {
  pending: 0,
  running: 16,
  "shutting-down": 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};

export function isFiltered(request: FormNode): boolean {
  return request.Filter !== undefined || request.MaxResults !== undefined;
}

/** Filters `tag:<key>`, `tag-key`, `client-token`, `instance-id`, `instance-state-name`; pages of `MaxResults`. */
export function describeInstances(
  cloud: Cloud,
  region: string,
  request: FormNode,
): { [name: string]: XmlValue } {
  const ids = textsOf(request, "InstanceId");
  const seen = cloud.visible(region);
  const unknown = ids.filter((id) => !seen.some((machine) => machine.instanceId === id));
  if (unknown.length > 0)
    throw new Ec2Fault("InvalidInstanceID.NotFound", `The instance IDs '${unknown.join(", ")}' do not exist`);
  const filters = listOf(request, "Filter").map((filter) => ({
    name: textOf(filter, "Name") ?? "",
    values: textsOf(filter, "Value"),
  }));
  const found = seen
    .filter((machine) => ids.length === 0 || ids.includes(machine.instanceId))
    .filter((machine) => filters.every((filter) => fits(machine, filter.name, filter.values)));
  const limit = Math.min(pageSize(request), cloud.options.maxPageSize);
  const from = Number(Buffer.from(textOf(request, "NextToken") ?? "", "base64").toString() || 0);
  const page = found.slice(from, from + limit);
  const isMore = from + limit < found.length;
  return {
    reservationSet: itemSet(byReservation(page)),
    nextToken: isMore ? Buffer.from(String(from + limit)).toString("base64") : undefined,
  };
}

function pageSize(request: FormNode): number {
  const asked = textOf(request, "MaxResults");
  if (asked === undefined) return Number.POSITIVE_INFINITY;
  const size = Number(asked);
  if (!(size >= 5 && size <= 1000))
    throw new Ec2Fault("InvalidParameterValue", `Value (${asked}) for parameter maxResults is invalid.`);
  return size;
}

function fits(machine: Ec2Machine, name: string, values: readonly string[]): boolean {
  if (name.startsWith("tag:")) return values.includes(machine.tags[name.slice("tag:".length)] ?? "\0");
  if (name === "tag-key") return values.some((key) => key in machine.tags);
  if (name === "client-token") return values.includes(machine.clientToken);
  if (name === "instance-id") return values.includes(machine.instanceId);
  if (name === "instance-state-name") return values.includes(machine.state);
  throw new Ec2Fault("InvalidParameterValue", `The filter '${name}' is invalid`);
}

function byReservation(machines: readonly Ec2Machine[]): XmlValue[] {
  const groups = Object.values(Object.groupBy(machines, (machine) => machine.reservationId));
  return groups.map((group = []) => ({
    reservationId: group[0]?.reservationId,
    ownerId: group[0]?.accountId,
    groupSet: {},
    instancesSet: itemSet(group.map(machineXml)),
  }));
}

export function machineXml(machine: Ec2Machine): XmlValue {
  return {
    instanceId: machine.instanceId,
    imageId: machine.imageId,
    instanceState: { code: STATE_CODES[machine.state], name: machine.state },
    instanceType: machine.instanceType,
    launchTime: new Date(machine.launchedAt).toISOString(),
    placement: { availabilityZone: machine.availabilityZone, tenancy: "default" },
    privateIpAddress: machine.privateIp,
    subnetId: machine.subnetId,
    architecture: machine.architecture,
    clientToken: machine.clientToken,
    ...(machine.isSpot ? { instanceLifecycle: "spot" } : {}),
    ...(machine.stateReason
      ? { stateReason: { code: machine.stateReason, message: machine.stateReason } }
      : {}),
    tagSet: itemSet(Object.entries(machine.tags).map(([key, value]) => ({ key, value }))),
  };
}
