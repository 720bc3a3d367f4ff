import { setTimeout as sleep } from "node:timers/promises";
import type { SandboxOptions, StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";

/** What a scenario found, row by row. */
export type Findings = readonly (readonly [what: string, value: string])[];

/** Every setting is the shipped one; machines boot in one to three seconds. */
export async function openStack(options: {
  readonly runners: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly sandbox?: SandboxOptions;
}): Promise<Stack> {
  const stack = await startStack({
    workers: [{}, {}],
    ops: {},
    runners: options.runners,
    appendfsync: "everysec",
    ...(options.env && { env: options.env }),
    sandbox: {
      light: { bootMs: (random) => 1_000 + random() * 2_000 },
      ...options.sandbox,
    },
  });
  const place = { kind: "organization", owner: "acme" } as const;
  await stack.sandbox.github.addHook({
    url: stack.webhookUrl,
    secret: stack.settings.WEBHOOK_TOKEN ?? "",
    place,
  });
  // As if they had been started after the webhook was set up: they look for it when they start.
  await Promise.all(stack.workers.map((worker) => worker.restart()));
  return stack;
}

const EC2 = `provider: ec2, region: us-east-1, image: { id: ami-0aa1000000000001 }, instanceTypes: [t4g.large],
          subnets: "\${EC2_SUBNETS}", securityGroups: "\${EC2_SECURITY_GROUPS}"`;

/** Where what AWS and GitHub allow is not what is looked at. */
export const NO_LIMITS = `limits:
  github: { points: 1000000, registrations: { most: 1000000, window: 5m } }
  ec2:
    runInstances: { burst: 1000000, perSecond: 1000000 }
    instances: { burst: 1000000, perSecond: 1000000 }
    terminateInstances: { burst: 1000000, perSecond: 1000000 }
    endedInstances: { burst: 1000000, perSecond: 1000000 }
    describe: { burst: 1000000, perSecond: 1000000 }
`;

/** `linux`: spot, then on-demand; `mac`: CodeMagic. */
export function renderCatalog({ maxRunners, builds = 1 }: { maxRunners: number; builds?: number }): string {
  return `version: 1
allow: { owners: [acme] }
codemagicTeams: { default: { maxConcurrentBuilds: ${builds} } }
classes:
  - name: linux
    labels: [linux, self-hosted]
    platform: { os: linux, arch: arm64 }
    maxRunners: ${maxRunners}
    offerings:
      - { ${EC2}, market: spot }
      - { ${EC2}, market: on-demand }
  - name: mac
    labels: [mac, self-hosted]
    platform: { os: macos, arch: arm64 }
    maxRunners: ${maxRunners}
    maxRuntime: 110m
    offerings:
      - { provider: codemagic, app: "\${CODEMAGIC_APP_ID}" }
`;
}

export interface Feed {
  readonly label: string;
  readonly perSecond: number;
  readonly forMs: number;
  readonly durationMs?: number;
}

/** Queues workflow jobs at an even rate; resolves with them when all are queued. */
export async function feed({ sandbox }: Stack, order: Feed): Promise<readonly StandInWorkflowJob[]> {
  const { label, perSecond, forMs, durationMs = 1_000 } = order;
  const begunAt = Date.now();
  const jobs: StandInWorkflowJob[] = [];
  while (jobs.length < (perSecond * forMs) / 1_000) {
    await sleep(Math.max(0, begunAt + (jobs.length * 1_000) / perSecond - Date.now()));
    jobs.push(
      sandbox.github.queueWorkflowJob({ owner: "acme", repository: "app", labels: [label], durationMs }),
    );
  }
  return jobs;
}

/** For the last machines to end after their jobs; what lives longer is told as left. */
const END_MS = 60_000;

/** Waits until every one of them has ended, and the machines with them. */
export async function untilServed(stack: Stack, count: number, limitMs: number): Promise<void> {
  const { github } = stack.sandbox;
  await until(() => github.workflowJobs().filter(isCompleted).length >= count, limitMs);
  await until(() => countLiving(stack).every((living) => living === 0), END_MS);
}

const isCompleted = ({ status }: StandInWorkflowJob) => status === "completed";

async function until(holds: () => boolean, limitMs: number): Promise<void> {
  for (const limit = Date.now() + limitMs; !holds(); await sleep(250)) if (Date.now() > limit) return;
}

function countLiving({ sandbox: { github, ec2, codemagic } }: Stack): [number, number, number] {
  return [
    ec2.instances().filter(({ state }) => state !== "terminated").length,
    codemagic.builds().filter(({ isLive }) => isLive).length,
    github.runners().length,
  ];
}

export const inSeconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;

/** Of those that were queued in a span: how many, how many were served, and how long they waited for a machine. */
export function describeWaits(jobs: readonly StandInWorkflowJob[]): string {
  const waits = jobs
    .flatMap(({ queuedAt, startedAt }) => (startedAt === undefined ? [] : [startedAt - queuedAt]))
    .sort((a, b) => a - b);
  const at = (share: number) =>
    inSeconds(waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] ?? 0);
  return `${waits.length} of ${jobs.length} served; waited ${at(0.5)} (median), ${at(0.95)} (p95), ${at(1)} (longest)`;
}

/** How many had started by then, at each mark after `from`. */
export function drawTimeline(
  jobs: readonly StandInWorkflowJob[],
  from: number,
  marksS: readonly number[],
): string {
  const countBy = (at: number) =>
    jobs.filter(({ startedAt }) => startedAt !== undefined && startedAt <= at).length;
  return marksS.map((mark) => `${mark} s: ${countBy(from + mark * 1_000)}`).join(" · ");
}

/** Jobs that came by another way than their first delivery, as the workers' logs say. */
export function describeRecovery({ workers }: Stack): string {
  const sum = (message: string, field: string) =>
    workers
      .flatMap(({ lines }) => lines.filter((line) => line.message === message))
      .reduce((total, line) => total + Number(line[field] ?? 0), 0);
  const redelivered = sum("deliveries.recovered", "redelivered");
  return `${redelivered} deliveries asked for again, ${sum("workflow-jobs.unheard", "found")} jobs found among the queued runs`;
}

/**
 * Registrations that ran nothing, and what lives still. One is made again under its name where GitHub's answer was lost:
 * that costs a call, and no machine.
 */
export function describeRest(stack: Stack): Findings {
  const all = stack.sandbox.github.registrations();
  const unused = all.filter(({ workflowJobId }) => workflowJobId === undefined).length;
  const idle = [...Map.groupBy(all, ({ name }) => name).values()].filter((same) =>
    same.every(({ workflowJobId }) => workflowJobId === undefined),
  ).length;
  const [instances, builds, runners] = countLiving(stack);
  return [
    ["registrations that ran no job", `${unused} of ${all.length}; ${idle} machines had one and ran none`],
    ["left at the end", `${instances} instances, ${builds} builds, ${runners} runners`],
  ];
}
