import { InvalidSpecError } from "@grp/core";
import { type Client, type Clients, saidByAny } from "./clients.ts";
import { hasStatus, toGitHubError } from "./errors.ts";
import type { GitHub, HookDelivery, HookTarget } from "./types.ts";

/** The most GitHub gives in one page. */
const PAGE = 100;

type Deliveries = Pick<GitHub, "findHooks" | "listFailedDeliveries" | "redeliver">;

/** GitHub keeps deliveries for three days and sends none again by itself. */
export function createDeliveries(clients: Clients): Deliveries {
  /** An App's own hook answers to its JWT alone, the others to the owner's client. */
  function use<T>(target: HookTarget, signal: AbortSignal, work: (client: Client) => Promise<T>): Promise<T> {
    if (target.kind !== "app") return clients.use(target, signal, work);
    const app = clients.apps.find(({ appId }) => appId === target.appId);
    if (!app)
      throw new InvalidSpecError(`We are no GitHub App ${target.appId} (any more)`, { code: "no_app" });
    return app.use(signal, work);
  }

  return {
    async findHooks(query, signal) {
      if (clients.apps.length > 0) {
        const ask = async ({ appId, use }: Clients["apps"][number]): Promise<HookTarget[]> => {
          const { data } = await use(signal, (client) => client.request("GET /app/hook/config"));
          return data.url && isSameUrl(data.url, query.url) ? [{ kind: "app", appId }] : [];
        };
        return saidByAny(await Promise.allSettled(clients.apps.map(ask))).flat();
      }
      const ofRepositories = query.repositories.map((repository) =>
        findRepositoryHooks(clients, { ...repository, url: query.url }, signal),
      );
      const ofOrganizations = query.organizations.map((owner) =>
        findOrganizationHooks(clients, { owner, url: query.url }, signal),
      );
      return (await Promise.all([...ofRepositories, ...ofOrganizations])).flat();
    },
    listFailedDeliveries: (target, sinceMs, signal) =>
      use(target, signal, async (client) => {
        const found: HookDelivery[] = [];
        for await (const page of pagesOf(client, target)) {
          const deliveries = page.data.map(toDelivery);
          found.push(...deliveries.filter((one) => one.deliveredAt >= sinceMs && isFailed(one)));
          if (deliveries.some(({ deliveredAt }) => deliveredAt < sinceMs)) break;
        }
        return found;
      }),
    redeliver: (target, deliveryId, signal) =>
      use(target, signal, (client) => redeliver(client, target, deliveryId)),
  };
}

function pagesOf(client: Client, target: HookTarget) {
  const options = { per_page: PAGE, status: "failure" as const };
  switch (target.kind) {
    case "app":
      return client.paginate.iterator("GET /app/hook/deliveries", options);
    case "repository":
      return client.paginate.iterator("GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries", {
        owner: target.owner,
        repo: target.repository,
        hook_id: target.hookId,
        ...options,
      });
    case "organization":
      return client.paginate.iterator("GET /orgs/{org}/hooks/{hook_id}/deliveries", {
        org: target.owner,
        hook_id: target.hookId,
        ...options,
      });
  }
}

async function redeliver(client: Client, target: HookTarget, deliveryId: string): Promise<void> {
  // Octokit's types want a number; the id only becomes a part of the address, and may be beyond 2^53.
  const options = { delivery_id: deliveryId as unknown as number };
  switch (target.kind) {
    case "app":
      await client.request("POST /app/hook/deliveries/{delivery_id}/attempts", options);
      return;
    case "repository":
      await client.request("POST /repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts", {
        owner: target.owner,
        repo: target.repository,
        hook_id: target.hookId,
        ...options,
      });
      return;
    case "organization":
      await client.request("POST /orgs/{org}/hooks/{hook_id}/deliveries/{delivery_id}/attempts", {
        org: target.owner,
        hook_id: target.hookId,
        ...options,
      });
  }
}

function findRepositoryHooks(
  clients: Clients,
  query: { owner: string; repository: string; url: string },
  signal: AbortSignal,
): Promise<HookTarget[]> {
  return clients.use(query, signal, (client) =>
    orNone(async () => {
      const hooks = await client.paginate("GET /repos/{owner}/{repo}/hooks", {
        owner: query.owner,
        repo: query.repository,
        per_page: PAGE,
      });
      return hooks
        .filter((hook) => isSameUrl(hook.config.url, query.url))
        .map((hook) => ({
          kind: "repository" as const,
          owner: query.owner,
          repository: query.repository,
          hookId: hook.id,
        }));
    }),
  );
}

function findOrganizationHooks(
  clients: Clients,
  query: { owner: string; url: string },
  signal: AbortSignal,
): Promise<HookTarget[]> {
  return clients.use(query, signal, (client) =>
    orNone(async () => {
      const hooks = await client.paginate("GET /orgs/{org}/hooks", {
        org: query.owner,
        per_page: PAGE,
      });
      return hooks
        .filter((hook) => isSameUrl(hook.config.url, query.url))
        .map((hook) => ({ kind: "organization" as const, owner: query.owner, hookId: hook.id }));
    }),
  );
}

/** A user has no organization's hooks, and these credentials may not see all hooks: both are 404. */
async function orNone(work: () => Promise<HookTarget[]>): Promise<HookTarget[]> {
  try {
    return await work();
  } catch (cause) {
    const error = toGitHubError(cause);
    if (hasStatus(error, 404)) return [];
    throw error;
  }
}

function isSameUrl(one: string | undefined, other: string): boolean {
  const plain = (url: string) => url.replace(/\/+$/, "");
  return one !== undefined && plain(one) === plain(other);
}

// GitHub's own range for `failure`; no connection and no answer have codes in it too. A server that does not know the
// filter sends them all.
function isFailed({ statusCode }: HookDelivery): boolean {
  return statusCode >= 400;
}

interface RawDelivery {
  readonly id: number | bigint;
  readonly guid: string;
  readonly delivered_at: string;
  readonly redelivery: boolean;
  readonly status: string;
  readonly status_code: number;
  readonly event: string;
  readonly action: string | null;
}

function toDelivery(raw: RawDelivery): HookDelivery {
  return {
    id: String(raw.id),
    guid: raw.guid,
    deliveredAt: Date.parse(raw.delivered_at),
    isRedelivery: raw.redelivery,
    status: raw.status,
    statusCode: raw.status_code,
    event: raw.event,
    action: raw.action,
  };
}
