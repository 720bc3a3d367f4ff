import type { Instance, Offering, RunnerProvider } from "@grp/core";

export interface DryRunOptions {
  /** Told what would have been done; a dry run is otherwise indistinguishable from quiet. */
  readonly onSkipped?: (what: { readonly verb: "launch" | "terminate"; readonly id: string }) => void;
}

/**
 * The provider with its hands tied: a launch validates and starts nothing (an empty list is its truth), a terminate
 * changes nothing and says `terminating` for what is live, since only the provider can say `gone`.
 */
export function dryRun<O extends Offering>(
  provider: RunnerProvider<O>,
  options: DryRunOptions = {},
): RunnerProvider<O> {
  return {
    name: provider.name,
    maxLaunchSize: provider.maxLaunchSize,
    ...(provider.admit && { admit: provider.admit.bind(provider) }),
    validate: (offering, signal) => provider.validate(offering, signal),
    list: (signal) => provider.list(signal),
    async launch(order, signal): Promise<readonly Instance[]> {
      await provider.validate(order.offering, signal);
      options.onSkipped?.({ verb: "launch", id: order.launchId });
      return [];
    },
    async terminate(instanceId) {
      options.onSkipped?.({ verb: "terminate", id: instanceId });
      return "terminating";
    },
  };
}
