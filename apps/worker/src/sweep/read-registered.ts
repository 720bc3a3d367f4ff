import { type Scope, scopeKey } from "@grp/core";
import type { RunnerRecord } from "@grp/ledger";
import type { WorkerContext } from "../context.ts";
import { isTakenFromUs } from "../taken-from-us.ts";
import type { GitHubRound } from "./ask-github.ts";
import {
  chooseScopes,
  isQuietDue,
  listQuiet,
  NOTHING_ASKED,
  noteAsked,
  noteNew,
  type ScopeMemory,
  type Times,
} from "./choose-scopes.ts";
import type { RegisteredScope, World } from "./world.ts";

const MARK = "sweep-scopes";
const KEPT_MS = 24 * 3_600_000;

/** Workflow jobs whose scopes count as ours though nothing of ours runs there any more. */
const RECENT = 500;

/** GitHub's runners of the scopes whose turn it is; whose turn has come and who was put off comes first the next time. */
export async function readRegistered(
  context: WorkerContext,
  { round, times }: { readonly round: GitHubRound; readonly times: Times },
  runners: readonly RunnerRecord[],
): Promise<World["registered"]> {
  const memory = noteNew(await remember(context, times), runners, times);
  const scopes = chooseScopes(memory, runners, times);
  const lived = new Set(runners.map(({ scope }) => scopeKey(scope)));
  const answers = await round.askEach(scopes, questionOf, (github, scope, signal) =>
    github.listRunners(scope, signal).catch((error: unknown) => {
      // Nobody mends that, and where nothing of ours lives nothing is missed there.
      if (lived.has(scopeKey(scope)) || !isTakenFromUs(error)) throw error;
      return null;
    }),
  );
  const found = new Map<string, RegisteredScope>();
  const asked: { key: string; runners?: number }[] = [];
  for (const [index, scope] of scopes.entries()) {
    const key = scopeKey(scope);
    const answer = answers[index];
    if (!answer || answer.kind === "later") continue;
    const list = answer.kind === "said" ? answer.value : null;
    if (list) found.set(key, { scope, runners: list });
    asked.push({ key, ...(list && { runners: list.length }) });
  }
  const next = noteAsked(memory, asked, times.now);
  await context.ledger.setMark(MARK, JSON.stringify(next), KEPT_MS);
  return found;
}

export function questionOf(scope: Scope): { owner: string; place: string } {
  return { owner: scope.owner, place: `GitHub ${scopeKey(scope)}` };
}

async function remember({ ledger }: WorkerContext, times: Times): Promise<ScopeMemory> {
  const text = await ledger.getMark(MARK);
  const memory = text === null ? NOTHING_ASKED : (JSON.parse(text) as ScopeMemory);
  return isQuietDue(memory, times)
    ? listQuiet(memory, await ledger.listWorkflowJobs(RECENT), times.now)
    : memory;
}
