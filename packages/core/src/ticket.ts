import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { z } from "zod";

const ticketSchema = z.object({
  launchId: z.string(),
  runnerClass: z.string(),
  /** `scopeKey` of the scope it may register in. */
  scope: z.string(),
  /** Machines that may claim with it. */
  size: z.number().int().positive(),
  /** Epoch ms. */
  expiresAt: z.number().int(),
  /** Set on the ticket handed out at the claim: good for this machine's reports only. */
  instanceId: z.string().optional(),
});

/** What a machine carries to prove that it is ours. Never logged, never stored. */
export type Ticket = z.infer<typeof ticketSchema>;

export type TicketVerdict =
  | { readonly ok: true; readonly ticket: Ticket }
  | { readonly ok: false; readonly reason: "malformed" | "forged" | "expired" };

export interface TicketSigner {
  /** Deterministic: the same ticket gives the same bytes (user data must not change between retries). */
  sign(ticket: Ticket): string;
  verify(text: string, nowMs: number): TicketVerdict;
}

const PREFIX = "grp1";

/** Signs with the first secret and accepts all of them, so that a secret can be rotated. Keys are derived by HKDF. */
export function createTicketSigner(secrets: readonly [string, ...string[]]): TicketSigner {
  const keys = secrets.map((secret) => Buffer.from(hkdfSync("sha256", secret, "grp", "ticket-v1", 32)));
  const mac = (key: Buffer, body: string) => createHmac("sha256", key).update(`${PREFIX}.${body}`).digest();
  return {
    sign(ticket) {
      const body = Buffer.from(JSON.stringify(ticketSchema.parse(ticket))).toString("base64url");
      return `${PREFIX}.${body}.${mac(keys[0] as Buffer, body).toString("base64url")}`;
    },
    verify(text, nowMs) {
      const [prefix, body, signature, ...rest] = text.split(".");
      if (prefix !== PREFIX || !body || !signature || rest.length > 0)
        return { ok: false, reason: "malformed" };
      const given = Buffer.from(signature, "base64url");
      const isSigned = keys.some((key) => {
        const wanted = mac(key, body);
        return given.length === wanted.length && timingSafeEqual(given, wanted);
      });
      if (!isSigned) return { ok: false, reason: "forged" };
      // Our own, so it is JSON; but perhaps another version's, whose fields are not these.
      const parsed = ticketSchema.safeParse(JSON.parse(Buffer.from(body, "base64url").toString("utf8")));
      if (!parsed.success) return { ok: false, reason: "malformed" };
      return parsed.data.expiresAt <= nowMs
        ? { ok: false, reason: "expired" }
        : { ok: true, ticket: parsed.data };
    },
  };
}
