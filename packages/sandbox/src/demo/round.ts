import { setTimeout as sleep } from "node:timers/promises";
import type { Stack } from "../stack/index.ts";
import { type Progress, readProgress, STEPS, type Step } from "./progress.ts";
import type { Screen, Style } from "./screen.ts";
import { findFaults, type Outcome } from "./verdict.ts";

interface DemoJob {
  readonly label: string;
  readonly durationMs: number;
  readonly style: Style;
}

/** What the workflows ask for, and how long their jobs run. */
const JOBS: readonly DemoJob[] = [
  { label: "ubuntu-arm64", durationMs: 3_000, style: "yellow" },
  { label: "macOS-arm64", durationMs: 4_000, style: "magenta" },
];
const POLL_MS = 100;
/** `ONCE=1` is to be through within a minute of its start. */
const ROUND_MS = 45_000;

interface RoundOptions {
  readonly stack: Stack;
  readonly screen: Screen;
  readonly begunAt: number;
  readonly signal: AbortSignal;
}

/** Sends the deliveries, tells each runner's way, and judges it; true when every runner went all the way. */
export async function showRound(options: RoundOptions): Promise<boolean> {
  const { stack, screen, begunAt, signal } = options;
  await stack.connect();
  const outcomes = await Promise.all(JOBS.map((job) => follow(job, options)));
  await settle(stack, signal);
  const faults = findFaults(outcomes, stack.sandbox);
  screen.line();
  for (const { label, progress } of outcomes) {
    const { elapsedMs, runner } = progress;
    screen.result(
      elapsedMs.size === STEPS.length,
      `${label.padEnd(13)} ${runner?.runnerName ?? "no runner"}`,
    );
  }
  for (const fault of faults) screen.fault(fault);
  const isWhole = faults.length === 0;
  const words = isWhole ? "every runner went all the way" : "not every runner went all the way";
  screen.line(
    screen.paint(isWhole ? "green" : "red", `${words}; ${seconds(Date.now() - begunAt)} since the start`),
  );
  return isWhole;
}

/** Queues one workflow job at the sandbox's GitHub, which signs and sends the delivery, and tells each step as it comes. */
async function follow(job: DemoJob, { stack, screen, signal }: RoundOptions): Promise<Outcome> {
  const { id: workflowJobId } = stack.sandbox.github.queueWorkflowJob({
    owner: "acme",
    repository: "app",
    labels: [job.label],
    durationMs: job.durationMs,
    name: `test-${job.label}`,
  });
  const { OPS_USER, OPS_PASSWORD } = stack.settings;
  const authorization = `Basic ${Buffer.from(`${OPS_USER}:${OPS_PASSWORD}`).toString("base64")}`;
  const told = new Set<Step>();
  const deadline = Date.now() + ROUND_MS;
  for (;;) {
    const progress = await readProgress({ opsUrl: stack.ops?.url ?? "", authorization, workflowJobId });
    for (const step of STEPS) tell(step, { job, progress, screen, told });
    if (isOver(progress) || Date.now() > deadline) return { label: job.label, workflowJobId, progress };
    await sleep(POLL_MS, undefined, { signal });
  }
}

function isOver({ elapsedMs, failure }: Progress): boolean {
  return failure !== undefined || (elapsedMs.has("gone") && elapsedMs.has("finished"));
}

function tell(
  step: Step,
  { job, progress, screen, told }: { job: DemoJob; progress: Progress; screen: Screen; told: Set<Step> },
): void {
  const at = progress.elapsedMs.get(step);
  if (at === undefined || told.has(step)) return;
  told.add(step);
  const label = screen.paint(job.style, job.label.padEnd(13));
  const detail = describe(step, progress);
  screen.line(
    `${seconds(at).padStart(8)}  ${label} ${step.padEnd(9)}${detail && screen.paint("dim", ` ${detail}`)}`,
  );
}

function describe(step: Step, { runner }: Progress): string {
  switch (step) {
    case "received":
      return "GitHub's signed delivery";
    case "launched":
      return [runner?.provider, runner?.instanceId].filter(Boolean).join(" ");
    case "claimed":
      return runner?.runnerName ?? "";
    default:
      return "";
  }
}

/** The last deliveries and the ends of machines may come a moment after "gone". */
async function settle({ sandbox }: Stack, signal: AbortSignal): Promise<void> {
  const isSettled = () => sandbox.machines.records.every(({ endedAt }) => endedAt !== undefined);
  for (const deadline = Date.now() + 3_000; !isSettled() && Date.now() < deadline; )
    await sleep(POLL_MS, undefined, { signal });
}

const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
