import type { Ledger } from "@grp/ledger";
import type { LiveBuild } from "@grp/providers";

/** Where EC2 machines live that the ledger knows: their offering may have left the catalog. */
export async function listLiveRegions(ledger: Pick<Ledger, "listLiveRunners">): Promise<readonly string[]> {
  const runners = await ledger.listLiveRunners();
  return [
    ...new Set(
      runners.flatMap(({ provider, instance }) => (provider === "ec2" ? (instance?.region ?? []) : [])),
    ),
  ];
}

/** CodeMagic's builds that the ledger takes for live: their offering may have left the catalog, and they may be old. */
export async function listLiveBuilds(
  ledger: Pick<Ledger, "listLiveRunners" | "getLaunch">,
): Promise<readonly LiveBuild[]> {
  const runners = await ledger.listLiveRunners();
  const builds = runners.filter(({ provider }) => provider === "codemagic");
  const launches = await Promise.all(builds.map(({ launchId }) => ledger.getLaunch(launchId)));
  // A build's placement is its app, written down before CodeMagic was asked.
  return builds.flatMap(({ instanceId }, index) => {
    const app = launches[index]?.placement;
    if (app === undefined) return [];
    return [{ app, ...(instanceId !== undefined && { buildId: instanceId }) }];
  });
}
