import { type Catalog, dryRunKey, holdsAll, isLaunchable, type Plan, type RunnerClass } from "@grp/core";
import { readCatalog } from "./catalog.ts";
import type { CliContext } from "./context.ts";
import { makeDeliveryId, makePayload, makeWorkflowJobId, sendDelivery } from "./delivery.ts";
import { createOpsApi, type OpsApi } from "./ops-api.ts";
import { chooseRepository, chooseSecret, keyFrom, noSuchClass } from "./send.ts";
import { drawTable } from "./table.ts";

export interface TestRunnersFlags {
  readonly to?: string;
  readonly repository?: string;
  readonly secret?: string;
  readonly class?: readonly string[];
  /** Seconds. */
  readonly timeout: number;
}

interface Outcome {
  readonly runnerClass: string;
  readonly labels: string;
  readonly isGood: boolean;
  readonly answer: string;
  readonly details: string;
}

const POLL_MS = 300;

/** Plans one job for every class of the catalog on a running instance: nothing is launched, everything is checked. */
export async function runTestRunners(context: CliContext, flags: TestRunnersFlags): Promise<void> {
  const catalog = await readCatalog(context.config);
  const classes = catalog.classes.filter((one) => !flags.class || flags.class.includes(one.name));
  const unknown = flags.class?.filter((name) => !catalog.classes.some((one) => one.name === name)) ?? [];
  if (unknown.length > 0) throw noSuchClass(unknown.join(", "), catalog);
  const jobs = classes.map((runnerClass) => ({
    runnerClass,
    repository: repositoryFor(catalog, runnerClass, flags.repository),
  }));
  const secret = chooseSecret(context, flags.secret);
  const api = createOpsApi(context.config);
  // Asked first, so that a wrong address or password is told before anything is sent.
  await api.status();
  const outcomes: Outcome[] = [];
  for (const job of jobs) outcomes.push(await testClass(context, { flags, secret, api, ...job }));
  context.print(
    drawTable(
      ["class", "labels", "answer", "verdict", "details"],
      outcomes.map((one) => [
        one.runnerClass,
        one.labels,
        one.answer,
        one.isGood ? "good" : "BAD",
        one.details,
      ]),
      context.width,
    ),
  );
  const bad = outcomes.filter((one) => !one.isGood).length;
  context.print(`${outcomes.length - bad} of ${outcomes.length} runner classes would launch`);
  if (bad > 0) context.setExitCode(1);
}

/** The given one; where a class serves others alone, one of those. */
function repositoryFor(catalog: Catalog, runnerClass: RunnerClass, given: string | undefined): string {
  if (given !== undefined && holdsAll(runnerClass.repositories ?? [given], [given])) return given;
  return chooseRepository(catalog, runnerClass);
}

interface ClassTest {
  readonly flags: TestRunnersFlags;
  readonly secret: string;
  readonly api: OpsApi;
  readonly runnerClass: RunnerClass;
  readonly repository: string;
}

async function testClass(context: CliContext, test: ClassTest): Promise<Outcome> {
  const { flags, secret, api, runnerClass, repository } = test;
  const deliveryId = makeDeliveryId();
  const at = context.now();
  const payload = makePayload({
    action: "queued",
    labels: runnerClass.labels,
    repository,
    workflowJobId: makeWorkflowJobId(at),
    at,
  });
  const answer = await sendDelivery(
    { event: "workflow_job", deliveryId, payload },
    { url: flags.to ?? context.config.webhookUrl, secret, asForm: false, isDryRun: true },
  );
  const base = {
    runnerClass: runnerClass.name,
    labels: runnerClass.labels.join(", "),
    answer: String(answer.status),
  };
  if (answer.status !== 202) return { ...base, isGood: false, details: JSON.stringify(answer.body) };
  const key = keyFrom(answer) ?? dryRunKey(deliveryId);
  const plan = await waitForPlan(context, api, key, at + flags.timeout * 1_000);
  if (!plan)
    return { ...base, isGood: false, details: `no plan within ${flags.timeout} s: is a worker running?` };
  // An earlier class in the file may hold the same labels and take every job.
  const isOwn = plan.runnerClass === runnerClass.name;
  const details = isOwn ? describePlan(plan) : `goes to ${plan.runnerClass ?? `nobody (${plan.ignored})`}`;
  return { ...base, isGood: isOwn && isLaunchable(plan), details };
}

async function waitForPlan(
  context: CliContext,
  api: OpsApi,
  key: string,
  untilMs: number,
): Promise<Plan | null> {
  for (;;) {
    const plan = await api.plan(key);
    if (plan || context.now() >= untilMs) return plan;
    await context.sleep(POLL_MS);
  }
}

function describePlan(plan: Plan): string {
  if (plan.runnerClass === null) return plan.ignored ?? "ignored";
  const github = `GitHub: ${plan.github.verdict}${plan.github.why ? ` (${plan.github.why})` : ""}`;
  const offerings = plan.offerings.map(
    (offering) => `${offering.provider}: ${offering.verdict}${offering.why ? ` (${offering.why})` : ""}`,
  );
  return [github, ...offerings].join("\n");
}
