import type { Ledger } from "@grp/ledger";

/** CodeMagic's apps where builds were started that the ledger takes for live: their offering may have left the catalog. */
export async function listLiveApps(
  ledger: Pick<Ledger, "listLiveRunners" | "getLaunch">,
): Promise<readonly string[]> {
  const runners = await ledger.listLiveRunners();
  const builds = runners.filter(({ provider }) => provider === "codemagic");
  const launchIds = [...new Set(builds.map(({ launchId }) => launchId))];
  const launches = await Promise.all(launchIds.map((id) => ledger.getLaunch(id)));
  // A build's placement is its app, written down before CodeMagic was asked.
  return [...new Set(launches.flatMap((launch) => launch?.placement ?? []))];
}
