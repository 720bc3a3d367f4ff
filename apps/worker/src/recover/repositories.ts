import type { Catalog } from "@grp/core";
import type { WorkerContext } from "../context.ts";
import { askEach } from "./ask-each.ts";

export interface Repository {
  readonly owner: string;
  readonly repository: string;
}

/** Workflow jobs looked through for repositories that are served: a few round trips to Redis. */
const MOST_JOBS = 2_000;

/** New repositories are rare. */
const LISTING_MS = 3_600_000;

/** Those that the catalog allows by name, and those that had workflow jobs of ours lately. No call to GitHub. */
export async function listKnownRepositories(
  context: Pick<WorkerContext, "catalog" | "ledger">,
): Promise<readonly Repository[]> {
  const { catalog, ledger } = context;
  const named = catalog.allow.repositories.map((fullName): Repository => {
    const [owner = "", repository = ""] = fullName.split("/");
    return { owner, repository };
  });
  const seen = (await ledger.listWorkflowJobs(MOST_JOBS)).map(({ demand }) => demand);
  return unique([...named, ...seen.filter((one) => isAllowed(catalog, one))]);
}

export type ListRepositories = (signal: AbortSignal) => Promise<readonly Repository[]>;

/**
 * Every repository that may have work for us: the known ones, and all that the allowed owners have, asked for once an
 * hour. An owner who has none yet, or whose list GitHub gave in part or not at all, is asked again in the next round;
 * what it said last stands meanwhile.
 */
export function createRepositoryLister(context: WorkerContext): ListRepositories {
  const { catalog, github, log, now } = context;
  const cached = new Map<string, { readonly list: readonly Repository[]; readonly until: number }>();

  async function ask(owner: string, signal: AbortSignal): Promise<readonly Repository[]> {
    const known = cached.get(owner);
    if (known && known.until > now()) return [];
    const { repositories, missed } = await github.listRepositories(owner, signal);
    const isWhole = missed.length === 0;
    const list = isWhole ? repositories : unique([...(known?.list ?? []), ...repositories]);
    cached.set(owner, { list, until: isWhole && list.length > 0 ? now() + LISTING_MS : 0 });
    if (!isWhole) throw missed[0];
    return list;
  }

  return async (signal) => {
    const owners = catalog.allow.owners.map((owner) => ({ owner }));
    await askEach(owners, {
      ask: (one) => ask(one.owner, signal),
      log,
      message: "repositories.unseen",
      signal,
    });
    const owned = owners.flatMap(({ owner }) => cached.get(owner)?.list ?? []);
    return unique([...owned, ...(await listKnownRepositories(context))]);
  };
}

/** Once each, without case, by name. */
function unique(repositories: readonly Repository[]): readonly Repository[] {
  const byName = new Map(repositories.map((one) => [nameOf(one), one]));
  return [...byName]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, { owner, repository }]) => ({ owner, repository }));
}

export function nameOf({ owner, repository }: Repository): string {
  return `${owner}/${repository}`.toLowerCase();
}

function isAllowed(catalog: Catalog, repository: Repository): boolean {
  const isOwner = catalog.allow.owners.some(
    (owner) => owner.toLowerCase() === repository.owner.toLowerCase(),
  );
  return isOwner || catalog.allow.repositories.some((name) => name.toLowerCase() === nameOf(repository));
}
