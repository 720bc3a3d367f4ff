import { InvalidSpecError, type Scope } from "@grp/core";
import { type Client, type Clients, subjectOf } from "./clients.ts";
import type { GitHub, RunnerProgram } from "./types.ts";

/** A new runner version is due within 30 days, so an hour behind is nothing. */
const CACHE_MS = 3_600_000;
const OS_NAMES = { linux: "linux", macos: "osx" } as const;

interface Download {
  readonly os: string;
  readonly architecture: string;
  readonly download_url: string;
  readonly filename: string;
  readonly sha256_checksum?: string;
}

/** Where to fetch the runner program: one list for all scopes of a server, asked for once an hour. */
export function createDownloads(clients: Clients, now: () => number): Pick<GitHub, "runnerProgram"> {
  let cached: { readonly list: readonly Download[]; readonly until: number } | undefined;
  return {
    async runnerProgram(scope, platform, signal) {
      if (!cached || cached.until <= now()) {
        const list = await clients.use(subjectOf(scope), signal, (client) => fetchList(client, scope));
        cached = { list, until: now() + CACHE_MS };
      }
      const os = OS_NAMES[platform.os];
      const found = cached.list.find((item) => item.os === os && item.architecture === platform.arch);
      return toProgram(found, `${os}-${platform.arch}`);
    },
  };
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
  const version = /-(\d+\.\d+\.\d+)\./.exec(download.filename)?.[1];
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
