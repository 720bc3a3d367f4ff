import { type CodemagicOffering, type LaunchOrder, parseCatalog } from "@grp/core";
import {
  type CodemagicStandIn,
  type CodemagicStandInOptions,
  createCodemagicStandIn,
} from "@grp/sandbox/codemagic";
import { type CodemagicProviderOptions, createCodemagicProvider } from "../codemagic/provider.ts";

export const APP = "5d85eaa0e941e00019e81bc2";

const CATALOG = `
version: 1
allow: { owners: [acme] }
codemagicTeams: { default: { maxConcurrentBuilds: 2 } }
classes:
  - name: macOS-arm64
    labels: [macOS-arm64]
    platform: { os: macos, arch: arm64 }
    maxRunners: 4
    maxRuntime: 110m
    offerings:
      - { provider: codemagic, app: ${APP} }
`;

const verdict = parseCatalog(CATALOG, { env: {}, useCodemagic: true });
if (!verdict.ok) throw new Error(JSON.stringify(verdict.faults));
const catalog = verdict.catalog;

/** The real provider against the stand-in. */
export async function createTestCodemagic(
  options: CodemagicStandInOptions = {},
  providerOptions: Partial<CodemagicProviderOptions> = {},
) {
  const standIn: CodemagicStandIn = await createCodemagicStandIn({ appId: APP, ...options });
  const provider = createCodemagicProvider({
    token: standIn.token,
    apiUrl: standIn.url,
    v3ApiUrl: standIn.v3Url,
    installation: "grp",
    catalog,
    ...providerOptions,
  });
  return { standIn, provider };
}

/** A CodeMagic order as the worker makes one from a catalog. */
export function codemagicOrder(
  launchId: string,
  changes: Partial<LaunchOrder<CodemagicOffering>> = {},
): LaunchOrder<CodemagicOffering> {
  const runnerClass = catalog.classes[0];
  const offering = runnerClass?.offerings[0];
  if (!runnerClass || offering?.provider !== "codemagic") throw new Error("no CodeMagic offering");
  return {
    launchId,
    offering,
    runnerClass,
    scope: { kind: "repository", owner: "Acme", repository: "App" },
    size: 1,
    boot: {
      publicUrl: "https://grp.example.com",
      ticket: "grp1.ticket",
      bootTimeoutMs: 600_000,
      idleTimeoutMs: 300_000,
      maxRuntimeMs: 6_600_000,
    },
    ...changes,
  };
}
