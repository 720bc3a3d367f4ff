import { InvalidSpecError } from "@grp/core";
import type { Client, Clients } from "./clients.ts";
import { hasStatus, toGitHubError } from "./errors.ts";
import type { FailedDeliveries, GitHub, HookDelivery, HookPlace, HookTarget } from "./types.ts";

/** The most GitHub gives in one page. */
const PAGE = 100;

type Deliveries = Pick<GitHub, "appIds" | "findHooks" | "listFailedDeliveries" | "redeliver">;

/** GitHub keeps deliveries for three days and sends none again by itself. */
export function createDeliveries(clients: Clients): Deliveries {
  /** An App's own hook answers to its JWT alone, the others to the owner's client. */
  function use<T>(place: HookPlace, signal: AbortSignal, work: (client: Client) => Promise<T>): Promise<T> {
    if (place.kind !== "app") return clients.use(place, signal, work);
    const app = clients.apps.find(({ appId }) => appId === place.appId);
    if (!app)
      throw new InvalidSpecError(`We are no GitHub App ${place.appId} (any more)`, { code: "no_app" });
    return app.use(signal, work);
  }

  return {
    appIds: clients.apps.map(({ appId }) => appId),
    findHooks: (place, url, signal) =>
      use(place, signal, async (client) => {
        if (place.kind !== "app") return orNone(() => findHooksAt(client, place, url));
        const { data } = await client.request("GET /app/hook/config");
        return isSameUrl(data.url, url) ? [place] : [];
      }),
    listFailedDeliveries: (target, { sinceMs, cursor }, signal) =>
      use(target, signal, async (client) => {
        const { data, headers } = await requestPage(client, target, cursor);
        return readPage(data.map(toDelivery), { headers, sinceMs });
      }),
    redeliver: (target, deliveryId, signal) =>
      use(target, signal, (client) => redeliver(client, target, deliveryId)),
  };
}

interface Headers {
  readonly date?: string | undefined;
  readonly link?: string | undefined;
}

function readPage(
  deliveries: readonly HookDelivery[],
  { headers, sinceMs }: { readonly headers: Headers; readonly sinceMs: number },
): FailedDeliveries {
  const times = deliveries.map(({ deliveredAt }) => deliveredAt);
  const at = [Date.parse(headers.date ?? ""), Math.max(...times)].find(Number.isFinite);
  const downTo = Math.min(...times);
  const cursor = downTo >= sinceMs ? nextCursor(headers.link) : undefined;
  return {
    failed: deliveries.filter((one) => one.deliveredAt >= sinceMs && isFailed(one)),
    ...(at === undefined ? {} : { at }),
    ...(times.length === 0 ? {} : { downTo }),
    ...(cursor === undefined ? {} : { cursor }),
  };
}

/** GitHub names the next page's address only. */
function nextCursor(link = ""): string | undefined {
  const [, address = ""] = /<([^>]+)>;\s*rel="next"/.exec(link) ?? [];
  return URL.canParse(address) ? (new URL(address).searchParams.get("cursor") ?? undefined) : undefined;
}

function requestPage(client: Client, target: HookTarget, cursor: string | undefined) {
  const options = { per_page: PAGE, status: "failure" as const, ...(cursor === undefined ? {} : { cursor }) };
  switch (target.kind) {
    case "app":
      return client.request("GET /app/hook/deliveries", options);
    case "repository":
      return client.request("GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries", {
        owner: target.owner,
        repo: target.repository,
        hook_id: target.hookId,
        ...options,
      });
    case "organization":
      return client.request("GET /orgs/{org}/hooks/{hook_id}/deliveries", {
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

async function findHooksAt(
  client: Client,
  place: Exclude<HookPlace, { kind: "app" }>,
  url: string,
): Promise<HookTarget[]> {
  const { owner } = place;
  const hooks =
    place.kind === "repository"
      ? await client.paginate("GET /repos/{owner}/{repo}/hooks", {
          owner,
          repo: place.repository,
          per_page: PAGE,
        })
      : await client.paginate("GET /orgs/{org}/hooks", { org: owner, per_page: PAGE });
  return hooks
    .filter((hook) => isSameUrl(hook.config.url, url))
    .map((hook) => ({ ...place, hookId: hook.id }));
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

// What was never answered has no code that says so, and a server that does not know the filter sends all of them. A
// redirect's word is not "OK", and GitHub counts it as delivered.
function isFailed({ status, statusCode }: HookDelivery): boolean {
  return status !== "OK" && !(statusCode >= 200 && statusCode < 400);
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
