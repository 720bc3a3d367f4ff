import type { Catalog, TicketSigner } from "@grp/core";
import type { GitHub } from "@grp/github";
import type { Ledger } from "@grp/ledger";
import type { QueueProducer } from "@grp/queue";
import type { Logger, Metrics } from "@grp/runtime";
import type { IdentityCheck } from "./claims/identity.ts";
import type { ClaimsInHand } from "./claims/in-hand.ts";
import type { Registrations } from "./claims/registrations.ts";
import type { SignatureCheck } from "./webhook/verify.ts";

/** All that a request may need; whatever a test must replace is here. */
export interface IngressContext {
  readonly catalog: Catalog;
  readonly installation: string;
  readonly ledger: Ledger;
  readonly producer: QueueProducer;
  readonly github: GitHub;
  readonly signer: TicketSigner;
  readonly isSigned: SignatureCheck;
  readonly checkIdentity: IdentityCheck;
  readonly registrations: Registrations;
  readonly claimsInHand: ClaimsInHand;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly now: () => number;
  /** How long a machine that has finished may take to end by itself. */
  readonly endGraceMs: number;
}

/** What a request is answered: small JSON that says what happened and why, or plain text for a boot script. */
export interface Answer {
  readonly status: number;
  readonly body?: Readonly<Record<string, unknown>> | string;
  readonly retryAfterSeconds?: number;
}

/** A delivery's answer, and what its log line says besides. */
export interface DeliveryAnswer extends Answer {
  readonly body: Readonly<Record<string, unknown>> & { readonly outcome: string };
  readonly fields?: Readonly<Record<string, unknown>>;
}
