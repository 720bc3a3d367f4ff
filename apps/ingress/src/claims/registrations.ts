import { TransientError } from "@grp/core";
import type { Registration } from "@grp/github";

/** Four seconds for its turn, ten for GitHub. A claim that must wait longer is told to come back; its machine waits 30 s. */
const PATIENCE_MS = 14_000;

/** Its turn, GitHub's answer, and what a name that is taken costs. */
const MINT_MS = 60_000;

/** A machine that was not answered is back within half a minute; then its claim's lock may be in its way for as long. */
const KEEP_MS = 120_000;

/**
 * Registrations that are being minted, or were and are in no machine's hands: their claim ended too early, or failed
 * afterwards. The machine's next claim is given the same one. Secrets, so here only, and for two minutes.
 */
export interface Registrations {
  /** That of an earlier claim for the runner; waits for it as long as a claim may. */
  find(runnerName: string, signal: AbortSignal): Promise<Registration | undefined>;
  /** Goes on with `mint` when the claim, or its `signal`, is over. */
  begin(
    runnerName: string,
    mint: (signal: AbortSignal) => Promise<Registration>,
    signal: AbortSignal,
  ): Promise<Registration>;
  /** Its machine has it, or none may have it any more. */
  forget(runnerName: string): void;
}

export interface RegistrationsOptions {
  readonly now: () => number;
  readonly patienceMs?: number;
}

export function createRegistrations({ now, patienceMs = PATIENCE_MS }: RegistrationsOptions): Registrations {
  const kept = new Map<string, { readonly minted: Promise<Registration>; readonly until: number }>();

  function forgetOld(): void {
    for (const [runnerName, { until }] of kept) if (until <= now()) kept.delete(runnerName);
  }

  function wait(minted: Promise<Registration>, signal: AbortSignal): Promise<Registration> {
    const end = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
    return Promise.race([minted, rejectAt(end)]);
  }

  return {
    async find(runnerName, signal) {
      forgetOld();
      const known = kept.get(runnerName);
      return known && wait(known.minted, signal);
    },
    begin(runnerName, mint, signal) {
      const minted = mint(AbortSignal.timeout(MINT_MS));
      const entry = { minted, until: now() + KEEP_MS };
      kept.set(runnerName, entry);
      minted.catch(() => kept.get(runnerName) === entry && kept.delete(runnerName));
      return wait(minted, signal);
    },
    forget: (runnerName) => void kept.delete(runnerName),
  };
}

function rejectAt(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = () =>
      reject(new TransientError("GitHub has not yet answered the registration", { code: "timeout" }));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
