import type { Instance } from "@grp/core";
import { z } from "zod";

/** The only statuses in which a build is over; one we never heard of counts as running. */
const TERMINAL = new Set(["finished", "failed", "canceled", "timeout", "skipped"]);
const PENDING = new Set(["initializing", "queued", "preparing", "fetching"]);

/** A build as both APIs describe it, as far as we look: v1 says `_id` and `createdAt`, v3 `id` and `created_at`. */
const buildSchema = z
  .object({
    _id: z.string().optional(),
    id: z.string().optional(),
    status: z.string().default("unknown"),
    labels: z.array(z.string()).nullish(),
    createdAt: z.string().nullish(),
    created_at: z.string().nullish(),
    startedAt: z.string().nullish(),
  })
  .transform((build) => ({
    id: build._id ?? build.id ?? "",
    status: build.status,
    labels: build.labels ?? [],
    createdAt: timeOf(build.createdAt ?? build.created_at ?? build.startedAt),
  }));

export type Build = z.output<typeof buildSchema>;

export const startAnswer = z.object({ buildId: z.string().min(1) });
export const buildsAnswer = z.object({ builds: z.array(buildSchema) });
/** v1 wraps a build as `build`, v3 as `data`; either may give it bare. */
export const buildAnswer = z.union([
  z.object({ build: buildSchema }).transform(({ build }) => build),
  z.object({ data: buildSchema }).transform(({ data }) => data),
  buildSchema,
]);
export const appAnswer = z.object({
  application: z.object({
    branches: z
      .union([z.record(z.string(), z.object({ workflowIds: z.array(z.string()).nullish() })), z.unknown()])
      .nullish(),
  }),
});

export function isOver(status: string): boolean {
  return TERMINAL.has(status);
}

export interface Labels {
  readonly installation: string;
  readonly launchId: string;
  readonly runnerClass: string;
  readonly scope: string;
}

/** A launch id in a label of its own, so that CodeMagic's page shows it as it is. */
export function labelsOf(labels: Labels): string[] {
  const { installation, launchId, runnerClass, scope } = labels;
  return [ownerLabel(installation), launchId, `grp-class:${runnerClass}`, `grp-scope:${scope}`];
}

export function ownerLabel(installation: string): string {
  return `grp:${installation}`;
}

/** What the labels say of a build of ours; undefined for anyone else's. */
export function toInstance(build: Build, installation: string, nowMs: number): Instance | undefined {
  const launchId = build.labels.find((label) => label.startsWith("l-"));
  if (!launchId || !build.labels.includes(ownerLabel(installation))) return undefined;
  const after = (prefix: string) => build.labels.find((one) => one.startsWith(prefix))?.slice(prefix.length);
  const [runnerClass, scope] = [after("grp-class:"), after("grp-scope:")];
  return {
    instanceId: build.id,
    provider: "codemagic",
    launchId,
    state: stateOf(build.status),
    launchedAt: build.createdAt ?? nowMs,
    ...(runnerClass !== undefined && { runnerClass }),
    ...(scope !== undefined && { scope }),
  };
}

function stateOf(status: string): Instance["state"] {
  if (isOver(status)) return "terminating";
  return PENDING.has(status) ? "pending" : "running";
}

function timeOf(text: string | null | undefined): number | undefined {
  const time = text ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
