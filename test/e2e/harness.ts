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
export function queueJob(
  { sandbox }: Stack,
  labels: readonly string[],
  { repository = "app", durationMs = 300 } = {},
): StandInWorkflowJob {
  return sandbox.github.queueWorkflowJob({ owner: "acme", repository, labels, durationMs });
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

/** Whatever a process may say of the job as its unit of work, e.g. `runner.provisioned`. */
export function lineOf(
  { workers }: Stack,
  message: string,
  { id }: StandInWorkflowJob,
  timeoutMs = 60_000,
): Promise<LogLine> {
  const fits = (line: LogLine) => line.message === message && isAbout(line, keyOf(id));
  return Promise.any(workers.filter(({ isRunning }) => isRunning).map((one) => one.line(fits, timeoutMs)));
}

const isAbout = (line: LogLine, key: string) => line.key === key || line.workflowJobKey === key;

/** Resolves with the log line that says that the machine which ran the job is gone. */
export const reaped = (stack: Stack, job: StandInWorkflowJob): Promise<LogLine> =>
  lineOf(stack, "instance.reaped", job);

/** Resolves when GitHub says that every job has ended, and tells their conclusions. */
export async function ended(
  { sandbox: { github } }: Stack,
  jobs: readonly StandInWorkflowJob[],
  timeoutMs = 60_000,
): Promise<ReadonlySet<string | null>> {
  await github.until(() => jobs.every(({ status }) => status === "completed"), "every job's end", timeoutMs);
  return new Set(jobs.map(({ conclusion }) => conclusion));
}

export function progressOf(stack: Stack, { id }: StandInWorkflowJob): Promise<Progress> {
  const [opsUrl, authorization] = [stack.ops?.url ?? "", authorizationOf(stack)];
  return readProgress({ opsUrl, authorization, workflowJobId: id });
}

/** What tests use of ops' answers. */
interface OpsAnswer {
  readonly demandState: string;
  readonly waitsFor?: string;
  readonly notes: readonly { readonly kind: string }[];
  readonly explanation: {
    readonly whereNow: string;
    readonly steps: readonly { readonly what: string }[];
  };
  readonly caps: readonly { readonly name: string; readonly used: number; readonly waiting: number }[];
  readonly warnings: readonly { readonly text: string }[];
}

export async function askOps(stack: Stack, path: string): Promise<OpsAnswer> {
  // One that was kept open may be closed by the other side in the moment it is used again.
  const headers = { authorization: authorizationOf(stack), connection: "close" };
  return (await fetch(`${stack.ops?.url}/api${path}`, { headers })).json() as Promise<OpsAnswer>;
}

function authorizationOf({ settings: { OPS_USER, OPS_PASSWORD } }: Stack): string {
  return `Basic ${Buffer.from(`${OPS_USER}:${OPS_PASSWORD}`).toString("base64")}`;
}

/** For what gives no sign of its own. */
export async function eventually(what: string, isTrue: () => boolean, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`${what}: did not happen in ${timeoutMs} ms`);
    await sleep(20);
  }
}

/** No instance, build, machine or registration is left, and GitHub was spoken to as its description says. */
export async function expectNothingLeft({ sandbox }: Stack): Promise<void> {
  const { ec2, codemagic, machines, github } = sandbox;
  const alive = () => [
    ...machines.records.filter(({ endedAt }) => endedAt === undefined).map(({ id }) => id),
    ...ec2.instances().flatMap(({ instanceId, state }) => (state === "terminated" ? [] : [instanceId])),
    ...codemagic.builds().flatMap(({ buildId, isLive }) => (isLive ? [buildId] : [])),
    ...github.runners().map(({ name }) => name),
  ];
  await eventually("the end of everything", () => alive().length === 0).catch(() => undefined);
  expect(alive()).to.deep.equal([]);
  expect(github.violations).to.deep.equal([]);
}
