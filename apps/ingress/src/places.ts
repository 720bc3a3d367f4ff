import type { IngressContext } from "./context.ts";

/** Gives a holder's places back and starts those who had waited for them. */
export async function releasePlace(context: IngressContext, holder: string): Promise<void> {
  const waiters = await context.ledger.releasePlace(holder, context.now());
  await Promise.all(waiters.map((waiter) => context.producer.wake(waiter.provider, waiter.holder)));
}
