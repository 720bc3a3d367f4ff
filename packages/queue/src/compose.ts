import { createRequire } from "node:module";
import { type Demand, demandJobId, type ProviderName, type QueueEntry, type QueueScript } from "@grp/core";
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

export interface Composing {
  readonly queue: Queue;
  readonly demand: Demand;
  readonly provider: ProviderName;
}

/**
 * What `queue.add` would send, not sent. BullMQ composes the first entry of each shape; those that follow have their own job id,
 * moment and data written over a copy of it, for which BullMQ takes three times as long. Two entries differ in nothing else; a
 * test compares.
 */
export function createComposer(): (composing: Composing) => QueueEntry {
  const forms = new Map<string, Form>();
  return (composing) => {
    const { demand, provider } = composing;
    const jobId = demandJobId(demand.key, demand.generation);
    const shape = `${provider} ${demand.rank ?? 0} ${jobId.length}`;
    const form = forms.get(shape);
    if (form) return fillIn(form, jobId, demand);
    const { entry, timestamp } = composeByBullMQ(composing);
    const newForm = toForm(entry, jobId, timestamp);
    if (newForm) forms.set(shape, newForm);
    return entry;
  };
}

/** An entry, and where in its arguments there stands what is the job's own. */
interface Form {
  readonly entry: QueueEntry;
  /** The job's id, name and moment among other things, as MessagePack. */
  readonly job: { readonly bytes: Buffer; readonly idAt: number; readonly timestampAt: number };
  readonly options: { readonly bytes: Buffer; readonly idAt: number };
}

/** Undefined when BullMQ packs its arguments otherwise than is known here: then it composes every entry. */
function toForm(entry: QueueEntry, jobId: string, timestamp: number): Form | undefined {
  const [job, data, options, ...more] = entry.args;
  if (!Buffer.isBuffer(job) || typeof data !== "string" || !Buffer.isBuffer(options) || more.length > 0)
    return undefined;
  const places = [find(job, jobId), find(job, toDouble(timestamp)), find(options, jobId)] as const;
  if (places.includes(-1)) return undefined;
  const [idAt, timestampAt, optionsIdAt] = places;
  return { entry, job: { bytes: job, idAt, timestampAt }, options: { bytes: options, idAt: optionsIdAt } };
}

/** -1 unless it is there once. */
function find(bytes: Buffer, wanted: string | Buffer): number {
  const at = bytes.indexOf(wanted);
  return bytes.indexOf(wanted, at + 1) === -1 ? at : -1;
}

/** As MessagePack has a number of this size. */
function toDouble(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(number);
  return bytes;
}

function fillIn({ entry, ...form }: Form, jobId: string, demand: Demand): QueueEntry {
  const job = Buffer.from(form.job.bytes);
  job.write(jobId, form.job.idAt, "latin1");
  job.writeDoubleBE(Date.now(), form.job.timestampAt);
  const options = Buffer.from(form.options.bytes);
  options.write(jobId, form.options.idAt, "latin1");
  return { ...entry, args: [job, JSON.stringify(demand), options] };
}

/** BullMQ adds a job to any client or transaction it is given, for flows; this one only looks what it is asked for. */
function composeByBullMQ({ queue, demand, provider }: Composing): { entry: QueueEntry; timestamp: number } {
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
  return { entry: toEntry(asked.command, asked.args, provider), timestamp: job.timestamp };
}

function toEntry(command: string, args: readonly (string | Buffer)[], provider: ProviderName): QueueEntry {
  // `<name>:<version of BullMQ>`
  const adder = ADDERS.get(command.slice(0, command.indexOf(":")));
  if (!adder) throw new Error(`BullMQ adds a job by ${command}, which is not known here`);
  const { script, keys } = adder;
  return { provider, script, keys: args.slice(0, keys) as string[], args: args.slice(keys) };
}
