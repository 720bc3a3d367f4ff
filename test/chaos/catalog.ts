import type { ChaosPlan } from "./plan.ts";

const EC2 = `provider: ec2, region: us-east-1, image: { id: ami-0aa1000000000001 }, instanceTypes: [t4g.large],
        subnets: "\${EC2_SUBNETS}", securityGroups: "\${EC2_SECURITY_GROUPS}"`;

/** The limits of every class here: a machine boots in about a second, and a job runs for one. */
const LIMITS_S = { boot: 10, idle: 8, runtime: 12 } as const;

const limits = `bootTimeout: ${LIMITS_S.boot}s
    idleTimeout: ${LIMITS_S.idle}s
    maxRuntime: ${LIMITS_S.runtime}s`;

/** Its machines are these, and nobody else's. */
export const DOOMED_TYPE = "t4g.nano";

/** A class that can't be served: its image is gone, or its machines are off before they claim, each of them. */
function renderDoomed({ doom, maxRunners }: ChaosPlan): string {
  if (doom === undefined) return "";
  const image = doom === "no-image" ? "ami-0aa1000000009999" : "ami-0aa1000000000001";
  return `  - name: doomed
    labels: [doomed, self-hosted]
    platform: { os: linux, arch: arm64 }
    maxRunners: ${maxRunners}
    ${limits}
    offerings:
      - { provider: ec2, region: us-east-1, image: { id: ${image} }, instanceTypes: [${DOOMED_TYPE}],
          subnets: "\${EC2_SUBNETS}", securityGroups: "\${EC2_SECURITY_GROUPS}", market: on-demand }
`;
}

/** One class on EC2, one on CodeMagic that registers at the organization, one that goes from one to the other. */
export function renderCatalog(plan: ChaosPlan): string {
  const { maxRunners, concurrentBuilds } = plan;
  return `version: 1
allow: { owners: [acme] }
# A sweep each second asks thirty times as much as one each half minute: so does GitHub's minute last two seconds.
limits: { github: { window: 2s } }
codemagicTeams:
  default: { maxConcurrentBuilds: ${concurrentBuilds} }
classes:
  - name: linux
    labels: [linux, self-hosted]
    platform: { os: linux, arch: arm64 }
    maxRunners: ${maxRunners}
    ${limits}
    offerings:
      - { ${EC2}, market: spot }
      - { ${EC2}, market: on-demand }
  - name: mac
    labels: [mac, self-hosted]
    platform: { os: macos, arch: arm64 }
    register: { at: organization }
    maxRunners: ${maxRunners}
    ${limits}
    offerings:
      - { provider: codemagic, app: "\${CODEMAGIC_APP_ID}" }
  - name: mixed
    labels: [mixed, self-hosted]
    platform: { os: linux, arch: arm64 }
    maxRunners: ${maxRunners}
    ${limits}
    offerings:
      - { provider: codemagic, app: "\${CODEMAGIC_APP_ID}", instanceType: linux_x2 }
      - { ${EC2}, market: on-demand }
${renderDoomed(plan)}`;
}

/** Everything that waits, waits shortly: an outage of seconds stands for one of minutes. */
export const SETTINGS: Readonly<Record<string, string>> = {
  SWEEP_INTERVAL: "1",
  SWEEP_GRACE: "2",
  REDELIVERY_INTERVAL: "1",
  UNHEARD_INTERVAL: "2",
  ALERT_INTERVAL: "1",
  END_GRACE: "1",
  STOP_DEADLINE: "3",
};
