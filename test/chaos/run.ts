import { randomBytes } from "node:crypto";
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { demandKey } from "../../packages/core/src/index.ts";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { type Balancer, startBalancer } from "../support/balancer.ts";
import { type AlertSink, countDeadAlerts, startAlertSink } from "./alert-sink.ts";
import { DOOMED_TYPE, renderCatalog, SETTINGS } from "./catalog.ts";
import { type InflictedFault, inflict } from "./faults.ts";
import { askOps, explainOpen } from "./ops.ts";
import type { ChaosPlan, PlannedJob } from "./plan.ts";
import { judgeRegistrations, readRecords } from "./registrations.ts";
import { collectSecrets, findSecrets, readPages, readWritings } from "./secrets.ts";
import { findLeaks, type Outcome, sortJobs } from "./verdict.ts";
import { measureWaits } from "./waits.ts";

/** One run in numbers, and every way in which it was not as it must be. */
export interface ChaosReport {
  readonly seed: number;
  readonly jobs: number;
  readonly served: number;
  readonly cancelled: number;
  readonly told: number;
  /** Messages that told of dead letters. */
  readonly alerts: number;
  readonly as: ChaosPlan["as"];
  readonly clockAheadMs: number;
  /** Claims by what they were answered; 0 where no answer came. */
  readonly claims: Readonly<Record<string, number>>;
  readonly leaks: number;
  /** All that was wrong with registrations: one that no demand had room for may be told twice, by why and by when. */
  readonly doubleRegistrations: number;
  /** Registrations that served nobody, by why that may be. */
  readonly excused: Readonly<Record<string, number>>;
  readonly longestWaitMs: number;
  /** The longest that a job waited over what it had to. */
  readonly longestOverMs: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly machineFaults: Readonly<Record<string, number>>;
  readonly durationMs: number;
  /** From the end of the last fault until all was quiet. */
  readonly settledMs: number;
  /** Empty when every invariant held. */
  readonly violations: readonly string[];
  /** Where logs and Redis's files of a run with violations were kept. */
  readonly folder?: string;
}

const POLL_MS = 200;
const START_TRIES = 3;
/** Two sweeps. */
const QUIET_MS = 2_000;

/**
 * A killed worker's work is found after 10 to 15 s, a launch without room comes back after 30 s, a machine that hangs has
 * its limits: all of it twice is still within this.
 */
const CALM_LIMIT_MS = 90_000;

/** Starts everything anew, lets the plan happen to it, waits until all is quiet, and judges. */
export async function runChaos(plan: ChaosPlan, options: { keepIn?: string } = {}): Promise<ChaosReport> {
  const begunAt = Date.now();
  const balancer = await startBalancer();
  const sink = await startAlertSink();
  const granted: string[] = [];
  let stack: Stack | undefined;
  try {
    stack = await tryToOpen(() => openStack(plan, { balancer, sink, granted }));
    await addHook(stack, plan);
    const [faults] = await Promise.all([inflictAll(stack, plan), queueAll(stack, plan)]);
    const calmAt = Date.now();
    await waitUntilQuiet(stack, sink);
    const settledMs = Date.now() - calmAt;
    const report = await judge(stack, { plan, faults, granted, alerts: sink.texts, begunAt, settledMs });
    const folder =
      report.violations.length > 0 && options.keepIn ? `${options.keepIn}/${plan.seed}` : undefined;
    if (folder) await keep(stack, report, folder);
    return { ...report, ...(folder && { folder }) };
  } finally {
    await stack?.stop();
    await balancer.close();
    await sink.close();
  }
}

/** A port that was free a moment ago may be somebody's by now. */
async function tryToOpen(open: () => Promise<Stack>): Promise<Stack> {
  for (let tries = 1; ; tries++) {
    try {
      return await open();
    } catch (error) {
      if (tries === START_TRIES) throw error;
    }
  }
}

interface Surroundings {
  readonly balancer: Balancer;
  readonly sink: AlertSink;
  readonly granted: string[];
}

async function openStack(plan: ChaosPlan, { balancer, sink, granted }: Surroundings): Promise<Stack> {
  const stack = await startStack({
    ingress: Array.from({ length: plan.ingresses }, () => ({})),
    workers: Array.from({ length: plan.workers }, (_, index) => (index === 0 ? shiftClock(plan) : {})),
    ops: {},
    as: plan.as,
    env: {
      ...{ ...SETTINGS, PUBLIC_URL: balancer.url, ALERT_WEBHOOK_URL: sink.url },
      AWS_SECRET_ACCESS_KEY: randomBytes(20).toString("hex"),
    },
    runners: renderCatalog(plan),
    appendfsync: plan.appendfsync,
    sandbox: {
      light: {
        seed: plan.seed,
        bootMs: (random) => 200 + random() * 1_300,
        faults: plan.machineFaults,
        quirks: plan.machineQuirks,
        faultOf: ({ instanceType }) => (instanceType === DOOMED_TYPE ? "dies-in-boot" : undefined),
        onGranted: (secrets) => void granted.push(...secrets),
      },
      github: { apps: 2, lostAfterMs: 1_500, token: `ghp_${randomBytes(18).toString("hex")}` },
      ec2: {
        pendingMs: 200,
        shuttingDownMs: 300,
        consistencyDelayMs: 300,
        ...(plan.isThrottled ? {} : { throttle: false as const }),
      },
      codemagic: { concurrency: plan.concurrentBuilds, cancellingMs: 200 },
    },
  });
  balancer.setTargets(stack.ingress.map(({ url }) => url));
  return stack;
}

const CLOCK = new URL("./shift-clock.ts", import.meta.url).href;

function shiftClock({ clockAheadMs }: ChaosPlan): Readonly<Record<string, string>> {
  if (clockAheadMs === 0) return {};
  return { NODE_OPTIONS: `--import=${CLOCK}`, CLOCK_AHEAD_MS: String(clockAheadMs) };
}

/** Where the deliveries can be seen: by a personal access token, or by the App whose hook it is. */
async function addHook({ sandbox, webhookUrl, settings }: Stack, { as }: ChaosPlan): Promise<void> {
  const place =
    as === "apps" ? ({ kind: "app" } as const) : ({ kind: "organization", owner: "acme" } as const);
  await sandbox.github.addHook({ url: webhookUrl, secret: settings.WEBHOOK_TOKEN ?? "", place });
}

async function inflictAll(stack: Stack, plan: ChaosPlan): Promise<readonly InflictedFault[]> {
  const inflicted = plan.faults.map(async (fault) => {
    await sleep(fault.atMs);
    return inflict(stack, fault);
  });
  return (await Promise.all(inflicted)).filter((fault) => fault !== undefined);
}

async function queueAll(stack: Stack, plan: ChaosPlan): Promise<void> {
  await Promise.all(plan.jobs.map((job) => queueOne(stack, job)));
}

async function queueOne({ sandbox: { github } }: Stack, job: PlannedJob): Promise<void> {
  await sleep(job.atMs);
  const { label, repository, durationMs, ending, cancelAfterMs } = job;
  const { id } = github.queueWorkflowJob({ owner: "acme", repository, labels: [label], durationMs, ending });
  if (cancelAfterMs === undefined) return;
  await sleep(cancelAfterMs);
  github.cancelWorkflowJob(id);
}

/** Every job over or told, and the alert sent; nothing left, and so for longer than a sweep takes to come to another mind. */
async function waitUntilQuiet(stack: Stack, sink: AlertSink): Promise<void> {
  const limit = Date.now() + CALM_LIMIT_MS;
  for (let quietSince = Date.now(); Date.now() < limit; await sleep(POLL_MS)) {
    const { open, served, told } = sortJobs(stack, await readDead(stack));
    const isSilent = told.length > 0 && countDeadAlerts(sink.texts) === 0;
    const isBusy = open.length > 0 || isSilent || served.some(({ status }) => status !== "completed");
    if (isBusy || findLeaks(stack).length > 0) quietSince = Date.now();
    if (Date.now() - quietSince > QUIET_MS) return;
  }
}

async function readDead(stack: Stack): Promise<ReadonlySet<string>> {
  const answer = (await askOps(stack, "/api/dead").catch(() => ({}))) as { dead?: { key: string }[] };
  return new Set(answer.dead?.map(({ key }) => key));
}

interface Findings {
  readonly plan: ChaosPlan;
  readonly faults: readonly InflictedFault[];
  readonly granted: readonly string[];
  readonly alerts: readonly string[];
  readonly begunAt: number;
  readonly settledMs: number;
}

async function judge(stack: Stack, findings: Findings): Promise<ChaosReport> {
  const { plan, faults, alerts, begunAt, settledMs } = findings;
  const outcome = sortJobs(stack, await readDead(stack));
  const leaks = findLeaks(stack);
  const registrations = judgeRegistrations(readRecords(stack, faults));
  const claims = stack.sandbox.machines.records.flatMap((record) => record.claims ?? []);
  const machineFaults = stack.sandbox.machines.records.flatMap(({ fault }) => fault ?? []);
  return {
    seed: plan.seed,
    jobs: plan.jobs.length,
    served: outcome.served.length,
    cancelled: outcome.cancelled.length,
    told: outcome.told.length,
    alerts: countDeadAlerts(alerts),
    as: plan.as,
    clockAheadMs: plan.clockAheadMs,
    claims: countEach(claims.map(({ status = 0, isRude }) => `${isRude ? "rude " : ""}${status}`)),
    leaks: leaks.length,
    doubleRegistrations: registrations.violations.length,
    excused: registrations.excused,
    ...measureWaits(stack, findings),
    faults: countEach(faults.map(({ kind }) => kind)),
    machineFaults: countEach(machineFaults),
    durationMs: Date.now() - begunAt,
    settledMs,
    violations: [
      ...(await explainOpen(stack, outcome.open)),
      ...judgeAlerts(outcome, countDeadAlerts(alerts)),
      ...leaks.map((leak) => `left: ${leak}`),
      ...registrations.violations,
      ...(await findLeakedSecrets(stack, findings, outcome)),
      ...stack.sandbox.github.violations.map(
        ({ operation, errors }) => `GitHub's API misused: ${operation} ${errors}`,
      ),
    ],
  };
}

/** Sent again when a worker died over it; but never one for each. */
const MOST_ALERTS = 3;

function judgeAlerts({ told }: Outcome, alerts: number): readonly string[] {
  if (told.length > 0 && alerts === 0) return [`${told.length} dead letters, and no alert`];
  return alerts > MOST_ALERTS ? [`${alerts} alerts of one outage`] : [];
}

async function findLeakedSecrets(
  stack: Stack,
  { granted, alerts }: Findings,
  outcome: Outcome,
): Promise<readonly string[]> {
  const shown = [...outcome.told, ...outcome.open, ...outcome.served.slice(0, 3)].map(({ id }) =>
    demandKey(id),
  );
  const told = alerts.map((text) => ({ where: "an alert", text }));
  const texts = [...(await readWritings(stack.folder)), ...(await readPages(stack, shown)), ...told];
  return findSecrets(collectSecrets(stack, granted), texts).map((found) => `secret: ${found}`);
}

function countEach(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    [...Map.groupBy(names, (name) => name)].map(([name, { length }]) => [name, length]),
  );
}

/** Logs, Redis's files, and what the stand-ins know, for a person to look at. */
async function keep(stack: Stack, report: ChaosReport, folder: string): Promise<void> {
  await cp(stack.folder, folder, { recursive: true });
  const { github, ec2, codemagic, machines } = stack.sandbox;
  const world = {
    report,
    jobs: github.workflowJobs(),
    runners: github.registrations(),
    deliveries: github.deliveries.map(({ payload: _payload, ...delivery }) => delivery),
    calls: github.calls,
    instances: ec2.instances().map(({ userData: _userData, request: _request, ...instance }) => instance),
    builds: codemagic.builds().map(({ variables: _variables, ...build }) => build),
    machines: machines.records.map((record) => ({ ...record, console: record.console() })),
  };
  await writeFile(join(folder, "world.json"), JSON.stringify(world, null, 1));
}
