import { InvalidSpecError, RateLimitedError, UnauthorizedError } from "@grp/core";
import type { HookPlace, HookTarget } from "@grp/github";
import type { WorkerContext } from "../context.ts";
import { askEach } from "./ask-each.ts";
import { nameBlind } from "./blindness.ts";
import { listKnownRepositories } from "./repositories.ts";

/** Hooks come and go by a person's hand: an hour behind is soon enough. */
const CACHE_MS = 3_600_000;

/** While there is none at all, somebody may be just about to set one up. */
const NONE_MS = 600_000;

const NEVER = 0;

export interface FoundHooks {
  readonly hooks: readonly HookTarget[];
  /**
   * Apps whose last answer was a refusal, and credentials that GitHub wants a pause of or that claims need first (see
   * `nameBlind`): what is known of their hooks is old, or nothing.
   */
  readonly unseen: readonly string[];
}

export type FindHooks = (signal: AbortSignal) => Promise<FoundHooks>;

interface Known {
  readonly hooks: readonly HookTarget[];
  readonly askedAt: number;
  /** `soon`: the failure may pass. */
  readonly refused?: "soon" | "later";
  readonly error?: unknown;
}

/**
 * Our hooks that point at `url`: with Apps their own, else every repository's and organization's. Each App or account is
 * asked once an hour by each worker (more often while there is no hook, or it could not be asked), a repository as soon
 * as it is known. One that refuses is told; what it said last stands, and the others are asked all the same.
 */
export function createHookFinder(
  context: WorkerContext,
  url: string,
  { noneMs = NONE_MS }: { readonly noneMs?: number } = {},
): FindHooks {
  const { catalog, github, log, now } = context;
  const cache = new Map<string, Known>();
  const isFresh = (place: HookPlace) => {
    const { askedAt = NEVER, refused } = cache.get(placeName(place)) ?? {};
    const hasAny = [...cache.values()].some(({ hooks }) => hooks.length > 0);
    return now() - askedAt < (hasAny && refused !== "soon" ? CACHE_MS : noneMs);
  };

  const noteRefusal = (place: HookPlace, error: unknown) => {
    const name = placeName(place);
    const { hooks = [] } = cache.get(name) ?? {};
    // GitHub was not asked at all: the next round does.
    const askedAt = error instanceof RateLimitedError ? NEVER : now();
    cache.set(name, { hooks, askedAt, refused: mayPass(place, error) ? "soon" : "later", error });
  };

  async function ask(place: HookPlace, signal: AbortSignal): Promise<readonly HookTarget[]> {
    try {
      const hooks = await github.findHooks(place, url, signal);
      cache.set(placeName(place), { hooks, askedAt: now() });
      return hooks;
    } catch (error) {
      if (!signal.aborted) noteRefusal(place, error);
      throw error;
    }
  }

  async function listPlaces(): Promise<readonly HookPlace[]> {
    if (github.appIds.length > 0) return github.appIds.map((appId) => ({ kind: "app", appId }));
    return [
      ...catalog.allow.owners.map((owner) => ({ kind: "organization" as const, owner })),
      ...(await listKnownRepositories(context)).map((one) => ({ kind: "repository" as const, ...one })),
    ];
  }

  return async (signal) => {
    const places = await listPlaces();
    const due = places.filter((place) => !isFresh(place));
    const message = "deliveries.hooks-unseen";
    await askEach(due, { ask: (place) => ask(place, signal), log, message, signal });
    const known = places.map((place) => ({ place, ...cache.get(placeName(place)) }));
    const hooks = known.flatMap((one) => one.hooks ?? []);
    const unseen = known.flatMap(({ place, refused, askedAt, error }) =>
      refused && (place.kind === "app" || askedAt === NEVER) ? [nameBlind(credentialOf(place), error)] : [],
    );
    if (hooks.length + unseen.length === 0 && due.length > 0) log.warn("deliveries.no-hook", { url });
    return {
      hooks: [...new Map(hooks.map((hook) => [keyOf(hook), hook])).values()],
      unseen: [...new Set(unseen)],
    };
  };
}

/** An account that refuses will not have thought better of it in a minute; an App is all that we have. */
function mayPass(place: HookPlace, error: unknown): boolean {
  return place.kind === "app" || !(error instanceof UnauthorizedError || error instanceof InvalidSpecError);
}

function placeName(place: HookPlace): string {
  switch (place.kind) {
    case "app":
      return `app:${place.appId}`;
    case "organization":
      return `org:${place.owner}`.toLowerCase();
    case "repository":
      return `repo:${place.owner}/${place.repository}`.toLowerCase();
  }
}

/** One hook's name in the state that all workers share. */
export function keyOf(hook: HookTarget): string {
  return hook.kind === "app" ? placeName(hook) : `${placeName(hook)}/${hook.hookId}`;
}

/** Whose limits count for the place. */
export function credentialOf(place: HookPlace): string {
  return place.kind === "app" ? `GitHub App ${place.appId}` : "the GitHub token";
}
