import type { ProviderName } from "@grp/core";
import { type Warner, warn } from "@grp/ledger";
import { NO_PROVIDER } from "./context.ts";

/** Tries are two minutes apart at most; and the sweep asks anew for the end of a machine that it still sees. */
const MACHINES_MS = 900_000;

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
