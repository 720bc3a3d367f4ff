import {
  type Catalog,
  demandKey,
  dryRunKey,
  formatPlan,
  holdsAll,
  isLaunchable,
  type RunnerClass,
} from "@grp/core";
import { formatDuration } from "../format.ts";
import type { IgnoredView, TimelineEntry, WorkflowJobView } from "../view.ts";
import { readCatalog } from "./catalog.ts";
import type { CliContext } from "./context.ts";
import {
  type Action,
  type Answer,
  makeDeliveryId,
  makePayload,
  makeWorkflowJobId,
  readFacts,
  readPayload,
  sendDelivery,
} from "./delivery.ts";
import { CliError } from "./failure.ts";
import { createOpsApi } from "./ops-api.ts";

export interface SendFlags {
  readonly file?: string;
  readonly to?: string;
  readonly label?: readonly string[];
  readonly class?: string;
  readonly repository?: string;
  readonly id?: number;
  readonly event: string;
  readonly action: Action;
  readonly secret?: string;
  readonly form?: boolean;
  readonly dryRun?: boolean;
  /** Seconds. */
  readonly wait?: number;
}

const POLL_MS = 500;

/** Builds, signs and sends one delivery; with `--wait`, follows what becomes of it. */
export async function runSend(context: CliContext, flags: SendFlags): Promise<void> {
  const payload = await choosePayload(context, flags);
  const deliveryId = makeDeliveryId();
  const answer = await sendDelivery(
    { event: flags.event, deliveryId, payload },
    {
      url: flags.to ?? context.config.webhookUrl,
      secret: chooseSecret(context, flags.secret),
      asForm: flags.form ?? false,
      isDryRun: flags.dryRun ?? false,
    },
  );
  context.print(`${answer.status} ${JSON.stringify(answer.body)}`);
  const isWanted = flags.wait !== undefined || flags.dryRun;
  if (answer.status >= 300 || (isWanted && answer.body.outcome === "ignored")) return context.setExitCode(1);
  if (flags.wait === undefined || answer.status !== 202) return;
  const untilMs = context.now() + flags.wait * 1_000;
  if (flags.dryRun) return followPlan(context, keyFrom(answer) ?? dryRunKey(deliveryId), untilMs);
  return followRunner(context, demandKey(readFacts(payload).workflowJobId), untilMs);
}

/** The ingress names the key of what it took; its own derivation stays its own business. */
export function keyFrom(answer: Answer): string | undefined {
  return typeof answer.body.key === "string" ? answer.body.key : undefined;
}

export function chooseSecret({ config }: CliContext, given?: string): string {
  const secret = given ?? config.webhookToken;
  if (secret === undefined)
    throw new CliError("no secret to sign with: set WEBHOOK_TOKEN or give --secret", 2);
  return secret;
}

async function choosePayload(context: CliContext, flags: SendFlags): Promise<object> {
  if (flags.file !== undefined) return readPayload(flags.file);
  if (flags.event === "ping") return { zen: "Keep it logically awesome.", hook_id: 1, hook: {} };
  const wanted = await chooseTarget(context, flags);
  const at = context.now();
  return makePayload({
    action: flags.action,
    ...wanted,
    workflowJobId: flags.id ?? makeWorkflowJobId(at),
    at,
  });
}

/** The catalog is read only for what the flags leave open. */
async function chooseTarget(context: CliContext, flags: SendFlags) {
  if (flags.label && flags.repository) return { labels: flags.label, repository: flags.repository };
  const catalog = await readCatalog(context.config);
  const runnerClass = findClass(catalog, flags);
  if (!runnerClass) throw noSuchClass(flags.class ?? "", catalog);
  return {
    labels: flags.label ?? runnerClass.labels.slice(0, 1),
    repository: flags.repository ?? chooseRepository(catalog, runnerClass),
  };
}

/** The named one; else the first that may serve the labels, for it knows its repositories. */
function findClass({ classes }: Catalog, flags: SendFlags): RunnerClass | undefined {
  if (flags.class !== undefined) return classes.find(({ name }) => name === flags.class);
  return classes.find(({ labels }) => holdsAll(labels, flags.label ?? [])) ?? classes[0];
}

export function noSuchClass(name: string, catalog: Catalog): CliError {
  const names = catalog.classes.map((one) => one.name).join(", ");
  return new CliError(`no runner class "${name}"; there are: ${names}`, 2);
}

/** One that the catalog names, so that it is served, and is there when GitHub is asked about it. */
export function chooseRepository({ allow }: Catalog, { repositories }: RunnerClass): string {
  const named = repositories?.[0] ?? allow.repositories[0];
  if (named !== undefined) return named;
  const whose = allow.owners.length > 0 ? `, only owners (${allow.owners.join(", ")})` : "";
  throw new CliError(
    `which repository? The catalog names none${whose}: give one that exists, with --repository owner/name (make: REPOSITORY=owner/name)`,
    2,
  );
}

async function followPlan(context: CliContext, key: string, untilMs: number): Promise<void> {
  const api = createOpsApi(context.config);
  for (;;) {
    const plan = await api.plan(key);
    if (plan) {
      context.print(formatPlan(plan));
      return isLaunchable(plan) ? undefined : context.setExitCode(1);
    }
    if (context.now() >= untilMs) throw new CliError(`no plan for ${key} in time: is a worker running?`);
    await context.sleep(POLL_MS);
  }
}

/** A line per step as it happens, until the runner is gone or the demand ended. */
async function followRunner(context: CliContext, key: string, untilMs: number): Promise<void> {
  const api = createOpsApi(context.config);
  const shown = new Set<string>();
  for (;;) {
    const known = await api.workflowJob(key);
    const view = known?.kind === "demand" ? known : undefined;
    for (const entry of view?.timeline.filter(({ step }) => !shown.has(step)) ?? []) {
      context.print(formatStep(entry));
      shown.add(entry.step);
    }
    if (view && isOver(view)) return context.print(view.explanation.whereNow);
    if (context.now() >= untilMs) throw new CliError(`not done in time: ${describe(known)}`);
    await context.sleep(POLL_MS);
  }
}

/** A failure is thrown. */
function isOver({ step, demandState, explanation }: WorkflowJobView): boolean {
  if (demandState === "failed") throw new CliError(explanation.whereNow);
  return step === "gone" || demandState === "cancelled" || demandState === "dismissed";
}

function describe(known: WorkflowJobView | IgnoredView | null): string {
  if (!known) return "the ledger does not know it";
  const { whereNow, waitsFor } = known.explanation;
  return waitsFor === undefined ? whereNow : `${whereNow}; waits for ${waitsFor}`;
}

function formatStep({ step, elapsedMs }: TimelineEntry): string {
  const since = elapsedMs < 0 ? "before" : formatDuration(elapsedMs);
  return `  ${step.padEnd(9)} ${since}`;
}
