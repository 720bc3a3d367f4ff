import type { HookTarget } from "@grp/github";
import type { WorkerContext } from "../context.ts";
import { askEach } from "./ask-each.ts";
import { listKnownRepositories } from "./repositories.ts";

/** Hooks come and go by a person's hand: an hour behind is soon enough. */
const CACHE_MS = 3_600_000;

export type FindHooks = (signal: AbortSignal) => Promise<readonly HookTarget[]>;

/**
 * Our hooks: the App's own, else every repository's and organization's that points at `url`. Found once an hour by each
 * worker. An account that hides its hooks from us is told and left out; the others are found all the same.
 */
export function createHookFinder(context: WorkerContext, url: string): FindHooks {
  let cached: { readonly hooks: readonly HookTarget[]; readonly until: number } | undefined;
  return async (signal) => {
    if (cached && cached.until > context.now()) return cached.hooks;
    const hooks = await findAll(context, url, signal);
    cached = { hooks, until: context.now() + CACHE_MS };
    if (hooks.length === 0) context.log.warn("deliveries.no-hook", { url });
    return hooks;
  };
}

async function findAll(
  context: WorkerContext,
  url: string,
  signal: AbortSignal,
): Promise<readonly HookTarget[]> {
  const { github, catalog, log } = context;
  const nobody = { url, repositories: [], organizations: [] };
  const own = await github.findHooks(nobody, signal);
  if (own.length > 0) return own;
  const queries = [
    ...catalog.allow.owners.map((owner) => ({ ...nobody, organizations: [owner] })),
    ...(await listKnownRepositories(context)).map((one) => ({ ...nobody, repositories: [one] })),
  ];
  const ask = (query: (typeof queries)[number]) => github.findHooks(query, signal);
  const hooks = await askEach(queries, { ask, log, message: "deliveries.hooks-unseen", signal });
  return [...new Map(hooks.map((hook) => [keyOf(hook), hook])).values()];
}

/** One hook's name in the state that all workers share. */
export function keyOf(hook: HookTarget): string {
  switch (hook.kind) {
    case "app":
      return "app";
    case "organization":
      return `org:${hook.owner}/${hook.hookId}`.toLowerCase();
    case "repository":
      return `repo:${hook.owner}/${hook.repository}/${hook.hookId}`.toLowerCase();
  }
}
