import { type CatalogOptions, formatFault, parseCatalog } from "../index.ts";

/** What a test says differently from a good catalog of one class; `class` and `offering` are further lines of theirs. */
interface Parts {
  readonly allow?: string;
  readonly labels?: string;
  readonly platform?: string;
  readonly maxRunners?: string;
  readonly class?: string;
  readonly image?: string;
  readonly instanceTypes?: string;
  readonly subnets?: string;
  readonly offering?: string;
  /** In place of the whole list. */
  readonly offerings?: string;
}

export function renderCatalog(parts: Parts = {}): string {
  return `version: 1
allow: ${parts.allow ?? "{ owners: [acme] }"}
classes:
  - name: linux
    labels: ${parts.labels ?? "[linux]"}
    platform: ${parts.platform ?? "{ os: linux, arch: arm64 }"}
    maxRunners: ${parts.maxRunners ?? "1"}
    ${parts.class ?? ""}
    offerings: ${parts.offerings ?? renderOffering(parts)}
`;
}

function renderOffering(parts: Parts): string {
  return `
      - provider: ec2
        region: us-east-1
        image: ${parts.image ?? "{ id: ami-0abc }"}
        instanceTypes: ${parts.instanceTypes ?? "[t4g.large]"}
        subnets: ${parts.subnets ?? "[subnet-a]"}
        securityGroups: [sg-a]
        ${parts.offering ?? ""}`;
}

/** Each fault as a person reads it, without the file's name. */
export function faultsOf(text: string, env: CatalogOptions["env"] = {}): readonly string[] {
  const verdict = parseCatalog(text, { env, useCodemagic: true });
  return verdict.ok ? [] : verdict.faults.map((fault) => formatFault("", fault).slice(1));
}
