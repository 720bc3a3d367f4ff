import { InvalidSpecError, type Scope, type Turn, UnauthorizedError } from "@grp/core";
import { App } from "@octokit/app";
import { Octokit } from "@octokit/core";
import { paginateRest } from "@octokit/plugin-paginate-rest";
import { hasStatus, toGitHubError } from "./errors.ts";
import type { Fetch, Gate } from "./gate.ts";

const PagedOctokit = Octokit.plugin(paginateRest);
export type Client = InstanceType<typeof PagedOctokit>;

/** A personal access token, or a GitHub App whose installation is looked up for each owner. */
export type GitHubAuth =
  | { readonly kind: "pat"; readonly token: string }
  | { readonly kind: "app"; readonly appId: string | number; readonly privateKey: string };

/** The account, and the repository if the call is about one. */
export interface Subject {
  readonly owner: string;
  readonly repository?: string;
  /** Its requests' place among those that wait for GitHub's leave. */
  readonly turn?: Turn | undefined;
}

/** Authenticated clients: by owner, and for what only the App itself may ask. */
export interface Clients {
  /** Runs `work` with the owner's client, whose every request ends with the signal. Rejects with core's errors only. */
  use<T>(subject: Subject, signal: AbortSignal, work: (client: Client) => Promise<T>): Promise<T>;
  /** With the App's JWT; `null` when this is no App. */
  readonly app: (<T>(signal: AbortSignal, work: (client: Client) => Promise<T>) => Promise<T>) | null;
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export function createClients(auth: GitHubAuth, options: { baseUrl: string; gate: Gate }): Clients {
  const settings = {
    baseUrl: options.baseUrl.replace(/\/+$/, ""),
    userAgent: "grp",
    // Octokit's own warnings print addresses and, on a deprecation, whole headers.
    log: silent,
  };
  if (auth.kind === "app") return createAppClients(auth, settings, options.gate);
  const client = new PagedOctokit({ ...settings, auth: auth.token });
  const fetchFor = ({ turn }: Subject) => options.gate({ credential: "token", turn });
  return {
    use: (subject, signal, work) => sorted(() => work(bind(client, { signal, fetch: fetchFor(subject) }))),
    app: null,
  };
}

function createAppClients(
  auth: GitHubAuth & { kind: "app" },
  settings: Record<string, unknown>,
  gate: Gate,
): Clients {
  const credential = `app-${auth.appId}`;
  const app = new App({
    appId: auth.appId,
    privateKey: auth.privateKey,
    Octokit: PagedOctokit.defaults(settings),
    log: silent,
  });
  const bindApp = (signal: AbortSignal) =>
    bind(app.octokit as Client, { signal, fetch: gate({ credential }) });
  // GitHub counts each installation for itself.
  const fetchFor = ({ owner, turn }: Subject) =>
    gate({ credential: `${credential}:${owner.toLowerCase()}`, turn });
  // An account has one installation of an App; tokens are cached behind each client, an hour as GitHub gives them.
  const byOwner = new Map<string, Client>();

  async function clientFor(subject: Subject, signal: AbortSignal): Promise<Client> {
    const owner = subject.owner.toLowerCase();
    const known = byOwner.get(owner);
    if (known) return known;
    const client = (await app.getInstallationOctokit(
      await findInstallation(bindApp(signal), subject),
    )) as Client;
    byOwner.set(owner, client);
    return client;
  }

  return {
    use: async (subject, signal, work) => {
      const owners = await sorted(() => clientFor(subject, signal));
      const client = bind(owners, { signal, fetch: fetchFor(subject) });
      try {
        return await sorted(() => work(client));
      } catch (error) {
        // The App may have been removed and installed again: under a new number.
        const mayBeStale = error instanceof UnauthorizedError || error instanceof InvalidSpecError;
        if (mayBeStale) byOwner.delete(subject.owner.toLowerCase());
        throw error;
      }
    },
    app: (signal, work) => sorted(() => work(bindApp(signal))),
  };
}

async function findInstallation(client: Client, subject: Subject): Promise<number> {
  const { owner, repository } = subject;
  const places = repository
    ? [() => client.request("GET /repos/{owner}/{repo}/installation", { owner, repo: repository })]
    : [
        () => client.request("GET /orgs/{org}/installation", { org: owner }),
        () => client.request("GET /users/{username}/installation", { username: owner }),
      ];
  for (const ask of places) {
    try {
      return Number((await ask()).data.id);
    } catch (cause) {
      const error = toGitHubError(cause);
      if (!hasStatus(error, 404)) throw error;
    }
  }
  const where = repository ? `${owner}/${repository}` : owner;
  throw new UnauthorizedError(`The GitHub App is not installed on ${where}`, { code: "app_not_installed" });
}

async function sorted<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toGitHubError(error);
  }
}

/** The scope's owner, and its repository where it has one. */
export function subjectOf(scope: Scope, turn?: Turn): Subject {
  return scope.kind === "repository"
    ? { owner: scope.owner, repository: scope.repository, turn }
    : { owner: scope.owner, turn };
}

// Octokit's pagination drops the signal of its caller, so the client itself is given it.
function bind(client: Client, own: { signal: AbortSignal; fetch: Fetch }): Client {
  const request = client.request.defaults({ request: own }) as Client["request"];
  const bound = Object.assign(Object.create(client) as Client, { request });
  return Object.assign(bound, paginateRest(bound));
}
