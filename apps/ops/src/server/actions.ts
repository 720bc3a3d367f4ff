import type { Catalog, Demand, ProviderName } from "@grp/core";
import type { Ledger } from "@grp/ledger";
import type { QueueProducer } from "@grp/queue";
import type { Logger } from "@grp/runtime";

export interface OpsContext {
  readonly ledger: Ledger;
  readonly producer: QueueProducer;
  /** The queue in which a demand's job lies failed, if any. */
  readonly findFailed: (demand: Demand) => Promise<ProviderName | undefined>;
  readonly logger: Logger;
  readonly isReadOnly: boolean;
  /** Undefined when it could not be read: then no limit is told. */
  readonly catalog: Catalog | undefined;
  readonly now: () => number;
}

/** `ended`: GitHub has ended the job meanwhile, so nobody waits any more; it is off the list. */
export type DeadVerdict = "done" | "not_dead" | "ended";

/** Takes a dead letter back into demand and enqueues it. Any queue will do: its worker hands it on to the right one. */
export async function retryDead(context: OpsContext, key: string): Promise<DeadVerdict> {
  const record = await context.ledger.getWorkflowJob(key);
  if (record?.demandState !== "failed") return "not_dead";
  const lastLaunch = await context.ledger.getLaunch(record.launchIds.at(-1) ?? "");
  const provider = (await context.findFailed(record.demand)) ?? lastLaunch?.provider ?? "ec2";
  const demand = await context.ledger.reviveDead(key);
  if (demand === "ended") return "ended";
  if (demand === "not-dead") return "not_dead";
  await context.producer.retry(demand, provider);
  context.logger.info("dead.retried", { key, provider, runnerClass: demand.runnerClass });
  return "done";
}

export async function dismissDead(context: OpsContext, key: string): Promise<DeadVerdict> {
  if (!(await context.ledger.dismissDead(key, context.now()))) return "not_dead";
  context.logger.info("dead.dismissed", { key });
  return "done";
}
