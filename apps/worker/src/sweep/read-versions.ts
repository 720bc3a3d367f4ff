import type { WorkerContext } from "../context.ts";
import type { GitHubRound } from "./ask-github.ts";
import type { KnownVersions, Release, World } from "./world.ts";

const MARK = "runner-versions";
/** A version that was given out longer ago than that is far too old by any rule. */
const KEPT_MS = 90 * 24 * 3_600_000;

/**
 * What GitHub gives out and asks for, when some runner has a version to be judged: a request an hour and worker. GitHub
 * doesn't say when a version came out, so it is remembered when each was first heard of; that is too late, never too early, and
 * the rule knows it.
 */
export async function readVersions(
  context: WorkerContext,
  round: GitHubRound,
  registered: World["registered"],
): Promise<KnownVersions | undefined> {
  const asked = [...registered.values()].find(({ runners }) =>
    runners.some(({ version }) => version !== undefined),
  );
  if (!asked) return undefined;
  const question = { owner: asked.scope.owner, place: "GitHub's runner versions" };
  const answer = await round.ask(question, (github, signal) => github.runnerVersions(asked.scope, signal));
  if (answer.kind !== "said") return undefined;
  return { ...answer.value, releases: await remember(context, answer.value.newest) };
}

async function remember({ ledger, now }: WorkerContext, newest: string): Promise<readonly Release[]> {
  const text = await ledger.getMark(MARK);
  const at = now();
  const known = (text === null ? [] : (JSON.parse(text) as Release[])).filter(
    ({ seenAt, version }) => at - seenAt < KEPT_MS || version === newest,
  );
  if (known.some(({ version }) => version === newest)) return known;
  const releases = [...known, { version: newest, seenAt: at }];
  await ledger.setMark(MARK, JSON.stringify(releases), KEPT_MS);
  return releases;
}
