import type { Admission, Budget, Catalog, Ec2Offering, LaunchOrder, RunnerProvider, Turn } from "@grp/core";
import { listPlaces } from "../list-places.ts";
import { type ClientOptions, createClients } from "./clients.ts";
import { createImageResolver } from "./image.ts";
import { describeInstances, LIVE_STATES, toInstance } from "./instances.ts";
import { launch } from "./launch.ts";
import { AWS_LIMITS, createPace, type Ec2Limits } from "./pace.ts";
import { createRefusals } from "./refusals.ts";
import { INSTALLATION_TAG } from "./run-request.ts";
import { createTerminator } from "./terminate.ts";
import { validate } from "./validate.ts";

export interface Ec2ProviderOptions extends ClientOptions {
  /** Value of the owner tag `grp:installation`: what bears it is ours to list and to end. */
  readonly installation: string;
  /** Every region of the catalog's EC2 offerings: `list` asks them all. */
  readonly regions: readonly string[];
  /** Regions of live machines, asked as well: one that left the catalog still has them. */
  readonly liveRegions?: () => Promise<readonly string[]>;
  /** Same order, same bytes: EC2 takes a retry with other user data for another launch. */
  readonly renderUserData: (order: LaunchOrder<Ec2Offering>) => string;
  /** What AWS allows, and who has used it up; nothing is held back without. */
  readonly limits?: Ec2Limits;
  readonly budget?: Budget;
  readonly now?: () => number;
}

export interface Ec2Provider extends RunnerProvider<Ec2Offering> {
  admit(offering: Ec2Offering, wanted: number, turn?: Turn): Promise<Admission>;
  /** Closes the connections that wait for the next call. */
  close(): void;
}

/** EC2 behind the four verbs. Keeps no state that matters: any process, at any time, finds the same machines. */
export function createEc2Provider(options: Ec2ProviderOptions): Ec2Provider {
  const { installation, renderUserData } = options;
  const now = options.now ?? Date.now;
  const regions = [...new Set(options.regions)];
  const limits = options.limits ?? AWS_LIMITS;
  const pace = createPace(limits, options.budget);
  const clients = createClients(options, pace);
  const images = createImageResolver(clients, now);
  const refusals = createRefusals(now);
  // No more than are started in one call, nor than the bucket ever holds.
  const mostEnded = Math.min(limits.launchSize, limits.endedInstances.burst);
  const terminator = createTerminator({ clients, regions, mostEnded, now });
  return {
    name: "ec2",
    maxLaunchSize: limits.launchSize,
    // A leave for a call that would not be made would only keep others waiting.
    admit: async (offering, wanted, turn) =>
      refusals.areAll(offering) ? { granted: wanted } : pace.admit(offering.region, wanted, turn),
    validate: (offering, signal) => validate({ clients, images, installation }, offering, signal),
    async launch(order, signal) {
      const launchContext = { clients, images, installation, refusals, renderUserData };
      const instances = await launch(launchContext, order, signal);
      for (const { instanceId } of instances) terminator.remember(instanceId, order.offering.region);
      return instances;
    },
    terminate: terminator.terminate,
    async list(signal) {
      const filters = [
        { Name: `tag:${INSTALLATION_TAG}`, Values: [installation] },
        { Name: "instance-state-name", Values: LIVE_STATES },
      ];
      const live = (await options.liveRegions?.()) ?? [];
      const listing = await listPlaces([...new Set([...regions, ...live])], async (region) => {
        const found = await describeInstances(clients, region, filters, signal);
        return found.map((described) => toInstance(described));
      });
      for (const { instanceId, region } of listing.instances)
        if (region) terminator.remember(instanceId, region);
      return listing;
    },
    close: clients.destroy,
  };
}

/** Every region of the catalog's EC2 offerings, once, in file order. */
export function ec2Regions(catalog: Pick<Catalog, "classes">): readonly string[] {
  const offerings = catalog.classes.flatMap((runnerClass) => runnerClass.offerings);
  return [...new Set(offerings.flatMap((one) => (one.provider === "ec2" ? [one.region] : [])))];
}
