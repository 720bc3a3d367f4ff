import type { Demand } from "@grp/core";
import { createQueueConsumer } from "../consumer.ts";
import type { DeadWork, QueueConsumer, QueueConsumerOptions, Termination, WorkOutcome } from "../types.ts";

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
    queuedAt: 1,
    receivedAt: 2,
    deliveryId: "d",
    dryRun: false,
    ...more,
  };
}

export function aTermination(runnerName: string): Termination {
  return { version: 1, runnerName, launchId: "l-1", provider: "ec2", reason: "idle", requestedAt: 1 };
}

export const DONE: WorkOutcome = { kind: "done", result: { ok: true } };

/** Small delays, so that a test sees many tries within a second. */
const QUICK = { transientBaseMs: 10, transientCapMs: 20, noCapacityBaseMs: 20, noCapacityCapMs: 40 };

export interface Watched {
  readonly consumer: QueueConsumer;
  readonly dead: DeadWork[];
  readonly errors: Error[];
}

export function watchConsumer(
  redisUrl: string,
  provision: QueueConsumerOptions["processors"]["provision"],
  more: Partial<QueueConsumerOptions> = {},
): Watched {
  const dead: DeadWork[] = [];
  const errors: Error[] = [];
  const consumer = createQueueConsumer({
    redisUrl,
    provider: "ec2",
    concurrency: 5,
    processors: { provision, terminate: async () => DONE },
    onDead: async (work) => void dead.push(work),
    onError: (error) => errors.push(error),
    policy: QUICK,
    ...more,
  });
  return { consumer, dead, errors };
}

/** Waits for a condition that no event tells of. */
export async function until(condition: () => boolean | Promise<boolean>, limitMs = 8_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
