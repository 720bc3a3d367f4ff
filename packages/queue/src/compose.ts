import { createRequire } from "node:module";
import type { Demand, ProviderName, QueueEntry, QueueScript } from "@grp/core";
import { type IRedisTransaction, Job, type Queue } from "bullmq";
import { demandOptions } from "./retry-policy.ts";

/** BullMQ exports them by this path alone, and their types by another. */
const scripts: typeof import("bullmq/dist/esm/scripts/index.js") = createRequire(import.meta.url)(
  "bullmq/dist/cjs/scripts/index.js",
);

/** Those by which BullMQ adds a job without and with a priority. */
const ADDERS = new Map(
  [scripts.addStandardJob, scripts.addPrioritizedJob].map(({ name, keys, content }) => {
    const script: QueueScript = { name, lua: content };
    return [name, { script, keys }] as const;
  }),
);

/**
 * What `queue.add` would send, not sent. BullMQ adds a job to any client or transaction it is given, for flows; this one
 * only looks what it is asked for.
 */
export function composeEntry(queue: Queue, demand: Demand, provider: ProviderName): QueueEntry {
  const options = demandOptions(demand);
  const job = new Job(queue, "provision", demand, options, options.jobId);
  let asked: { readonly command: string; readonly args: readonly (string | Buffer)[] } | undefined;
  const transaction = {
    runCommand(command: string, args: readonly (string | Buffer)[]) {
      asked = { command, args };
    },
  };
  const added = queue.backend.addJobToTransaction(
    transaction as unknown as IRedisTransaction,
    job.asJSON(),
    options.jobId,
  );
  // Nothing was added; what it says of that is of no interest.
  added.catch(() => undefined);
  if (!asked) throw new Error("BullMQ asked for no script to add a job");
  return toEntry(asked.command, asked.args, provider);
}

function toEntry(command: string, args: readonly (string | Buffer)[], provider: ProviderName): QueueEntry {
  // `<name>:<version of BullMQ>`
  const adder = ADDERS.get(command.slice(0, command.indexOf(":")));
  if (!adder) throw new Error(`BullMQ adds a job by ${command}, which is not known here`);
  const { script, keys } = adder;
  return { provider, script, keys: args.slice(0, keys) as string[], args: args.slice(keys) };
}
