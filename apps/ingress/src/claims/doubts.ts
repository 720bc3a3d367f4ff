import { type Warner, warn } from "@grp/ledger";

/** One demand costs three machines before it is a dead letter: so many are no accident. */
const [MANY, WITHIN_MS] = [3, 3_600_000];

/** No stranger who knocks has Redis written to more often. */
const TELL_EVERY_MS = 60_000;

/** A machine that is refused so ends, and the next one may take some time to boot. */
const WARNING_MS = 2 * 3_600_000;

/** Of claims refused with 401: what is no mere noise of the internet, and what to look at. */
const TEXTS: Readonly<Record<string, string>> = {
  ticket_forged:
    "machines claim with tickets that don't verify: have all ingresses and workers the same TICKET_SECRET?",
  identity_missing: "EC2 machines claim without their identity document: is their metadata service on?",
  identity_invalid:
    "AWS's signature on EC2 machines' identity documents does not verify: is the region's certificate known?",
  identity_mismatch: "EC2 machines claim whose identity documents don't fit their launches",
  identity_too_early:
    "EC2 machines claim that AWS began more than five minutes before their launches: is a worker's clock ahead?",
};

/** Warns of claims that are refused with 401 in numbers: each such machine ends without another word. */
export function createDoubts(context: Warner): (outcome: string) => Promise<void> {
  const seen = new Map<string, { times: readonly number[]; toldAt: number }>();
  return async (outcome) => {
    const text = TEXTS[outcome];
    if (text === undefined) return;
    const at = context.now();
    const { times: before, toldAt } = seen.get(outcome) ?? { times: [], toldAt: Number.NEGATIVE_INFINITY };
    const times = [...before.filter((time) => at - time < WITHIN_MS), at].slice(-MANY);
    const tells = times.length === MANY && at - toldAt >= TELL_EVERY_MS;
    seen.set(outcome, { times, toldAt: tells ? at : toldAt });
    if (!tells) return;
    await warn(context, { kind: "claims", text, ttlMs: WARNING_MS });
  };
}
