import type { Demand } from "@grp/core";
import type { Ledger } from "@grp/ledger";
import type { Logger } from "@grp/runtime";

export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export function aDemand(workflowJobId: number, more: Partial<Demand> = {}): Demand {
  return {
    version: 1,
    key: `wfj-${workflowJobId}`,
    workflowJobId,
    runId: 7,
    runAttempt: 1,
    owner: "acme",
    repository: "app",
    scope: { kind: "repository", owner: "acme", repository: "app" },
    runnerClass: "ubuntu-arm64",
    labels: ["ubuntu-arm64"],
    generation: 1,
    offeringIndex: 0,
    queuedAt: 1_000,
    receivedAt: 1_100,
    deliveryId: "d-1",
    dryRun: false,
    ...more,
  };
}

/** The whole way of one demand through a real ledger: its runner is `grp-a-0`, and gone at 9 s. */
export async function walkRunner(ledger: Ledger, demand: Demand): Promise<void> {
  const { key, scope, runnerClass } = demand;
  await ledger.recordQueued(demand);
  await ledger.markEnqueued(key, 1_200);
  await ledger.openLaunch({
    ...{ launchId: "l-a", provider: "ec2", runnerClass, scope, renewal: 0 },
    ...{ offeringIndex: 0, offeringDigest: "0123456789abcdef" },
    ...{ placeHolders: [key], runnerNames: ["grp-a-0"], ticketExpiresAt: 9e12, at: 1_300 },
  });
  const instance = {
    instanceId: "i-1",
    provider: "ec2",
    launchId: "l-a",
    state: "running",
    launchedAt: 2_000,
  } as const;
  await ledger.recordLaunched("l-a", [instance], 2_000);
  await ledger.recordStep("grp-a-0", "booted", 3_000);
  await ledger.beginClaim({ launchId: "l-a", instanceId: "i-1", at: 4_000, lockMs: 1_000 });
  await ledger.finishClaim({ runnerName: "grp-a-0", claimNumber: 1, runnerId: 99, at: 4_000 });
  await ledger.recordStep("grp-a-0", "online", 5_000);
  const { workflowJobId } = demand;
  const taken = { workflowJobId, runnerName: "grp-a-0", runnerId: 99 };
  await ledger.recordInProgress({ ...taken, at: 6_000 });
  await ledger.recordCompleted({ ...taken, at: 8_000, conclusion: "success" });
  await ledger.recordStep("grp-a-0", "gone", 9_000);
}
