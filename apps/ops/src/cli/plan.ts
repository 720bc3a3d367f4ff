import {
  type Catalog,
  demandKey,
  formatPlan,
  matchRunnerClass,
  type Plan,
  scopeKey,
  summariseOffering,
} from "@grp/core";
import { readCatalog } from "./catalog.ts";
import type { CliContext } from "./context.ts";
import { type PayloadFacts, readFacts, readPayload } from "./delivery.ts";

/** What would be launched for a recorded delivery, without any server: nothing is asked of any provider. */
export async function runPlan(
  context: CliContext,
  file: string,
  options: { label?: readonly string[]; json?: boolean },
): Promise<void> {
  const catalog = await readCatalog(context.config);
  const facts = readFacts(await readPayload(file));
  const plan = planOffline(catalog, { ...facts, labels: options.label ?? facts.labels });
  context.print(options.json ? JSON.stringify(plan, null, 2) : formatPlan(plan));
  if (plan.runnerClass === null) context.setExitCode(1);
}

function planOffline(catalog: Catalog, facts: PayloadFacts): Plan {
  const verdict = matchRunnerClass(catalog, facts);
  const base = {
    key: demandKey(facts.workflowJobId),
    repository: `${facts.owner}/${facts.repository}`,
    labels: facts.labels,
    github: { verdict: "not-checked" as const },
  };
  if (!verdict.matched)
    return { ...base, runnerClass: null, registersAt: null, ignored: verdict.reason, offerings: [] };
  return {
    ...base,
    runnerClass: verdict.runnerClass.name,
    registersAt: scopeKey(verdict.scope),
    offerings: verdict.runnerClass.offerings.map((offering) => ({
      provider: offering.provider,
      summary: summariseOffering(offering),
      verdict: "not-checked",
    })),
  };
}
