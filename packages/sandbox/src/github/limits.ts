import type { Credentials } from "./credentials.ts";
import type { RestCall, RestOutcome } from "./rest.ts";
import { rateLimitAnswer } from "./script.ts";

/** What GitHub lets one installation or token do: a read costs one point, a write five. */
export interface PointLimits {
  readonly points: number;
  readonly windowMs: number;
  readonly concurrent: number;
  /** Requests of an hour, whatever they cost; told in every answer. */
  readonly hourly?: number;
  /** Runners that one repository or organization takes, whoever registers them; as published, without. */
  readonly registrations?: RegistrationLimits;
}

export interface RegistrationLimits {
  readonly most: number;
  readonly windowMs: number;
}

/** https://docs.github.com/actions/reference/limits */
const REGISTRATIONS: RegistrationLimits = { most: 1_500, windowMs: 300_000 };

const HOUR_MS = 3_600_000;

/** GitHub's primary limit: counted by the hour since the first request, each credential for itself. */
export function createHours(most: number, now: () => number) {
  const hours = new Map<string, { used: number; readonly resetAt: number }>();
  /** One request more; as GitHub tells it, and the refusal when it is too much. */
  return (credential: string) => {
    const known = hours.get(credential);
    const hour = known && known.resetAt > now() ? known : { used: 0, resetAt: now() + HOUR_MS };
    hour.used += 1;
    hours.set(credential, hour);
    const headers = {
      "x-ratelimit-limit": String(most),
      "x-ratelimit-remaining": String(Math.max(0, most - hour.used)),
      "x-ratelimit-reset": String(Math.ceil(hour.resetAt / 1_000)),
    };
    const waitS = Math.ceil((hour.resetAt - now()) / 1_000);
    return { headers, ...(hour.used > most && { refused: rateLimitAnswer("primary", waitS, now()) }) };
  };
}

export interface PointCounter {
  /** Seconds to wait when it is too much; undefined when it may go on. Call what is given when the request is over. */
  enter(
    credential: string,
    method: string,
  ): { readonly leave: () => void } | { readonly retryAfterS: number };
  /** Requests that were refused. */
  refused(): number;
}

/** GitHub's secondary limits, counted strictly: no more points within any window, and no more requests at a time. */
export function createPointCounter(limits: PointLimits, now: () => number): PointCounter {
  const spent = new Map<string, { at: number; cost: number }[]>();
  const underWay = new Map<string, number>();
  let refused = 0;
  return {
    refused: () => refused,
    enter(credential, method) {
      const recent = (spent.get(credential) ?? []).filter(({ at }) => at > now() - limits.windowMs);
      const cost = ["GET", "HEAD", "OPTIONS"].includes(method) ? 1 : 5;
      const used = recent.reduce((sum, one) => sum + one.cost, 0);
      const parallel = underWay.get(credential) ?? 0;
      if (used + cost > limits.points || parallel >= limits.concurrent) {
        refused += 1;
        spent.set(credential, recent);
        return { retryAfterS: Math.ceil(limits.windowMs / 1_000) };
      }
      recent.push({ at: now(), cost });
      spent.set(credential, recent);
      underWay.set(credential, parallel + 1);
      return { leave: () => void underWay.set(credential, (underWay.get(credential) ?? 1) - 1) };
    },
  };
}

export interface RegistrationCounter {
  /** As a point counter's, of the place that a request registers at; call what is given when it registered nothing. */
  enter(path: string): { readonly undo: () => void } | { readonly retryAfterS: number };
  refused(): number;
}

/** Counted as strictly: no more registrations at one place within any window. */
export function createRegistrationCounter(
  { most, windowMs }: RegistrationLimits = REGISTRATIONS,
  now: () => number,
): RegistrationCounter {
  const places = new Map<string, { readonly at: number }[]>();
  let refused = 0;
  return {
    refused: () => refused,
    enter(path) {
      const place = path.toLowerCase();
      const recent = (places.get(place) ?? []).filter(({ at }) => at > now() - windowMs);
      places.set(place, recent);
      const [oldest] = recent;
      if (oldest && recent.length >= most) {
        refused += 1;
        return { retryAfterS: Math.ceil((oldest.at + windowMs - now()) / 1_000) };
      }
      const registration = { at: now() };
      recent.push(registration);
      return {
        undo() {
          const others = places.get(place)?.filter((one) => one !== registration) ?? [];
          places.set(place, others);
        },
      };
    },
  };
}

export function refuse({
  status = 403,
  headers = {},
  body = {},
}: ReturnType<typeof rateLimitAnswer>): RestOutcome {
  return { operationId: "", answer: { status, headers, body }, isLost: false };
}

type Rest = (call: RestCall) => Promise<RestOutcome>;

interface Limited {
  readonly points: PointCounter;
  readonly registrations: RegistrationCounter;
  readonly callerOf: Credentials["callerOf"];
  readonly now: () => number;
}

/** The same, refused where the counts say so; GitHub counts each App apart from its installation, and each token. */
export function limitRest(rest: Rest, { points, registrations, callerOf, now }: Limited): Rest {
  const refuseFor = (retryAfterS: number) => refuse(rateLimitAnswer("secondary", retryAfterS, now()));

  async function register(call: RestCall): Promise<RestOutcome> {
    const entry = registrations.enter(call.path);
    if ("retryAfterS" in entry) return refuseFor(entry.retryAfterS);
    const outcome = await rest(call);
    if (outcome.answer.status !== 201) entry.undo();
    return outcome;
  }

  return async (call) => {
    const entry = points.enter(callerOf(call.headers.authorization)?.name ?? "nobody", call.method);
    if ("retryAfterS" in entry) return refuseFor(entry.retryAfterS);
    const isRegistration = call.path.endsWith("/actions/runners/generate-jitconfig");
    return (isRegistration ? register(call) : rest(call)).finally(entry.leave);
  };
}
