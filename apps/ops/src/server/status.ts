import type { ClassCount } from "@grp/ledger";
import type { OpsContext } from "./actions.ts";

export interface Status {
  readonly at: number;
  readonly isReadOnly: boolean;
  readonly caps: readonly { name: string; limit: number; used: number; waiting: number }[];
  readonly queues: Awaited<ReturnType<OpsContext["producer"]["counts"]>>;
  readonly classes: readonly ClassCount[];
  /** Runners not yet gone, by step. */
  readonly runners: Readonly<Record<string, number>>;
  /** At most a hundred are counted. */
  readonly dead: number;
}

/** Everything at a glance; a few round trips to Redis. */
export async function readStatus({ ledger, producer, isReadOnly, now }: OpsContext): Promise<Status> {
  const [caps, queues, classes, live, dead] = await Promise.all([
    ledger.listCaps(),
    producer.counts(),
    ledger.countByClass(),
    ledger.listLiveRunners(),
    ledger.listDead(100),
  ]);
  const runners: Record<string, number> = {};
  for (const { step } of live) runners[step] = (runners[step] ?? 0) + 1;
  return { at: now(), isReadOnly, caps, queues, classes, runners, dead: dead.length };
}
