import type { Holds, ReadOptions } from "../explain/story.ts";
import type { OpsContext } from "./actions.ts";

type Queues = Awaited<ReturnType<OpsContext["producer"]["counts"]>>;

/** What an explanation needs besides the ledger's records; `queues` when they were counted already. */
export async function readWorld(
  { producer, catalog, now }: Pick<OpsContext, "producer" | "catalog" | "now">,
  queues?: Queues,
): Promise<ReadOptions> {
  const counted = queues ?? (await producer.counts());
  const holds: Holds = Object.fromEntries(
    counted.flatMap(({ provider, heldMs }) => (heldMs === undefined ? [] : [[provider, heldMs]])),
  );
  return { catalog, holds, now: now() };
}
