import type { ProviderName } from "@grp/core";
import { NO_PROVIDER, type WorkerContext } from "./context.ts";

type Warner = Pick<WorkerContext, "ledger" | "log" | "now">;

/** Tries are two minutes apart at most; and the sweep asks anew for the end of a machine that it still sees. */
const MACHINES_MS = 900_000;

/** One line in the log when it is new; status, metric and alert tell it for as long as it is seen. `text` stays the same. */
export async function warn(
  { ledger, log, now }: Warner,
  { kind, text, ttlMs }: { readonly kind: string; readonly text: string; readonly ttlMs: number },
): Promise<void> {
  const isNew = await ledger.raiseWarning({ kind, text, at: now(), ttlMs });
  if (isNew) log.warn("warning.raised", { kind, text });
}

/** The settings without which a worker does not have the provider. */
const TOKENS: Readonly<Record<ProviderName, string>> = {
  codemagic: "CODEMAGIC_TOKEN",
  ec2: "credentials of AWS",
};

/** Machines that can't be ended cost money: told for as long as it goes on. */
export async function warnOfMachines(
  context: Warner,
  provider: ProviderName,
  { errorClass, code }: { readonly errorClass: string; readonly code?: string },
): Promise<void> {
  const why = code === undefined ? errorClass : `${errorClass}, ${code}`;
  const text =
    code === NO_PROVIDER
      ? `machines of ${provider} are still there and can't be ended, for this worker has no ${TOKENS[provider]}: they may run on, and keep their places, until it is set again`
      : `machines of ${provider} can't be ended (${why}) and may run on: see end-… in the worker's log`;
  await warn(context, { kind: "termination", text, ttlMs: MACHINES_MS });
}
