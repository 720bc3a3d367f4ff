import { PROVIDERS } from "@grp/queue";
import type { IngressContext } from "../context.ts";
import { releasePlace } from "../places.ts";

/** Takes a demand that still waits out of its queue, and out of its line; a machine already on its way is refused at its claim. */
export async function withdraw(
  context: IngressContext,
  { jobId, launchIds }: { readonly jobId: string; readonly launchIds: readonly string[] },
): Promise<void> {
  const removed = await Promise.all(PROVIDERS.map((provider) => context.producer.withdraw(provider, jobId)));
  if (removed.some(Boolean) && launchIds.length === 0) await releasePlace(context, jobId);
}
