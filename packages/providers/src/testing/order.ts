import { type Ec2Offering, type LaunchOrder, parseCatalog } from "@grp/core";

const CATALOG = `
version: 1
allow: { owners: [acme] }
classes:
  - name: ubuntu-arm64
    labels: [ubuntu-arm64]
    platform: { os: linux, arch: arm64 }
    maxRunners: 20
    offerings:
      - provider: ec2
        region: us-east-1
        image: { ssm: /aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id }
        instanceTypes: [t4g.large, m7g.large]
        subnets: [subnet-a, subnet-b]
        securityGroups: [sg-1]
`;

/** An EC2 order as the worker makes one from a catalog; `changes` replace what the offering says. */
export function testOrder(
  launchId: string,
  size = 1,
  changes: Partial<Ec2Offering> = {},
): LaunchOrder<Ec2Offering> {
  const verdict = parseCatalog(CATALOG, { env: {}, useCodemagic: false });
  if (!verdict.ok) throw new Error(JSON.stringify(verdict.faults));
  const runnerClass = verdict.catalog.classes[0];
  const offering = runnerClass?.offerings[0];
  if (!runnerClass || offering?.provider !== "ec2") throw new Error("no EC2 offering");
  return {
    launchId,
    offering: { ...offering, ...changes },
    runnerClass,
    scope: { kind: "repository", owner: "acme", repository: "app" },
    size,
    boot: {
      publicUrl: "https://grp.example.com",
      ticket: "grp1.ticket",
      bootTimeoutMs: 600_000,
      idleTimeoutMs: 300_000,
      maxRuntimeMs: 21_600_000,
    },
  };
}
