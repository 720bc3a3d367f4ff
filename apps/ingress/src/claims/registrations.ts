import { TransientError } from "@grp/core";
import type { Registration } from "@grp/github";

/** Four seconds for its turn, ten for GitHub. A claim that must wait longer is told to come back; its machine waits 30 s. */
const PATIENCE_MS = 14_000;

/** A machine that was not answered is back within half a minute; then its claim's lock may be in its way for as long. */
const KEEP_MS = 120_000;

export interface RegistrationOrder {
  readonly runnerName: string;
  /** Once the signal is over, it only awaits what GitHub was asked for already. */
  mint(signal: AbortSignal): Promise<Registration>;
  /** Asked when it comes after its claim: whether its machine may still claim again. */
  isWanted(): Promise<boolean>;
  /** Takes it off GitHub. Never rejects. */
  takeOff(registration: Registration): Promise<void>;
}

/**
 * Registrations that are being minted, or were and are in no machine's hands: their claim ended too early, or failed
 * afterwards. The machine's next claim is given the same one. Secrets, so here only, and for two minutes; who minted one
 * that nobody asks for takes it off GitHub. Should that fail, the sweep finds it.
 */
export interface Registrations {
  /** That of an earlier claim for the runner, kept two minutes more; waits for it as long as a claim may. */
  find(runnerName: string, signal: AbortSignal): Promise<Registration | undefined>;
  /** Goes on with the mint that is under way when the claim, or its `signal`, is over. */
  begin(order: RegistrationOrder, signal: AbortSignal): Promise<Registration>;
  /** Its machine has it, or it is off GitHub. */
  forget(runnerName: string): void;
  /** No machine may have it any more: it is taken off GitHub, at once or when it comes. */
  discard(runnerName: string): void;
}

export interface RegistrationsOptions {
  readonly patienceMs?: number;
  readonly keepMs?: number;
}

interface Kept {
  readonly order: RegistrationOrder;
  readonly minted: Promise<Registration>;
  readonly timer: NodeJS.Timeout;
}

export function createRegistrations({
  patienceMs = PATIENCE_MS,
  keepMs = KEEP_MS,
}: RegistrationsOptions = {}): Registrations {
  const all = new Map<string, Kept>();

  /** False when it was let go before. */
  function letGo(kept: Kept | undefined): kept is Kept {
    if (!kept) return false;
    clearTimeout(kept.timer);
    const { runnerName } = kept.order;
    return all.get(runnerName) === kept && all.delete(runnerName);
  }

  function discard(kept: Kept | undefined): void {
    if (letGo(kept)) kept.minted.then(kept.order.takeOff).catch(() => undefined);
  }

  function untilOver(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  }

  /** What can't be asked is kept. */
  async function look(kept: Kept, over: AbortSignal): Promise<void> {
    await kept.minted;
    if (over.aborted && !(await kept.order.isWanted().catch(() => true))) discard(kept);
  }

  return {
    async find(runnerName, signal) {
      const kept = all.get(runnerName);
      kept?.timer.refresh();
      return kept && wait(kept.minted, untilOver(signal));
    },
    begin(order, signal) {
      letGo(all.get(order.runnerName));
      const over = untilOver(signal);
      const timer = setTimeout(() => discard(kept), keepMs).unref();
      const kept: Kept = { order, timer, minted: order.mint(over) };
      all.set(order.runnerName, kept);
      look(kept, over).catch(() => letGo(kept));
      return wait(kept.minted, over);
    },
    forget: (runnerName) => void letGo(all.get(runnerName)),
    discard: (runnerName) => discard(all.get(runnerName)),
  };
}

function wait(minted: Promise<Registration>, over: AbortSignal): Promise<Registration> {
  return Promise.race([minted, rejectAt(over)]);
}

function rejectAt(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = () =>
      reject(new TransientError("GitHub has not yet answered the registration", { code: "timeout" }));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
