import type { Instance } from "@grp/core";
import type { LaunchRecord } from "@grp/ledger";
import type { IdentityCertificates } from "./identity-certificates.ts";
import { type IdentityDocument, verifyIdentityDocument } from "./identity-document.ts";

/** AWS's clock and the worker's may differ, and `pendingTime` is when EC2 began, not when we asked. */
const CLOCK_SKEW_MS = 5 * 60_000;

export interface MachineIdentity {
  readonly instanceId: string;
  readonly identityDocument?: string | undefined;
  readonly identitySignature?: string | undefined;
}

export type IdentityVerdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly error:
        | "identity_missing"
        | "identity_invalid"
        | "identity_mismatch"
        | "identity_too_early"
        | "launch_not_recorded";
      /** What is wrong with it, for our log. */
      readonly detail?: string;
    };

/** Whether the machine is one of this launch's, by AWS's signature. */
export type IdentityCheck = (machine: MachineIdentity, launch: LaunchRecord) => Promise<IdentityVerdict>;

/**
 * The instance identity document says who the machine is; account, region, instance and start time must be those of the
 * launch. So a job that read a ticket in user data can't claim for another machine. CodeMagic has nothing like it.
 */
export function createIdentityCheck(certificates: IdentityCertificates): IdentityCheck {
  return async (machine, launch) => {
    if (launch.provider !== "ec2") return { ok: true };
    const { identityDocument: document, identitySignature: signature } = machine;
    if (!document || !signature) return { ok: false, error: "identity_missing" };
    const verdict = await verifyIdentityDocument(signature, certificates);
    if (!verdict.ok) return { ok: false, error: "identity_invalid", detail: verdict.detail };
    return compare(verdict.document, machine, launch);
  };
}

function compare(said: IdentityDocument, machine: MachineIdentity, launch: LaunchRecord): IdentityVerdict {
  const known = launch.instances?.find((instance) => instance.instanceId === said.instanceId);
  // Still being launched, or its answer was lost: the worker will know soon, the machine asks again.
  if (!known && launch.state === "open") return { ok: false, error: "launch_not_recorded" };
  const isOurs = known !== undefined && said.instanceId === machine.instanceId && isThere(said, known);
  return isOurs ? compareTimes(said, launch) : { ok: false, error: "identity_mismatch" };
}

function isThere(said: IdentityDocument, known: Instance): boolean {
  return said.region === known.region && said.accountId === known.accountId;
}

/** It was started for this launch, not long before it. */
function compareTimes({ pendingTime }: IdentityDocument, { openedAt }: LaunchRecord): IdentityVerdict {
  const earlyMs = openedAt - Date.parse(pendingTime);
  if (earlyMs <= CLOCK_SKEW_MS) return { ok: true };
  const early = `${Math.round(earlyMs / 1_000)} s before its launch was opened by the worker's clock`;
  const detail = `EC2 began it ${early}: is that ahead?`;
  return { ok: false, error: "identity_too_early", detail };
}
