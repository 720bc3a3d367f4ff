import type { Ledger } from "./types.ts";

const MARK = "ingress";

/** How often an ingress says that it is there; four are lost before it is held to be away. */
export const INGRESS_SIGN_MS = 15_000;
const AWAY_MS = 4 * INGRESS_SIGN_MS;

/** So long after the last, that there has been one at all is forgotten. */
const KEPT_MS = 7 * 24 * 3_600_000;

/** Some ingress is up and reaches Redis: it can answer a claim. */
export function signIngress(ledger: Pick<Ledger, "setMark">, at: number): Promise<void> {
  return ledger.setMark(MARK, String(at), KEPT_MS);
}

/** Whether none has been of late, though there was one once. */
export async function isIngressAway(ledger: Pick<Ledger, "getMark">, at: number): Promise<boolean> {
  const last = await ledger.getMark(MARK);
  return last !== null && at - Number(last) > AWAY_MS;
}
