import { RateLimitedError, TransientError } from "@grp/core";
import type { GitHub } from "@grp/github";
import pMap from "p-map";
import { isInLine } from "../in-line.ts";
import { type Blind, GITHUB, GITHUBS_TURN } from "./blindness.ts";

/** A twentieth of what GitHub allows at once, for everything we do. */
const AT_ONCE = 5;

/** One is bad luck; after two every further question would cost the round ten seconds as well. */
const MOST_TIMEOUTS = 2;

export interface Question {
  /** Whose limits at GitHub it goes to. */
  readonly owner: string;
  /** What the sweep is blind to without an answer. */
  readonly place: string;
}

/** `later`: not asked this time, for claims go first or GitHub hangs. It is no failure, and nothing was learned. */
export type Answer<T> =
  | { readonly kind: "said"; readonly value: T }
  | { readonly kind: "failed" }
  | { readonly kind: "later" };

/** GitHub as one round of the sweep may ask it: some questions at a time, and none any more where there is no answer. */
export interface GitHubRound {
  ask<T>(question: Question, work: (github: GitHub, signal: AbortSignal) => Promise<T>): Promise<Answer<T>>;
  /** One question for each; the answers in their order. */
  askEach<T, R>(
    items: readonly T[],
    questionOf: (item: T) => Question,
    work: (github: GitHub, item: T, signal: AbortSignal) => Promise<R>,
  ): Promise<readonly Answer<R>[]>;
  /** What could not be asked, which places answered, and how many questions were put off. */
  result(): { readonly blind: readonly Blind[]; readonly seen: readonly string[]; readonly later: number };
}

export function createGitHubRound(github: GitHub, signal: AbortSignal): GitHubRound {
  const seen = new Set<string>();
  const failures: (Blind & { readonly isPassing: boolean })[] = [];
  const held = new Set<string>();
  let [timeouts, later] = [0, 0];
  const hangs = () => timeouts >= MOST_TIMEOUTS;
  const putOff = () => {
    later += 1;
    return { kind: "later" } as const;
  };

  const fail = ({ owner, place }: Question, error: unknown) => {
    if (error instanceof RateLimitedError) held.add(owner);
    if (isInLine(error)) return putOff();
    if (error instanceof TransientError && error.code === "timeout") timeouts += 1;
    const isPassing = error instanceof TransientError || error instanceof RateLimitedError;
    failures.push({ place, error, isPassing });
    return { kind: "failed" } as const;
  };

  const ask: GitHubRound["ask"] = async ({ owner, place }, work) => {
    signal.throwIfAborted();
    if (hangs() || held.has(owner)) return putOff();
    try {
      const value = await work(github, signal);
      seen.add(place);
      return { kind: "said", value };
    } catch (error) {
      signal.throwIfAborted();
      return fail({ owner, place }, error);
    }
  };
  return {
    ask,
    askEach: (items, questionOf, work) =>
      pMap(items, (item) => ask(questionOf(item), (client, s) => work(client, item, s)), {
        concurrency: AT_ONCE,
      }),
    result() {
      const isAll = hangs() || seen.size === 0;
      const blind = failures.map(({ place, error, isPassing }) => ({
        place: isPassing && isAll ? GITHUB : place,
        error,
      }));
      if (seen.size === 0 && failures.length === 0 && later > 0)
        blind.push({ place: GITHUBS_TURN, error: undefined });
      return { blind, seen: seen.size > 0 ? [GITHUB, GITHUBS_TURN, ...seen] : [], later };
    },
  };
}
