import { compareVersions, type GitHubRunner } from "@grp/github";
import type { Deed, Rule } from "../rule.ts";
import { isOurName, type KnownVersions, type World } from "../world.ts";

/** GitHub gives no job to a runner that is older than a release of so long ago. */
const ACCEPTED_MS = 30 * 24 * 3_600_000;

/** A week to make a new image before it is too late. */
const AHEAD_MS = 7 * 24 * 3_600_000;

/** GitHub brings out one a month or so: the first that is newer than such a one has been out for about that long. */
const FAR_BEHIND = 2;

/**
 * A runner of ours runs a program that GitHub refuses, or soon will. grp itself always hands out the newest, so somebody
 * has pinned one: an image with a start of its own, or a changed copy of codemagic.yaml. What a runner really runs is
 * known from GitHub's list. The 30 days: https://docs.github.com/en/actions/reference/runners/self-hosted-runners
 */
export const runnerVersion: Rule = {
  name: "runner-version",
  judge(world) {
    const { versions } = world;
    if (!versions) return [];
    const runners = [...world.registered.values()].flatMap((scope) => scope.runners);
    const texts = runners
      .filter(({ name }) => isOurName(world, name))
      .flatMap((runner) => describe(world, versions, runner) ?? []);
    return [...new Set(texts)].map((text): Deed => ({ kind: "warn", about: "runner-version", text }));
  },
};

function describe(
  world: World,
  versions: KnownVersions,
  { name, version }: GitHubRunner,
): string | undefined {
  const fate = version === undefined ? undefined : judge(versions, version, world.now);
  if (fate === undefined) return undefined;
  const known = world.runners.find(({ runnerName }) => runnerName === name)?.runnerClass;
  const whose = known === undefined ? "a runner" : `a runner of class ${known}`;
  return `${whose} runs runner program ${version}, which ${fate}; GitHub gives out ${versions.newest}: is a version pinned in its image or its codemagic.yaml?`;
}

/** What becomes of a version; undefined when all is well. */
function judge({ least, newest, releases }: KnownVersions, version: string, now: number): string | undefined {
  if (least !== undefined && compareVersions(version, least) < 0)
    return `is too old for GitHub to register (at least ${least})`;
  const newer = releases.filter((release) => compareVersions(version, release.version) < 0);
  const since = Math.min(...newer.map(({ seenAt }) => seenAt));
  if (now - since > ACCEPTED_MS) return "is too old for GitHub to give it workflow jobs";
  // What came out between that one and the newest was out before we first looked, and nobody knows since when.
  const isDated = releases.some((release) => compareVersions(version, release.version) >= 0);
  if (!isDated && isFarBehind(version, newest))
    return `is ${FAR_BEHIND} releases or more behind, so that GitHub gives it no workflow job any more, or soon will not`;
  if (now - since <= ACCEPTED_MS - AHEAD_MS) return undefined;
  return `GitHub gives no workflow job to after ${new Date(since + ACCEPTED_MS).toISOString().slice(0, 10)}`;
}

function isFarBehind(version: string, newest: string): boolean {
  const [[major = 0, minor = 0], [newestMajor = 0, newestMinor = 0]] = [parts(version), parts(newest)];
  return major < newestMajor || (major === newestMajor && newestMinor - minor >= FAR_BEHIND);
}

function parts(version: string): readonly number[] {
  return version.split(".").map(Number);
}
