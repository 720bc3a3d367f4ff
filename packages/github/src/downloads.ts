import { InvalidSpecError, type Scope } from "@grp/core";
import { type Client, type Clients, subjectOf } from "./clients.ts";
import type { GitHub, RunnerProgram } from "./types.ts";

/** A new runner version is due within 30 days, so an hour behind is nothing. */
const CACHE_MS = 3_600_000;

/** With an older one github.com lets no runner register, in force since September 2026. */
const LEAST_VERSION = "2.329.0";
const OS_NAMES = { linux: "linux", macos: "osx" } as const;

interface Download {
  readonly os: string;
  readonly architecture: string;
  readonly download_url: string;
  readonly filename: string;
  readonly sha256_checksum?: string;
}

/**
 * Where to fetch the runner program: one list for all scopes of a server, asked for once an hour. Always the newest that
 * the server gives out: grp pins no version.
 */
export function createDownloads(
  clients: Clients,
  { baseUrl, now }: { readonly baseUrl: string; readonly now: () => number },
): Pick<GitHub, "runnerProgram" | "runnerVersions"> {
  let cached: { readonly list: Promise<readonly Download[]>; readonly until: number } | undefined;
  /** Whoever asks meanwhile waits for the same answer: machines of one launch all claim at once. */
  function list(scope: Scope, signal: AbortSignal): Promise<readonly Download[]> {
    if (cached && cached.until > now()) return cached.list;
    const asked = clients.use(subjectOf(scope), signal, (client) => fetchList(client, scope));
    const fresh = { list: asked, until: now() + CACHE_MS };
    cached = fresh;
    asked.catch(() => {
      if (cached === fresh) cached = undefined;
    });
    return asked;
  }
  return {
    async runnerProgram(scope, platform, signal) {
      const os = OS_NAMES[platform.os];
      const all = await list(scope, signal);
      const found = all.find((item) => item.os === os && item.architecture === platform.arch);
      return toProgram(found, `${os}-${platform.arch}`);
    },
    async runnerVersions(scope, signal) {
      const versions = (await list(scope, signal)).flatMap(({ filename }) => versionOf(filename) ?? []);
      const newest = versions.toSorted(compareVersions).at(-1);
      if (newest === undefined)
        throw new InvalidSpecError("GitHub gives out no runner program", { code: "no_runner_program" });
      return { newest, ...(isCloud(baseUrl) ? { least: LEAST_VERSION } : {}) };
    },
  };
}

/** github.com, or GitHub Enterprise Cloud with data residency. */
function isCloud(baseUrl: string): boolean {
  const { hostname } = new URL(baseUrl);
  return hostname === "api.github.com" || hostname.endsWith(".ghe.com");
}

/** Below zero when `one` is older. */
export function compareVersions(one: string, other: string): number {
  const [left, right] = [one, other].map((version) => version.split(".").map(Number));
  const index = left?.findIndex((part, at) => part !== (right?.[at] ?? 0)) ?? -1;
  return index < 0 ? 0 : (left?.[index] ?? 0) - (right?.[index] ?? 0);
}

function versionOf(filename: string): string | undefined {
  return /-(\d+\.\d+\.\d+)\./.exec(filename)?.[1];
}

async function fetchList(client: Client, scope: Scope): Promise<readonly Download[]> {
  const { data } =
    scope.kind === "repository"
      ? await client.request("GET /repos/{owner}/{repo}/actions/runners/downloads", {
          owner: scope.owner,
          repo: scope.repository,
        })
      : await client.request("GET /orgs/{org}/actions/runners/downloads", { org: scope.owner });
  return data;
}

function toProgram(download: Download | undefined, platform: string): RunnerProgram {
  if (!download)
    throw new InvalidSpecError(`GitHub has no runner program for ${platform}`, { code: "no_runner_program" });
  const version = versionOf(download.filename);
  if (!download.sha256_checksum || !version)
    throw new InvalidSpecError(`GitHub gives no checksum or version for ${download.filename}`, {
      code: "no_checksum",
    });
  return {
    url: download.download_url,
    sha256: download.sha256_checksum,
    filename: download.filename,
    version,
  };
}
