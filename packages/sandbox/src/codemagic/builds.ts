import { randomBytes } from "node:crypto";
import type { CodemagicBuild, CodemagicStandInOptions } from "./types.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const OVER = new Set(["finished", "failed", "canceled", "timeout", "skipped"]);

/** Every build ever started, and which of them run: at most `concurrency`, the others wait in order. */
export function createBuilds(options: CodemagicStandInOptions & { readonly appId: string }) {
  const now = options.now ?? Date.now;
  const all: Writable<CodemagicBuild>[] = [];
  const timers = new Set<NodeJS.Timeout>();
  const find = (buildId: string) => all.find((one) => one.buildId === buildId);

  function startQueued(): void {
    const running = all.filter(({ isLive, status }) => isLive && status !== "queued").length;
    const room = (options.concurrency ?? Number.POSITIVE_INFINITY) - running;
    const next = all.filter(({ status }) => status === "queued").slice(0, Math.max(0, room));
    for (const build of next) {
      build.status = "building";
      options.onBuild?.(build);
    }
  }

  function setStatus(buildId: string, status: string): void {
    const build = find(buildId);
    if (!build) return;
    build.status = status;
    build.isLive = !OVER.has(status);
    if (!build.isLive) startQueued();
  }

  function end(buildId: string, status: string): void {
    const build = find(buildId);
    if (!build?.isLive) return;
    setStatus(buildId, status);
    if (status === "canceled" || status === "timeout") options.onCancel?.(build);
  }

  return {
    all: all as readonly CodemagicBuild[],
    find: find as (buildId: string) => CodemagicBuild | undefined,
    setStatus,
    end,
    add(given: Partial<CodemagicBuild>): CodemagicBuild {
      const build: CodemagicBuild = {
        buildId: randomBytes(12).toString("hex"),
        appId: options.appId,
        workflowId: "release",
        branch: "main",
        instanceType: undefined,
        labels: [],
        variables: {},
        createdAt: now(),
        status: "queued",
        isLive: true,
        ...given,
      };
      all.push(build);
      startQueued();
      return build;
    },
    cancel(buildId: string): void {
      if (!options.cancellingMs) {
        end(buildId, "canceled");
        return;
      }
      const timer = setTimeout(() => {
        timers.delete(timer);
        end(buildId, "canceled");
      }, options.cancellingMs);
      timers.add(timer);
    },
    close(): void {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

export type Builds = ReturnType<typeof createBuilds>;
