import { RunInstancesCommand } from "@aws-sdk/client-ec2";
import { type Ec2Offering, InvalidSpecError, NoCapacityError } from "@grp/core";
import type { Clients } from "./clients.ts";
import { codeOf, sortError } from "./errors.ts";
import type { ImageResolver } from "./image.ts";
import { type Placement, placementsFrom } from "./placement.ts";
import { INSTALLATION_TAG, machineRequest } from "./run-request.ts";

/**
 * Resolves the image, compares its root device with the offering's volume (another name would add a second disk and
 * leave the root small), and asks for a DryRun with every subnet and every type once. DryRun proves permissions and
 * parameters; capacity and quota show themselves only at a real launch.
 */
export async function validate(
  context: { readonly clients: Clients; readonly images: ImageResolver; readonly installation: string },
  offering: Ec2Offering,
  signal: AbortSignal,
): Promise<void> {
  const imageId = await context.images.resolve(offering, signal);
  const rootDevice = await context.images.rootDevice(offering.region, imageId, signal);
  if (rootDevice && rootDevice !== offering.volume.device)
    throw new InvalidSpecError(
      `the root device of ${imageId} is ${rootDevice}, the offering's volume says ${offering.volume.device}`,
      { code: "RootDeviceMismatch" },
    );
  for (const placement of sample(offering, imageId))
    await dryRun(context.clients, offering, placement, context.installation, signal);
}

/** Each subnet and each type in one call at least: a cross, not the whole square (RunInstances allows 2 a second). */
function sample(offering: Ec2Offering, imageId: string): readonly Placement[] {
  const [firstType, firstSubnet] = [offering.instanceTypes[0], offering.subnets[0]];
  return placementsFrom(offering, imageId).filter(
    ({ instanceType, subnet }) => instanceType === firstType || subnet === firstSubnet,
  );
}

async function dryRun(
  clients: Clients,
  offering: Ec2Offering,
  placement: Placement,
  installation: string,
  signal: AbortSignal,
): Promise<void> {
  const { region } = offering;
  const doing = `EC2 RunInstances (DryRun) ${placement.instanceType} in ${placement.subnet}, ${region}`;
  const command = new RunInstancesCommand({
    ...machineRequest(offering, placement, { [INSTALLATION_TAG]: installation }),
    MinCount: 1,
    MaxCount: 1,
    DryRun: true,
  });
  try {
    await clients.pace.call({ region, api: "RunInstances", signal }, () =>
      clients.ec2(region).send(command, { abortSignal: signal }),
    );
  } catch (error) {
    const code = codeOf(error);
    if (code === "DryRunOperation") return;
    const sorted = sortError(error, doing, signal);
    // A zone that lacks the type is passed over at a launch; the offering as a whole may still serve.
    if (sorted instanceof NoCapacityError) return;
    throw sorted;
  }
  // EC2 never answers a DryRun with success: whatever did is not EC2.
  throw new InvalidSpecError(`${doing}: the answer was no DryRun's`, { code: "DryRunIgnored" });
}
