import { createHmac } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { type Progress, readProgress } from "../../packages/sandbox/src/demo/progress.ts";
import type { StandInDelivery, StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import type { LogLine, Stack } from "../../packages/sandbox/src/stack/index.ts";

export const LINUX = ["ubuntu-arm64"];
export const MAC = ["macOS-arm64"];

/** Short where a person would wait: machines end a second after their job, the sweep judges after two. */
export const QUICK = { END_GRACE: "1", SWEEP_INTERVAL: "1", SWEEP_GRACE: "2" };

/** Queues a workflow job at the sandbox's GitHub, which sends the delivery. */
export function queueJob(stack: Stack, labels: readonly string[], durationMs = 300): StandInWorkflowJob {
  return stack.sandbox.github.queueWorkflowJob({ owner: "acme", repository: "app", labels, durationMs });
}

/** Queues one whose delivery never arrives, and gives it to be sent by hand. */
export function queueUnheard(stack: Stack, labels: readonly string[]) {
  stack.sandbox.github.dropNext();
  const job = queueJob(stack, labels);
  const delivery = stack.sandbox.github.deliveries.at(-1);
  if (!delivery) throw new Error("the stack is not connected: no delivery was made");
  return { job, delivery };
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Sends a delivery as GitHub does. */
export async function send(
  stack: Stack,
  delivery: Pick<StandInDelivery, "event" | "guid" | "payload">,
  { to = stack.ingress[0]?.url, query = "" }: { to?: string; query?: string } = {},
): Promise<Answer> {
  const body = JSON.stringify(delivery.payload);
  const signature = createHmac("sha256", stack.settings.WEBHOOK_TOKEN ?? "")
    .update(body)
    .digest("hex");
  const response = await fetch(`${to}/webhook${query}`, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "x-github-event": delivery.event,
      "x-github-delivery": delivery.guid,
      "x-hub-signature-256": `sha256=${signature}`,
    },
  });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

const keyOf = (workflowJobId: number) => `wfj-${workflowJobId}`;

/** The first line of any worker that fits, waited for. */
function workerLine(stack: Stack, fits: (line: LogLine) => boolean): Promise<LogLine> {
  return Promise.any(stack.workers.map((worker) => worker.line(fits)));
}

/** Resolves with the log line that says that the machine which ran the job is gone. */
export function reaped(stack: Stack, workflowJobId: number): Promise<LogLine> {
  const key = keyOf(workflowJobId);
  return workerLine(stack, (line) => line.message === "instance.reaped" && line.workflowJobKey === key);
}

export function progressOf(stack: Stack, workflowJobId: number): Promise<Progress> {
  const { OPS_USER, OPS_PASSWORD } = stack.settings;
  const authorization = `Basic ${Buffer.from(`${OPS_USER}:${OPS_PASSWORD}`).toString("base64")}`;
  return readProgress({ opsUrl: stack.ops?.url ?? "", authorization, workflowJobId });
}

/** For what gives no sign of its own. */
async function eventually(what: string, isTrue: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`${what}: did not happen in ${timeoutMs} ms`);
    await sleep(20);
  }
}

/** No instance, build, machine or registration is left, and GitHub was spoken to as its description says. */
export async function expectNothingLeft({ sandbox }: Stack): Promise<void> {
  const { ec2, codemagic, machines, github } = sandbox;
  await eventually("every machine has ended", () =>
    machines.records.every(({ endedAt }) => endedAt !== undefined),
  );
  expect(ec2.instances().filter(({ state }) => state !== "terminated")).to.deep.equal([]);
  expect(codemagic.builds().filter(({ isLive }) => isLive)).to.deep.equal([]);
  expect(github.runners()).to.deep.equal([]);
  expect(github.violations).to.deep.equal([]);
}
