import { InvalidSpecError, type Scope, scopeKey, TransientError } from "@grp/core";
import { type Client, type Clients, saidByAny, subjectOf } from "./clients.ts";
import { hasStatus, toGitHubError } from "./errors.ts";
import type { GitHub, GitHubRunner, Registration } from "./types.ts";

/** The most GitHub gives in one page. */
const PAGE = 100;

type Runners = Pick<
  GitHub,
  "mintRegistration" | "findRunner" | "listRunners" | "deregister" | "checkRegistration"
>;
interface Groups {
  idOf(client: Client, scope: Scope): Promise<number>;
  forget(scope: Scope): void;
}

/** What a repository's runners are registered with: its only group. */
const REPOSITORY_GROUP = 1;
const HOUR_MS = 3_600_000;

export function createRunners(clients: Clients, now: () => number): Runners {
  const groups = createGroups(now);

  async function mint(
    client: Client,
    order: { scope: Scope; name: string; labels: readonly string[] },
  ): Promise<Registration> {
    const body = {
      name: order.name,
      labels: [...order.labels],
      runner_group_id: await groups.idOf(client, order.scope),
    };
    const { data } =
      order.scope.kind === "repository"
        ? await client.request("POST /repos/{owner}/{repo}/actions/runners/generate-jitconfig", {
            owner: order.scope.owner,
            repo: order.scope.repository,
            ...body,
          })
        : await client.request("POST /orgs/{org}/actions/runners/generate-jitconfig", {
            org: order.scope.owner,
            ...body,
          });
    if (typeof data?.encoded_jit_config !== "string" || !data.runner)
      throw new TransientError("GitHub's answer held no registration", { code: "malformed_answer" });
    return { runnerId: Number(data.runner.id), encodedJitConfig: data.encoded_jit_config };
  }

  return {
    mintRegistration: (order, signal) =>
      clients.use(subjectOf(order.scope, order.turn), signal, async (client) => {
        try {
          return await mint(client, order);
        } catch (cause) {
          const error = toGitHubError(cause);
          // Its group may have been made anew, under another number.
          if (error instanceof InvalidSpecError) groups.forget(order.scope);
          if (!mayClearName(error, signal)) throw error;
          await clearName(client, order);
          return await mint(client, order);
        }
      }),
    findRunner: (scope, name, signal) =>
      clients.use(subjectOf(scope), signal, (client) => findByName(client, scope, name)),
    listRunners: (scope, signal) =>
      clients.use(subjectOf(scope), signal, async (client) => {
        const options = { per_page: PAGE };
        const runners =
          scope.kind === "repository"
            ? await client.paginate("GET /repos/{owner}/{repo}/actions/runners", {
                owner: scope.owner,
                repo: scope.repository,
                ...options,
              })
            : await client.paginate("GET /orgs/{org}/actions/runners", { org: scope.owner, ...options });
        return runners.map(toRunner);
      }),
    deregister: (scope, runnerId, signal) =>
      clients.use(subjectOf(scope), signal, (client) => deregister(client, scope, runnerId)),
    async checkRegistration(scope, signal) {
      const outcomes = await clients.useEach(subjectOf(scope), signal, async (client) => {
        await groups.idOf(client, scope);
        await askRemoveToken(client, scope);
      });
      saidByAny(outcomes);
      return outcomes.flatMap((one) => (one.status === "rejected" ? [(one.reason as Error).message] : []));
    },
  };
}

/** Who has given up has no right to the name any more: it may be another's by now. */
function mayClearName(error: Error, signal: AbortSignal): boolean {
  return hasStatus(error, 409) && !signal.aborted;
}

/**
 * The name is taken: by our own earlier call, whose answer was lost. Nobody holds that registration, unless it runs a
 * job; so it is deleted (FACTS A4). A runner that vanished in between is as good.
 */
async function clearName(client: Client, order: { scope: Scope; name: string }): Promise<void> {
  const runner = await findByName(client, order.scope, order.name);
  if (!runner) return;
  const outcome = runner.busy ? "busy" : await deregister(client, order.scope, runner.runnerId);
  if (outcome === "busy")
    throw new TransientError(`The runner ${order.name} is there and runs a job`, { code: "runner_busy" });
}

async function findByName(client: Client, scope: Scope, name: string): Promise<GitHubRunner | null> {
  const options = { name, per_page: PAGE };
  const { data } =
    scope.kind === "repository"
      ? await client.request("GET /repos/{owner}/{repo}/actions/runners", {
          owner: scope.owner,
          repo: scope.repository,
          ...options,
        })
      : await client.request("GET /orgs/{org}/actions/runners", { org: scope.owner, ...options });
  // An old GitHub Enterprise Server ignores the filter.
  const runner = data.runners.find((candidate) => candidate.name === name);
  return runner ? toRunner(runner) : null;
}

async function deregister(
  client: Client,
  scope: Scope,
  runnerId: number,
): Promise<"deregistered" | "gone" | "busy"> {
  const options = { runner_id: runnerId };
  try {
    if (scope.kind === "repository")
      await client.request("DELETE /repos/{owner}/{repo}/actions/runners/{runner_id}", {
        owner: scope.owner,
        repo: scope.repository,
        ...options,
      });
    else
      await client.request("DELETE /orgs/{org}/actions/runners/{runner_id}", {
        org: scope.owner,
        ...options,
      });
    return "deregistered";
  } catch (cause) {
    const error = toGitHubError(cause);
    if (hasStatus(error, 404)) return "gone";
    if (hasStatus(error, 422)) return "busy";
    throw error;
  }
}

// Wants the same permission as a registration and starts nothing; the token it gives can only remove runners.
async function askRemoveToken(client: Client, scope: Scope): Promise<void> {
  if (scope.kind === "repository")
    await client.request("POST /repos/{owner}/{repo}/actions/runners/remove-token", {
      owner: scope.owner,
      repo: scope.repository,
    });
  else await client.request("POST /orgs/{org}/actions/runners/remove-token", { org: scope.owner });
}

/** Ids of runner groups by name, kept for an hour; an unknown name is asked for again each time. */
function createGroups(now: () => number): Groups {
  const known = new Map<string, { id: number; until: number }>();
  return {
    async idOf(client, scope) {
      if (scope.kind === "repository") return REPOSITORY_GROUP;
      const found = known.get(scopeKey(scope));
      if (found && found.until > now()) return found.id;
      const groups = await client.paginate("GET /orgs/{org}/actions/runner-groups", {
        org: scope.owner,
        per_page: PAGE,
      });
      const group = groups.find(({ name }) => name.toLowerCase() === scope.runnerGroup.toLowerCase());
      if (!group)
        throw new InvalidSpecError(`${scope.owner} has no runner group "${scope.runnerGroup}"`, {
          code: "runner_group_not_found",
        });
      known.set(scopeKey(scope), { id: group.id, until: now() + HOUR_MS });
      return group.id;
    },
    forget: (scope) => void known.delete(scopeKey(scope)),
  };
}

interface RawRunner {
  readonly id: number | bigint;
  readonly name: string;
  readonly status: string;
  readonly busy: boolean;
  readonly labels: readonly { readonly name: string }[];
  readonly version?: string | null;
}

function toRunner(raw: RawRunner): GitHubRunner {
  return {
    runnerId: Number(raw.id),
    name: raw.name,
    status: raw.status === "online" ? "online" : "offline",
    busy: raw.busy,
    labels: raw.labels.map(({ name }) => name),
    ...(raw.version ? { version: raw.version } : {}),
  };
}
