import { type Turn, UnauthorizedError } from "@grp/core";
import { App } from "@octokit/app";
import { Octokit } from "@octokit/core";
import { paginateRest } from "@octokit/plugin-paginate-rest";
import type { GitHubApp } from "./auth.ts";
import { hasStatus, toGitHubError } from "./errors.ts";
import type { Fetch, Gate, Pass } from "./gate.ts";
import type { Passport } from "./limits.ts";

// Octokit's own warnings print addresses and, on a deprecation, whole headers.
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export const PagedOctokit = Octokit.plugin(paginateRest);
export type Client = InstanceType<typeof PagedOctokit>;
export type RequestOptions = ReturnType<Client["request"]["endpoint"]["merge"]> & { url: string };
type Answer = Awaited<ReturnType<Client["request"]>>;

/** The account, and the repository if the call is about one. */
export interface Subject {
  readonly owner: string;
  readonly repository?: string;
  /** Its requests' place among those that wait for GitHub's leave. */
  readonly turn?: Turn | undefined;
}

/** What GitHub knows us as, and counts for itself: an App, or the holder of a token. */
export interface Identity {
  /** As people are told of it: `GitHub App 12`. */
  readonly name: string;
  /** The access that it has to the subject; `UnauthorizedError` when it has none. */
  open(subject: Subject, signal: AbortSignal): Promise<Access>;
  /** An App: what only it itself may ask, with its JWT. */
  readonly app?: { readonly appId: string; client(signal: AbortSignal): Client };
}

export interface Access {
  readonly passport: Passport;
  send(options: RequestOptions, pass: Pass, signal: AbortSignal): Promise<Answer>;
  /** After a 404: rejects with `UnauthorizedError` when the access is gone, so that "not found" says nothing. */
  confirm(signal: AbortSignal): Promise<void>;
  /** GitHub refused: the next `open` asks anew. */
  forget(): void;
}

export interface ClientSettings {
  readonly baseUrl: string;
  readonly userAgent: string;
  readonly log: typeof silent;
}

export function settingsFor(baseUrl: string): ClientSettings {
  return { baseUrl: baseUrl.replace(/\/+$/, ""), userAgent: "grp", log: silent };
}

export interface IdentityOptions {
  readonly settings: ClientSettings;
  readonly gate: Gate;
  readonly now: () => number;
}

/** So long an installation that was seen is believed to be there when something was not found. */
const SEEN_MS = 60_000;

const TOKEN: Passport = { credential: "token" };

export function createTokenIdentity(
  token: string,
  { settings }: Pick<IdentityOptions, "settings">,
): Identity {
  const client = new PagedOctokit({ ...settings, auth: token });
  const access: Access = {
    passport: TOKEN,
    send: (options, { fetch }, signal) => sendBy(client, options, { fetch, signal }),
    confirm: async () => undefined,
    forget: () => undefined,
  };
  return { name: "the token", open: async () => access };
}

/** GitHub counts each installation of an App for itself, and the App with its JWT once more. */
export function createAppIdentity(
  { appId, privateKey }: GitHubApp,
  { settings, gate, now }: IdentityOptions,
): Identity {
  const name = `GitHub App ${appId}`;
  const credential = `app-${appId}`;
  const fetchAsApp = gate.fetchBy({ credential });
  const app = new App({
    appId,
    privateKey,
    Octokit: PagedOctokit.defaults(settings),
    log: silent,
  });
  const client = (signal: AbortSignal) => bind(app.octokit as Client, { signal, fetch: fetchAsApp });
  // Tokens are cached behind each client, an hour as GitHub gives them.
  const clients = new Map<number, Promise<Client>>();
  const installations = new Map<string, { readonly id: Promise<number>; readonly seenAt: number }>();

  /** An App may be installed on some of an account's repositories: each is looked up, once. */
  function findInstallation(subject: Subject, signal: AbortSignal): Promise<number> {
    const place = placeOf(subject);
    const known = installations.get(place);
    if (known) return known.id;
    const id = askInstallation(client(signal), { name, subject });
    installations.set(place, { id, seenAt: now() });
    id.catch(() => installations.get(place)?.id === id && installations.delete(place));
    return id;
  }

  async function clientOf(id: number): Promise<Client> {
    const known = clients.get(id) ?? (app.getInstallationOctokit(id) as Promise<Client>);
    clients.set(id, known);
    return known;
  }

  return {
    name,
    app: { appId: String(appId), client },
    async open(subject, signal) {
      const ofInstallation = await clientOf(await findInstallation(subject, signal));
      const owner = subject.owner.toLowerCase();
      const place = placeOf(subject);
      return {
        // Whichever App serves an account's machines, they stand in one line.
        passport: { credential: `${credential}:${owner}`, line: owner },
        send: (options, pass, signal) =>
          sendBy(ofInstallation, options, { signal, fetch: tokensAs(fetchAsApp, pass.fetch) }),
        async confirm(signal) {
          if (now() - (installations.get(place)?.seenAt ?? 0) < SEEN_MS) return;
          installations.delete(place);
          await findInstallation(subject, signal);
        },
        forget: () => void installations.delete(place),
      };
    },
  };
}

/** As defaults, they hold for a request for a token too. */
function sendBy(client: Client, { request: _, ...options }: RequestOptions, own: Own): Promise<Answer> {
  return client.request.defaults({ request: own })(options);
}

type Own = { readonly fetch: Fetch; readonly signal: AbortSignal };

/** A request that needs a new token asks for it first: that is the App's own request. */
function tokensAs(asApp: Fetch, asInstallation: Fetch): Fetch {
  return (input, init) =>
    /\/app\/installations\/\d+\/access_tokens$/.test(String(input))
      ? asApp(input, init)
      : asInstallation(input, init);
}

export function placeOf({ owner, repository }: Subject): string {
  return (repository ? `${owner}/${repository}` : owner).toLowerCase();
}

async function askInstallation(
  client: Client,
  { name, subject }: { readonly name: string; readonly subject: Subject },
): Promise<number> {
  const { owner, repository } = subject;
  const places = repository
    ? [() => client.request("GET /repos/{owner}/{repo}/installation", { owner, repo: repository })]
    : [
        () => client.request("GET /orgs/{org}/installation", { org: owner }),
        () => client.request("GET /users/{username}/installation", { username: owner }),
      ];
  const where = repository ? `${owner}/${repository}` : owner;
  for (const ask of places) {
    try {
      const { id, suspended_at } = (await ask()).data;
      if (suspended_at)
        throw new UnauthorizedError(`${name} is suspended on ${where}`, { code: "app_suspended" });
      return Number(id);
    } catch (cause) {
      const error = toGitHubError(cause);
      if (!hasStatus(error, 404)) throw error;
    }
  }
  throw new UnauthorizedError(`${name} is not installed on ${where}`, { code: "app_not_installed" });
}

/** Octokit's pagination drops the signal of its caller, so the client itself is given it, and whatever else is its own. */
export function bind(client: Client, own: Readonly<Record<string, unknown>>): Client {
  const request = client.request.defaults({ request: own }) as Client["request"];
  const bound = Object.assign(Object.create(client) as Client, { request });
  return Object.assign(bound, paginateRest(bound));
}
