import type { Catalog, RunnerClass } from "./catalog.ts";
import { holdsAll, isServed, sameName } from "./names.ts";
import type { Scope } from "./scope.ts";

export interface MatchQuery {
  readonly owner: string;
  readonly repository: string;
  readonly isPrivate: boolean;
  /** As in `runs-on`. */
  readonly labels: readonly string[];
}

export type MatchVerdict =
  | { readonly matched: true; readonly runnerClass: RunnerClass; readonly scope: Scope }
  | { readonly matched: false; readonly reason: IgnoreReason };

/** Why a valid workflow job is not ours. */
export type IgnoreReason = "no-labels" | "labels" | "repository-not-allowed" | "public-repository";

/**
 * The first class, in file order, that holds every label of the job (GitHub compares without case, and a runner must
 * hold them all) and that may serve the repository. Says the most telling reason when none does.
 */
export function matchRunnerClass(catalog: Catalog, query: MatchQuery): MatchVerdict {
  if (query.labels.length === 0) return { matched: false, reason: "no-labels" };
  const byLabels = catalog.classes.filter(({ labels }) => holdsAll(labels, query.labels));
  if (byLabels.length === 0) return { matched: false, reason: "labels" };
  const allowed = byLabels.filter((runnerClass) => isAllowed(catalog, runnerClass, query));
  if (allowed.length === 0) return { matched: false, reason: "repository-not-allowed" };
  const runnerClass = allowed.find((candidate) => query.isPrivate || candidate.allowPublicRepositories);
  if (!runnerClass) return { matched: false, reason: "public-repository" };
  return { matched: true, runnerClass, scope: scopeFor(runnerClass, query) };
}

function isAllowed(catalog: Catalog, runnerClass: RunnerClass, query: MatchQuery): boolean {
  if (!isServed(catalog.allow, query)) return false;
  const fullName = `${query.owner}/${query.repository}`;
  return !runnerClass.repositories || runnerClass.repositories.some((name) => sameName(name, fullName));
}

/** Where a runner of this class registers for a job of this repository. */
function scopeFor(runnerClass: RunnerClass, repository: { owner: string; repository: string }): Scope {
  return runnerClass.register.at === "organization"
    ? { kind: "organization", owner: repository.owner, runnerGroup: runnerClass.register.group }
    : { kind: "repository", owner: repository.owner, repository: repository.repository };
}
