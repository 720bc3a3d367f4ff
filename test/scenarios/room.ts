import { demandKey } from "../../packages/core/src/index.ts";
import type { StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import type { LogLine, Stack } from "../../packages/sandbox/src/stack/index.ts";
import {
  describeRest,
  describeWaits,
  type Findings,
  feed,
  inSeconds,
  openStack,
  renderCatalog,
  untilServed,
} from "./harness.ts";

/** Spot is out of capacity for the whole time: the second offering serves. */
export async function noSpot(): Promise<Findings> {
  const stack = await openStack({ runners: renderCatalog({ maxRunners: 200 }) });
  try {
    stack.sandbox.ec2.limitCapacity({ market: "spot" }, 0);
    const jobs = await feed(stack, { label: "linux", perSecond: 2, forMs: 20_000 });
    await untilServed(stack, jobs.length, 120_000);
    const calls = stack.sandbox.ec2.calls.filter(({ action }) => action === "RunInstances");
    return [
      ["jobs", describeWaits(jobs)],
      [
        "refused for want of capacity",
        `${calls.filter(({ outcome }) => outcome === "InsufficientInstanceCapacity").length} of ${calls.length} RunInstances`,
      ],
      ["machines", `${stack.sandbox.ec2.instances().filter(({ isSpot }) => !isSpot).length} on-demand`],
      ["the first job's way", followWay(stack, jobs[0])],
      ...describeRest(stack),
    ];
  } finally {
    await stack.stop();
  }
}

/** Two builds at a time, twenty jobs at once, each of three seconds. */
export async function codemagicFull(): Promise<Findings> {
  const builds = 2;
  const stack = await openStack({
    runners: renderCatalog({ maxRunners: 200, builds }),
    sandbox: { light: { bootMs: (random) => 1_000 + random() * 2_000 }, codemagic: { concurrency: builds } },
  });
  try {
    const jobs = await feed(stack, { label: "mac", perSecond: 1_000, forMs: 20, durationMs: 3_000 });
    await untilServed(stack, jobs.length, 300_000);
    const begun = jobs[0]?.queuedAt ?? 0;
    const starts = jobs
      .flatMap(({ startedAt }) => (startedAt === undefined ? [] : [startedAt - begun]))
      .sort((a, b) => a - b);
    return [
      ["jobs", describeWaits(jobs)],
      ["starts", starts.map((at) => inSeconds(at)).join(", ")],
      ["in the order they came", String(isInOrder(jobs))],
      [
        "from one start to the next in the same place, mean",
        inSeconds(((starts.at(-1) ?? 0) - (starts[0] ?? 0)) / (jobs.length / builds - 1)),
      ],
      ["most builds at once", String(mostAtOnce(stack))],
      ["calls to CodeMagic", String(stack.sandbox.codemagic.calls.length)],
      ...describeRest(stack),
    ];
  } finally {
    await stack.stop();
  }
}

function isInOrder(jobs: readonly StandInWorkflowJob[]): boolean {
  return jobs.every(({ startedAt = 0 }, index) => startedAt >= (jobs[index - 1]?.startedAt ?? 0));
}

function mostAtOnce({ sandbox: { machines } }: Stack): number {
  const { records } = machines;
  return Math.max(
    ...records.map(
      ({ startedAt }) =>
        records.filter(
          (one) => one.startedAt <= startedAt && (one.endedAt ?? Number.POSITIVE_INFINITY) > startedAt,
        ).length,
    ),
  );
}

/** What the processes logged of one workflow job, with the time since GitHub queued it. */
function followWay({ ingress, workers }: Stack, job: StandInWorkflowJob | undefined): string {
  if (!job) return "";
  const lines = [...ingress, ...workers].flatMap(
    (app) => app.lines as (LogLine & { time: string; key?: string })[],
  );
  const mine = lines.filter(({ key }) => key === demandKey(job.id));
  return mine
    .map(({ time, message }) => `${message} +${inSeconds(Date.parse(time) - job.queuedAt)}`)
    .join(", ");
}
