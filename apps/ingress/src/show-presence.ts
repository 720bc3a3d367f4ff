import { INGRESS_SIGN_MS, signIngress } from "@grp/ledger";
import type { IngressContext } from "./context.ts";

/**
 * Tells the workers that somebody is here to answer claims: a machine that found nobody is not taken for one that did not
 * boot. With Redis away no claim could be answered either, and no sign comes.
 */
export function showPresence({ ledger, now }: Pick<IngressContext, "ledger" | "now">): { close(): void } {
  const sign = () => void signIngress(ledger, now()).catch(() => undefined);
  sign();
  const timer = setInterval(sign, INGRESS_SIGN_MS);
  return { close: () => clearInterval(timer) };
}
