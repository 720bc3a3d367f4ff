import { ProvisionError, RateLimitedError, type Told, TransientError } from "@grp/core";
import { createEntrance, type Departure, type EntranceOptions } from "./entrance.ts";
import { type Answer, rateLimited, redact, untilResetMs } from "./errors.ts";
import type { Passport } from "./limits.ts";
import { createPauses } from "./pauses.ts";
import {
  createRegistrationRefusals,
  type Refusing,
  type RegistrationRefusals,
} from "./registration-refusals.ts";

/** Long enough for GitHub's slow minutes, short enough that a machine that waits for its claim may try again. */
const REQUEST_TIMEOUT_MS = 10_000;

/** One that is answered later is still good, and a second one in its place costs four more calls. */
const REGISTRATION_TIMEOUT_MS = 20_000;

export type Fetch = typeof globalThis.fetch;

export interface GateOptions extends EntranceOptions {
  readonly fetch: Fetch;
  readonly now: () => number;
}

/** Leave for one request. */
export interface Pass {
  /** By which of the passports. */
  readonly index: number;
  /** 10 s for the whole answer; 20 s for a registration, also when the caller gives up meanwhile. */
  readonly fetch: Fetch;
  /** To be called when the request is over. */
  leave(): void;
}

/**
 * Every request to GitHub passes here, token requests included: none leaves before GitHub's limits for its credentials
 * allow it, by the budget, or before a pause is over that GitHub asked for. Failures are core's errors. Nothing is tried
 * twice.
 */
export interface Gate {
  /** Leave by the one of the passports that has the most left. */
  admit(passports: readonly Passport[], departure: Departure): Promise<Pass>;
  /** A `fetch` whose every request asks for leave by this passport. */
  fetchBy(passport: Passport): Fetch;
}

/** One request that has leave. */
interface Trip {
  readonly passport: Passport;
  /** How long GitHub wants no other one, when the answer is a refusal. */
  readonly heed: (answer: Answer) => number | undefined;
  readonly registration?: ReturnType<RegistrationRefusals["depart"]> | undefined;
  told?: Told | undefined;
}

export function createGate(options: GateOptions): Gate {
  const { now, holdMs = 0 } = options;
  const pauses = createPauses(now);
  const refusals = createRegistrationRefusals(now);
  const entrance = createEntrance(options);
  const refuse = (waitMs: number) => rateLimited(waitMs, { isShared: options.budget !== undefined });

  async function send(trip: Trip, [input, init = {}]: Parameters<Fetch>) {
    const response = await options.fetch(input, init);
    trip.told = readTold(response.headers, now());
    // Read here, so that a body that never ends counts as a time-out and not as an empty answer.
    const body = await response.text();
    const { status, headers } = response;
    const waitMs = trip.heed({ status, headers, body });
    await slowDown(refusingOf(trip, response, waitMs));
    if (waitMs !== undefined) throw refuse(waitMs);
    const copy = new Response(body || null, { status, headers });
    // A made Response has no address, and octokit's pagination reads it.
    return Object.defineProperty(copy, "url", { value: response.url || String(input) });
  }

  async function slowDown(refusing: readonly Refusing[]): Promise<void> {
    for (const { limited, pauseMs } of refusing) await entrance.slowDown(limited, pauseMs);
  }

  /** Which limits GitHub refused by, as far as this answer tells. */
  function refusingOf(
    { passport, registration }: Trip,
    { ok, headers }: Response,
    waitMs: number | undefined,
  ): readonly Refusing[] {
    if (waitMs === undefined) return (ok && registration?.granted()) || [];
    const isPrimary = untilResetMs(headers, now()) !== undefined;
    if (registration && !isPrimary) return registration.refused(waitMs);
    return [{ limited: { passport }, pauseMs: waitMs }];
  }

  /** Those that are not paused, by their indices. With a budget that is for it to say: those who wait stand in its line. */
  function openOf(passports: readonly Passport[]): readonly number[] {
    const all = [...passports.keys()];
    if (options.budget) return all;
    const lefts = passports.map(({ credential }) => pauses.of(credential).leftMs());
    const open = all.filter((index) => (lefts[index] ?? 0) <= 0);
    if (open.length === 0) throw refuse(Math.min(...lefts));
    return open;
  }

  /** Where it is not known by whose limit GitHub refused a registration, those that it did not refuse. */
  function untriedOf(passports: readonly Passport[], open: readonly number[], place: string | undefined) {
    if (!place) return open;
    const untried = open.filter((index) => !refusals.isOpen(passports[index] as Passport, place));
    return untried.length > 0 ? untried : open;
  }

  async function enter(passports: readonly Passport[], departure: Departure) {
    const { registersAt: place } = departure;
    const open = openOf(passports);
    const asked = untriedOf(passports, open, place);
    const ways = asked.map((index) => passports[index] as Passport);
    try {
      const { way, leave } = await entrance.enter(ways, departure);
      return { index: asked[way] ?? 0, passport: ways[way] as Passport, leave };
    } catch (error) {
      if (!place || !(error instanceof RateLimitedError)) throw error;
      await slowDown(refusals.settle(place));
      if (asked.length === open.length) throw error;
      return enter(passports, departure);
    }
  }

  async function admit(passports: readonly Passport[], departure: Departure): Promise<Pass> {
    const { registersAt: place } = departure;
    const entry = await within(departure.signal, holdMs + REQUEST_TIMEOUT_MS, (signal) => {
      signal.throwIfAborted();
      return enter(passports, { ...departure, signal });
    });
    const { index, passport } = entry;
    const timeoutMs = place ? REGISTRATION_TIMEOUT_MS : REQUEST_TIMEOUT_MS;
    const heed = pauses.of(passport.credential).depart();
    const registration = place ? refusals.depart({ passport, place, passports }) : undefined;
    const trip: Trip = { passport, heed, registration };
    return {
      index,
      leave: () => entry.leave(trip.told),
      fetch: (input, init = {}) =>
        within(endOf(departure, init.signal ?? departure.signal), timeoutMs, (signal) =>
          send(trip, [input, { ...init, signal }]),
        ),
    };
  }

  return {
    admit,
    fetchBy:
      (passport) =>
      async (input, init = {}) => {
        const signal = init.signal ?? new AbortController().signal;
        const pass = await admit([passport], { method: init.method ?? "GET", signal });
        try {
          return await pass.fetch(input, init);
        } finally {
          pass.leave();
        }
      },
  };
}

/** A registration that has left is awaited all the same: GitHub may grant it, and somebody must know of it. */
function endOf({ registersAt }: Departure, caller: AbortSignal): AbortSignal {
  return registersAt && !caller.aborted ? new AbortController().signal : caller;
}

/** Of the count that all our requests but few share; registrations have one more, far larger. */
function readTold(headers: Headers, nowMs: number): Told | undefined {
  const [left, reset] = [headers.get("x-ratelimit-remaining"), Number(headers.get("x-ratelimit-reset"))];
  const resource = headers.get("x-ratelimit-resource") ?? "core";
  if (left === null || !reset || (resource !== "core" && left !== "0")) return undefined;
  const most = resource === "core" ? Number(headers.get("x-ratelimit-limit")) : 0;
  return { left: Number(left), resetInMs: Math.max(reset * 1_000 - nowMs, 1_000), ...(most > 0 && { most }) };
}

/** Ends the work when the caller gives up or the time is over. */
async function within<T>(
  caller: AbortSignal,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), timeoutMs);
  try {
    return await work(AbortSignal.any([timeout.signal, caller]));
  } catch (error) {
    const lateMs = timeout.signal.aborted ? timeoutMs : undefined;
    throw toNetworkError(error, { isAborted: caller.aborted, lateMs });
  } finally {
    clearTimeout(timer);
  }
}

function toNetworkError(
  error: unknown,
  end: { isAborted: boolean; lateMs: number | undefined },
): ProvisionError {
  if (error instanceof ProvisionError) return error;
  if (end.isAborted) return new TransientError("The request to GitHub was given up", { code: "aborted" });
  if (end.lateMs !== undefined)
    return new TransientError(`GitHub did not answer in ${end.lateMs / 1_000} s`, { code: "timeout" });
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "network";
  const text = cause instanceof Error ? cause.message : String(cause);
  return new TransientError(redact(`GitHub could not be reached: ${text || code}`), { code });
}
