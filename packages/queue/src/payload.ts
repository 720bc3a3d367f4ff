import { type Demand, demandSchema } from "@grp/core";
import { z } from "zod";
import type { Termination } from "./types.ts";

/** The two kinds of work; BullMQ's job name says which. */
export type Work =
  | { readonly kind: "provision"; readonly demand: Demand }
  | { readonly kind: "terminate"; readonly termination: Termination };

export type PayloadVerdict =
  | { readonly ok: true; readonly work: Work }
  | { readonly ok: false; readonly why: string };

const terminationSchema = z.object({
  version: z.literal(1),
  runnerName: z.string().min(1),
  launchId: z.string().min(1),
  provider: z.enum(["ec2", "codemagic"]),
  instanceId: z.string().min(1).exactOptional(),
  reason: z.string().min(1),
  requestedAt: z.number().int().nonnegative(),
});

/** What comes out of Redis is not believed: an older or newer version, or a stranger, may have written it. */
export function parsePayload(kind: string, data: unknown): PayloadVerdict {
  if (kind === "provision") {
    const parsed = demandSchema.safeParse(data);
    if (parsed.success) return { ok: true, work: { kind, demand: parsed.data } };
    return { ok: false, why: explain(parsed.error) };
  }
  if (kind === "terminate") {
    const parsed = terminationSchema.safeParse(data);
    if (parsed.success) return { ok: true, work: { kind, termination: parsed.data } };
    return { ok: false, why: explain(parsed.error) };
  }
  return { ok: false, why: `no such kind of work: ${kind}` };
}

function explain(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".") || "payload"}: ${issue.message}`).join("; ");
}
