import { type Catalog, formatFault, parseCatalog } from "@grp/core";

const offeringOf = (
  instanceType: string,
) => `{ provider: ec2, region: us-east-1, image: { id: ami-0abc }, instanceTypes: [${instanceType}],
          subnets: [subnet-a], securityGroups: [sg-a] }`;
const ARM64 = offeringOf("t4g.large");
const X64 = offeringOf("m7i.large");

/**
 * `ubuntu-arm64` and `macOS-arm64` as shipped; the others have the labels of GitHub's own examples, so that each of
 * those meets another answer: served, public, not allowed.
 */
export const CATALOG = readCatalog(`
version: 1
allow: { owners: [acme, octo-org, Octocoders, lineville] }
codemagicTeams: { default: { maxConcurrentBuilds: 1 } }
classes:
  - name: ubuntu-arm64
    labels: [ubuntu-arm64, self-hosted, linux, arm64]
    platform: { os: linux, arch: arm64 }
    maxRunners: 20
    offerings: [${ARM64}]
  - name: macOS-arm64
    labels: [macOS-arm64]
    platform: { os: macos, arch: arm64 }
    maxRunners: 20
    maxRuntime: 110m
    offerings: [{ provider: codemagic, app: app-1 }]
  - name: organization
    labels: [for-organization]
    platform: { os: linux, arch: x64 }
    maxRunners: 20
    register: { at: organization, group: Default }
    offerings: [${X64}]
  - name: public
    labels: [ubuntu-latest]
    platform: { os: linux, arch: x64 }
    maxRunners: 20
    allowPublicRepositories: true
    offerings: [${X64}]
  - name: k8s
    labels: [self-hosted, k8s]
    platform: { os: linux, arch: x64 }
    maxRunners: 20
    offerings: [${X64}]
  - name: gpu
    labels: [gpu, db-app, dc-03]
    platform: { os: linux, arch: x64 }
    maxRunners: 20
    offerings: [${X64}]
`);

function readCatalog(text: string): Catalog {
  const verdict = parseCatalog(text, { env: {}, useCodemagic: true });
  if (!verdict.ok) throw new Error(verdict.faults.map((fault) => formatFault("catalog", fault)).join("\n"));
  return verdict.catalog;
}
