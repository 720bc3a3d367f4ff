import { setTimeout as sleep } from "node:timers/promises";
import { type Stack, startStack } from "../../../packages/sandbox/src/stack/index.ts";
import type { Measure, Row } from "../row.ts";

const JOBS = 20;
const SERVED_MS = 120_000;
/** Sweeps and looks for lost deliveries come this often here, so that a few of each fit into a bench. */
const QUICK_SECONDS = 1;
const IDLE_SECONDS = 20;

/** As shipped (`apps/worker/src/config.ts`); what recurs is scaled to these. */
const SHIPPED = { SWEEP_INTERVAL: 30, REDELIVERY_INTERVAL: 60, UNHEARD_INTERVAL: 600 };
const NEVER = "3600";

function startWith(env: Readonly<Record<string, string>>): Promise<Stack> {
  return startStack({
    env: { ...env, END_GRACE: "0", LOG_LEVEL: "warn" },
    appendfsync: "everysec",
    sandbox: { ec2: { throttle: false }, light: { bootMs: 200 } },
  });
}

/** Calls to GitHub and EC2 for a job that runs on a machine of ours, from `queued` to its machine's end. */
async function measurePerJob(): Promise<Measure> {
  const stack = await startWith(mapOf(() => NEVER));
  try {
    await stack.connect();
    const { github, ec2 } = stack.sandbox;
    forget(stack);
    for (let index = 0; index < JOBS; index += 1) {
      github.queueWorkflowJob({
        owner: "acme",
        repository: "app",
        labels: ["ubuntu-arm64"],
        durationMs: 100,
      });
      await sleep(100);
    }
    const deadline = performance.now() + SERVED_MS;
    const isOver = () =>
      github.workflowJobs().every(({ status }) => status === "completed") &&
      ec2.instances().every(({ state }) => state === "terminated");
    while (!isOver()) {
      if (performance.now() > deadline) throw new Error(`not all of ${JOBS} jobs were served`);
      await sleep(100);
    }
    const calls = count(stack);
    return { value: (calls.github + calls.ec2) / JOBS, figures: perJob(calls) };
  } finally {
    await stack.stop();
  }
}

const perJob = ({ github, ec2 }: Calls) => ({ github: github / JOBS, ec2: ec2 / JOBS });

/** Calls an hour while nothing happens: each thing that recurs is run often by itself, and scaled to how often it is shipped. */
async function measureIdle(): Promise<Measure> {
  let [github, ec2] = [0, 0];
  for (const name of Object.keys(SHIPPED) as (keyof typeof SHIPPED)[]) {
    const stack = await startWith(mapOf((other) => (other === name ? String(QUICK_SECONDS) : NEVER)));
    try {
      await stack.connect();
      // What each does once, when it starts, is not what it costs in an hour.
      await sleep(5_000);
      forget(stack);
      await sleep(IDLE_SECONDS * 1_000);
      const calls = count(stack);
      const runs = IDLE_SECONDS / QUICK_SECONDS;
      github += (calls.github / runs) * (3_600 / SHIPPED[name]);
      ec2 += (calls.ec2 / runs) * (3_600 / SHIPPED[name]);
    } finally {
      await stack.stop();
    }
  }
  return { value: github + ec2, figures: { github, ec2 } };
}

function mapOf(value: (name: string) => string): Record<string, string> {
  return Object.fromEntries(Object.keys(SHIPPED).map((name) => [name, value(name)]));
}

interface Calls {
  readonly github: number;
  readonly ec2: number;
}

function forget({ sandbox: { github, ec2 } }: Stack): void {
  github.calls.length = 0;
  ec2.calls.length = 0;
}

function count({ sandbox: { github, ec2 } }: Stack): Calls {
  return { github: github.calls.length, ec2: ec2.calls.length };
}

export const costRows: readonly Row[] = [
  {
    ...{ name: "calls-per-job", unit: "calls a job", isOnce: true },
    about: "to GitHub and EC2 for a job served on a machine of its own, one at a time",
    measure: measurePerJob,
  },
  {
    ...{ name: "calls-idle", unit: "calls an hour", isOnRequest: true, isOnce: true },
    about: "to GitHub and EC2 while nothing happens",
    measure: measureIdle,
  },
];
