import { setTimeout as sleep } from "node:timers/promises";
import { AWS_THROTTLES } from "../../../packages/sandbox/src/ec2/index.ts";
import { type Stack, startStack } from "../../../packages/sandbox/src/stack/index.ts";
import { githubLimits, jobsOf, type Plan, renderCatalog, settingsOf, timesOf } from "./plan.ts";

/** Of one burst, in ms by the true clock since the first job was queued. */
export interface Burst {
  readonly plan: Plan;
  readonly queued: readonly number[];
  readonly launched: readonly number[];
  readonly registered: readonly number[];
  readonly started: readonly number[];
  readonly completed: readonly number[];
  /** RunInstances calls, and those that EC2's stand-in refused. */
  readonly calls: number;
  readonly throttled: number;
  /** Requests that GitHub's stand-in refused for its limits. */
  readonly refused: number;
  readonly githubCalls: number;
  readonly succeeded: number;
}

/** The longest wait for the last job, by the true clock: far beyond what any plan takes. */
const PATIENCE_MS = 1_800_000;

/** The whole product as real processes with stand-ins that enforce the limits; machines that only speak the protocols. */
export async function playBurst(plan: Plan): Promise<Burst> {
  const times = timesOf(plan);
  const stack = await startStack({
    runners: renderCatalog(plan),
    env: settingsOf(plan),
    as: "apps",
    appendfsync: "everysec",
    sandbox: {
      github: { apps: plan.apps, limits: githubLimits(plan), lostAfterMs: 600_000 },
      ec2: { throttle: throttles(plan.speed) },
      light: { bootMs: times.bootMs },
    },
  });
  try {
    await stack.connect();
    const begun = Date.now();
    await queueJobs(stack, jobsOf(plan), times);
    const { github } = stack.sandbox;
    const isOver = () => github.workflowJobs().every(({ status }) => status === "completed");
    await github.until(isOver, "every job to end", PATIENCE_MS / plan.speed);
    return summarise(stack, plan, begun);
  } finally {
    await stack.stop();
  }
}

function throttles(speed: number): typeof AWS_THROTTLES {
  const faster = <B extends { readonly max: number; readonly refillPerSecond: number }>(bucket: B) => ({
    ...bucket,
    refillPerSecond: bucket.refillPerSecond * speed,
  });
  return Object.fromEntries(
    Object.entries(AWS_THROTTLES).map(([api, { request, resource }]) => [
      api,
      { request: faster(request), ...(resource && { resource: faster(resource) }) },
    ]),
  );
}

async function queueJobs(stack: Stack, count: number, times: ReturnType<typeof timesOf>): Promise<void> {
  const begun = performance.now();
  for (let job = 0; job < count; job += 1) {
    const dueMs = (job / count) * times.queuedOverMs - (performance.now() - begun);
    if (dueMs > 1) await sleep(dueMs);
    const order = { owner: "acme", repository: "monorepo", labels: ["linux"], durationMs: times.jobMs };
    stack.sandbox.github.queueWorkflowJob(order);
  }
}

function summarise(stack: Stack, plan: Plan, begun: number): Burst {
  const { github, ec2 } = stack.sandbox;
  const since = (times: readonly (number | undefined)[]) =>
    times
      .filter((time) => time !== undefined)
      .map((time) => (time - begun) * plan.speed)
      .sort((a, b) => a - b);
  const jobs = github.workflowJobs();
  const launches = ec2.calls.filter(({ action }) => action === "RunInstances");
  return {
    plan,
    queued: since(jobs.map(({ queuedAt }) => queuedAt)),
    launched: since(ec2.instances().map(({ launchedAt }) => launchedAt)),
    registered: since(github.registrations().map(({ mintedAt }) => mintedAt)),
    started: since(jobs.map(({ startedAt }) => startedAt)),
    completed: since(jobs.map(({ completedAt }) => completedAt)),
    calls: launches.length,
    throttled: launches.filter(({ outcome }) => outcome === "RequestLimitExceeded").length,
    refused: github.refused(),
    githubCalls: github.calls.length,
    succeeded: jobs.filter(({ conclusion }) => conclusion === "success").length,
  };
}
