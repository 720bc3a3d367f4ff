import { RateLimitedError } from "@grp/core";
import type { HookTarget } from "@grp/github";
import type { WorkerContext } from "../context.ts";
import { askEach } from "./ask-each.ts";
import { listKnownRepositories } from "./repositories.ts";

/** Hooks come and go by a person's hand: an hour behind is soon enough. */
const CACHE_MS = 3_600_000;

/** While there is none at all, somebody may be just about to set one up. */
const NONE_MS = 600_000;

export type FindHooks = (signal: AbortSignal) => Promise<readonly HookTarget[]>;

type HookQuery = Parameters<WorkerContext["github"]["findHooks"]>[0];

/**
 * Our hooks: the Apps' own, else every repository's and organization's that points at `url`. Each account is asked once
 * an hour by each worker (more often while there is no hook), a repository as soon as it is known. An account that hides its hooks from us is told and left
 * out; the others are found all the same.
 */
export function createHookFinder(
  context: WorkerContext,
  url: string,
  { noneMs = NONE_MS }: { readonly noneMs?: number } = {},
): FindHooks {
  const { catalog, github, log, now } = context;
  const cache = new Map<string, { readonly hooks: readonly HookTarget[]; readonly askedAt: number }>();
  const remember = (query: HookQuery, hooks: readonly HookTarget[]) => {
    cache.set(JSON.stringify(query), { hooks, askedAt: now() });
    return hooks;
  };
  const isKnown = (query: HookQuery) => {
    const hasAny = [...cache.values()].some(({ hooks }) => hooks.length > 0);
    const askedAt = cache.get(JSON.stringify(query))?.askedAt ?? 0;
    return now() - askedAt < (hasAny ? CACHE_MS : noneMs);
  };

  async function ask(query: HookQuery, signal: AbortSignal): Promise<readonly HookTarget[]> {
    if (isKnown(query)) return cache.get(JSON.stringify(query))?.hooks ?? [];
    return remember(query, await github.findHooks(query, signal));
  }

  async function askAccount(query: HookQuery, signal: AbortSignal): Promise<readonly HookTarget[]> {
    try {
      return await ask(query, signal);
    } catch (error) {
      // One that refuses will not have thought better of it in a minute.
      if (!signal.aborted && !(error instanceof RateLimitedError)) remember(query, []);
      throw error;
    }
  }

  return async (signal) => {
    const nobody = { url, repositories: [], organizations: [] };
    const own = await ask(nobody, signal);
    if (own.length > 0) return own;
    const queries = [
      ...catalog.allow.owners.map((owner) => ({ ...nobody, organizations: [owner] })),
      ...(await listKnownRepositories(context)).map((one) => ({ ...nobody, repositories: [one] })),
    ];
    const isNews = !queries.every(isKnown);
    const found = await askEach(queries, {
      ask: (query) => askAccount(query, signal),
      log,
      message: "deliveries.hooks-unseen",
      signal,
    });
    if (found.length === 0 && isNews) log.warn("deliveries.no-hook", { url });
    return [...new Map(found.map((hook) => [keyOf(hook), hook])).values()];
  };
}

/** One hook's name in the state that all workers share. */
export function keyOf(hook: HookTarget): string {
  switch (hook.kind) {
    case "app":
      return `app:${hook.appId}`;
    case "organization":
      return `org:${hook.owner}/${hook.hookId}`.toLowerCase();
    case "repository":
      return `repo:${hook.owner}/${hook.repository}/${hook.hookId}`.toLowerCase();
  }
}
