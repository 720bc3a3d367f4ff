import type { Budget, ProviderName, RunnerProvider } from "@grp/core";
import type { Ledger } from "@grp/ledger";
import { createCodemagicProvider, createEc2Provider, dryRun, ec2Regions, metered } from "@grp/providers";
import type { Metrics } from "@grp/runtime";
import type { WorkerConfig } from "./config.ts";
import { listLiveBuilds, listLiveRegions } from "./live-places.ts";
import { observeCalls } from "./signals.ts";

/**
 * The providers whose credentials there are, each call counted, and with its hands tied where the worker is dry. Also
 * one that the catalog no longer uses: what was started there is still to be listed and ended.
 */
export function composeProviders(
  config: WorkerConfig,
  { metrics, budget, ledger }: { metrics: Metrics; budget: Budget; ledger: Ledger },
): { providers: ReadonlyMap<ProviderName, RunnerProvider>; close(): void } {
  const ec2 = createEc2Provider({
    installation: config.GRP_INSTALLATION,
    regions: ec2Regions(config.catalog),
    liveRegions: () => listLiveRegions(ledger),
    endpoint: config.AWS_ENDPOINT_URL_EC2,
    limits: config.catalog.limits.ec2,
    budget,
  });
  const codemagic = createCodemagicProvider({
    installation: config.GRP_INSTALLATION,
    catalog: config.catalog,
    liveBuilds: () => listLiveBuilds(ledger),
    token: config.CODEMAGIC_TOKEN ?? "",
    apiUrl: config.CODEMAGIC_API_URL,
    v3ApiUrl: config.CODEMAGIC_V3_API_URL,
    budget,
  });
  const all: RunnerProvider[] = config.CODEMAGIC_TOKEN ? [ec2, codemagic] : [ec2];
  const observe = observeCalls(metrics);
  const wrap = (provider: RunnerProvider) => metered(config.DRY_RUN ? dryRun(provider) : provider, observe);
  return {
    providers: new Map(all.map((provider) => [provider.name, wrap(provider)])),
    close: () => ec2.close(),
  };
}
