import { createEc2StandIn, type Ec2StandIn, type Ec2StandInOptions } from "@grp/sandbox/ec2";
import { createEc2Provider, type Ec2Provider, type Ec2ProviderOptions } from "../ec2/provider.ts";
import { testOrder } from "./order.ts";

export const IMAGE = "ami-0aa1000000000001";
const CREDENTIALS = { accessKeyId: "AKIDTEST", secretAccessKey: "not-a-secret" };

export interface TestCloud {
  readonly ec2: Ec2StandIn;
  readonly provider: Ec2Provider;
  /** A second process's view of the same cloud, knowing nothing. */
  another(changes?: Partial<Ec2ProviderOptions>): Ec2Provider;
  /** Placements are kept as the ledger would. */
  order: typeof testOrder;
  readonly placements: Map<string, string>;
  advance(ms: number): void;
  close(): Promise<void>;
}

/** The real provider and the real SDK against the stand-in, with a clock that only `advance` moves. */
export async function createTestCloud(
  options: Ec2StandInOptions = {},
  providerOptions: Partial<Ec2ProviderOptions> = {},
): Promise<TestCloud> {
  let clock = Date.now();
  const now = () => clock;
  const ec2 = await createEc2StandIn({ throttle: false, now, ...options });
  const placements = new Map<string, string>();
  const providers: Ec2Provider[] = [];
  const another = (changes: Partial<Ec2ProviderOptions> = {}) => {
    const provider = createEc2Provider({
      installation: "grp",
      regions: ["us-east-1", "eu-west-1"],
      endpoint: ec2.url,
      ssmEndpoint: ec2.url,
      credentials: CREDENTIALS,
      renderUserData: (order) => `#!/bin/sh\n# ${order.launchId} ${order.boot.ticket}\n`,
      now,
      ...providerOptions,
      ...changes,
    });
    providers.push(provider);
    return provider;
  };
  return {
    ec2,
    provider: another(),
    another,
    placements,
    order: (launchId, size, changes) => ({
      ...testOrder(launchId, size, changes),
      placement: placements.get(launchId),
      async recordPlacement(placement) {
        placements.set(launchId, placement);
      },
    }),
    advance(ms) {
      clock += ms;
    },
    async close() {
      for (const provider of providers) provider.close();
      await ec2.close();
    },
  };
}
