import type { CodemagicOffering, Ec2Offering, Offering } from "./catalog.ts";

/** One line for plans and status pages: what would be launched, where. */
export function summariseOffering(offering: Offering): string {
  return offering.provider === "ec2" ? summariseEc2(offering) : summariseCodemagic(offering);
}

/** `us-east-1 t4g.large|m7g.large spot in subnet-a,subnet-b, image ssm:/aws/…/ami-id, 30 GiB` */
function summariseEc2(offering: Ec2Offering): string {
  const { region, instanceTypes, subnets, market, volume } = offering;
  const what = `${region} ${instanceTypes.join("|")} ${market} in ${subnets.join(",")}`;
  const host = offering.host ? `, host ${hostOf(offering.host)}` : "";
  return `${what}${host}, image ${imageOf(offering.image)}, ${volume.sizeGiB} GiB`;
}

/** `mac_mini_m2, app 6543, workflow github-runner on main, team default` */
function summariseCodemagic(offering: CodemagicOffering): string {
  const { instanceType, app, workflow, branch, team } = offering;
  return `${instanceType}, app ${app}, workflow ${workflow} on ${branch}, team ${team}`;
}

function imageOf(image: Ec2Offering["image"]): string {
  if ("id" in image) return image.id;
  return "ssm" in image ? `ssm:${image.ssm}` : `${image.owner}/${image.name}`;
}

function hostOf(host: NonNullable<Ec2Offering["host"]>): string {
  return "id" in host ? host.id : host.resourceGroup;
}
