import { scopeKey, type Ticket } from "@grp/core";
import { type ClaimVerdict, findClaimNote } from "@grp/ledger";
import { redactText } from "@grp/runtime";
import { z } from "zod";
import type { Answer, IngressContext } from "../context.ts";
import { RETRY_SECONDS, refuse } from "./authenticate.ts";
import { endRefused } from "./end-refused.ts";
import { type ClaimAnswer, LOCK_MS, mint } from "./mint.ts";

export const claimBody = z.object({
  instanceId: z.string().regex(/^[\w-]{1,64}$/),
  os: z.enum(["linux", "macos"]),
  arch: z.enum(["arm64", "x64"]),
  identityDocument: z.string().max(8_192).optional(),
  identitySignature: z.string().max(8_192).optional(),
});

export type Claim = z.infer<typeof claimBody>;

/** A machine trades its ticket for a registration, minted now, if a runner is still wanted. */
export async function claim(context: IngressContext, ticket: Ticket, body: Claim): Promise<ClaimAnswer> {
  const fields = { launchId: ticket.launchId, instanceId: body.instanceId, runnerClass: ticket.runnerClass };
  const no = (refused: Answer) => ({ refused, fields });
  const launch = await context.ledger.getLaunch(ticket.launchId, body);
  if (!launch) return no(refuse(503, "launch_not_recorded", { retryAfterSeconds: RETRY_SECONDS }));
  const identity = await context.checkIdentity(body, launch);
  if (!identity.ok && identity.error === "launch_not_recorded") {
    return no(refuse(503, identity.error, { retryAfterSeconds: RETRY_SECONDS }));
  }
  if (!identity.ok) {
    await noteStranger(context, fields, identity);
    return { refused: refuse(401, identity.error), fields: { ...fields, detail: identity.detail } };
  }
  const runnerClass = context.catalog.classes.find((one) => one.name === ticket.runnerClass);
  if (!runnerClass || scopeKey(launch.scope) !== ticket.scope) {
    await endRefused(context, ticket.launchId, body.instanceId);
    return no(refuse(410, "not_wanted", { detail: "its runner class is no longer in the catalog" }));
  }
  const { launchId } = ticket;
  const verdict = await context.ledger.beginClaim({
    launchId,
    instanceId: body.instanceId,
    at: context.now(),
    lockMs: LOCK_MS,
  });
  if (verdict.outcome !== "granted") {
    if (verdict.outcome === "not-wanted") await endRefused(context, launchId, body.instanceId);
    return no(answerRefusal(verdict.outcome));
  }
  const { os, arch, instanceId } = body;
  return mint(context, { ticket, instanceId, platform: { os, arch }, runnerClass, verdict });
}

/** Nothing proves that it was this machine: so the note takes no other's place, and none of its claims' once it is registered. */
async function noteStranger(
  { ledger, now }: IngressContext,
  { launchId, instanceId }: { readonly launchId: string; readonly instanceId: string },
  { error, detail }: { readonly error: string; readonly detail?: string },
): Promise<void> {
  const runner = await ledger.findRunner(launchId, instanceId);
  if (!runner || runner.times.claimed !== undefined || findClaimNote(runner.notes)) return;
  const text = detail === undefined ? error : `${error}: ${detail}`;
  await ledger.addRunnerNote(runner.runnerName, { at: now(), kind: "claim-refused", text: redactText(text) });
}

function answerRefusal(outcome: Exclude<ClaimVerdict["outcome"], "granted">): Answer {
  if (outcome === "not-wanted") return refuse(410, "not_wanted");
  if (outcome === "taken") return refuse(409, "already_claimed");
  const error = outcome === "in-progress" ? "claim_in_progress" : "launch_not_recorded";
  return refuse(503, error, { retryAfterSeconds: RETRY_SECONDS });
}
