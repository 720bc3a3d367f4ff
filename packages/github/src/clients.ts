import { RateLimitedError, type Scope, type Turn, UnauthorizedError } from "@grp/core";
import type { GitHubAuth } from "./auth.ts";
import { hasStatus, toGitHubError } from "./errors.ts";
import type { Gate } from "./gate.ts";
import {
  type Access,
  bind,
  type Client,
  createAppIdentity,
  createTokenIdentity,
  type Identity,
  PagedOctokit,
  placeOf,
  type RequestOptions,
  type Subject,
  settingsFor,
} from "./identities.ts";
import { type AppRefusal, chooseError, createRefusals } from "./refusals.ts";

export type { Client, Subject } from "./identities.ts";

/** `work` with a client; its errors are core's. */
type Use = <T>(signal: AbortSignal, work: (client: Client) => Promise<T>) => Promise<T>;

/** Clients that act as whichever of our identities has most left of what GitHub allows. */
export interface Clients {
  /**
   * Runs `work` with a client of which each request goes by an identity that has access to the subject, and by the next
   * one where GitHub refuses it. Every request ends with the signal. Rejects with core's errors only.
   */
  use<T>(subject: Subject, signal: AbortSignal, work: (client: Client) => Promise<T>): Promise<T>;
  /** Runs `work` as each identity by itself; what came of each, never a rejection. */
  useEach<T>(
    subject: Subject,
    signal: AbortSignal,
    work: (client: Client) => Promise<T>,
  ): Promise<readonly PromiseSettledResult<T>[]>;
  /** Each App with its JWT; none where we have a token. */
  readonly apps: readonly { readonly appId: string; readonly use: Use }[];
}

export interface ClientsOptions {
  readonly baseUrl: string;
  readonly gate: Gate;
  readonly now: () => number;
  /** Told when one of several is left out for a while. */
  readonly onRefused?: ((refusal: AppRefusal) => void) | undefined;
}

export function createClients(auth: GitHubAuth, options: ClientsOptions): Clients {
  const { gate, now, onRefused = () => undefined } = options;
  const settings = settingsFor(options.baseUrl);
  const identities: readonly Identity[] =
    auth.kind === "pat"
      ? [createTokenIdentity(auth.token, { settings })]
      : auth.apps.map((app) => createAppIdentity(app, { settings, gate, now }));
  const refusals = createRefusals(now, identities.length > 1 ? onRefused : () => undefined);
  const base = new PagedOctokit({ ...settings });

  function useAs<T>(
    some: readonly Identity[],
    { subject, signal }: { readonly subject: Subject; readonly signal: AbortSignal },
    work: (client: Client) => Promise<T>,
  ): Promise<T> {
    const sending = { identities: some, subject, signal, gate, refusals };
    const hook = async (_: unknown, request: RequestOptions) =>
      send(request, sending, await openDoors(sending));
    return sorted(() => work(bind(base, { hook })));
  }

  return {
    use: (subject, signal, work) => useAs(identities, { subject, signal }, work),
    useEach: (subject, signal, work) =>
      Promise.allSettled(identities.map((identity) => useAs([identity], { subject, signal }, work))),
    apps: identities.flatMap((identity) => {
      const { app } = identity;
      return app ? [{ appId: app.appId, use: (signal, work) => sorted(() => work(app.client(signal))) }] : [];
    }),
  };
}

interface Sending {
  readonly identities: readonly Identity[];
  readonly subject: Subject;
  readonly signal: AbortSignal;
  readonly gate: Gate;
  readonly refusals: ReturnType<typeof createRefusals>;
}

/** The end of the address at which a runner is registered, a repository's or an organization's. */
const REGISTER = "/actions/runners/generate-jitconfig";

type Door = Access & { readonly identity: Identity };

/** One request, by one identity after the other until one is not refused; a refused request had no effect. */
async function send(
  request: RequestOptions,
  sending: Sending,
  doors: readonly Door[],
  errors: readonly unknown[] = [],
): ReturnType<Access["send"]> {
  if (doors.length === 0) throw chooseError(errors);
  const { subject, signal, gate } = sending;
  const registersAt = request.url.endsWith(REGISTER) ? placeOf(subject) : undefined;
  const departure = { method: request.method, turn: subject.turn, registersAt, signal };
  const passports = doors.map(({ passport }) => passport);
  const pass = await gate.admit(passports, departure).catch((error: unknown) => {
    throw chooseError([...errors, error]);
  });
  const door = doors[pass.index] as Door;
  try {
    return await door.send(request, pass, signal);
  } catch (cause) {
    const error = await findRefusal(cause, door, signal);
    if (error instanceof UnauthorizedError) leaveOut(door, sending, error);
    else if (!(error instanceof RateLimitedError)) throw error;
    const others = doors.filter((other) => other !== door);
    return send(request, sending, others, [...errors, error]);
  } finally {
    pass.leave();
  }
}

function leaveOut(door: Door, { subject, refusals }: Sending, error: UnauthorizedError): void {
  door.forget();
  refusals.note(door.identity, subject, error);
}

async function openDoors({ identities, subject, signal, refusals }: Sending): Promise<readonly Door[]> {
  const open = async (identity: Identity): Promise<Door> => {
    try {
      return { ...(await identity.open(subject, signal)), identity };
    } catch (cause) {
      const error = toGitHubError(cause);
      if (error instanceof UnauthorizedError) refusals.note(identity, subject, error);
      throw error;
    }
  };
  const errors: unknown[] = [];
  const asked = refusals.without(identities, subject);
  const others = identities.filter((identity) => !asked.includes(identity));
  for (const some of [asked, others]) {
    const opened = await Promise.allSettled(some.map(open));
    const doors = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    if (doors.length > 0) return doors;
    errors.push(...opened.flatMap((one) => (one.status === "rejected" ? [one.reason] : [])));
  }
  throw chooseError(errors);
}

/** GitHub says "not found" too of what these credentials may not see. */
async function findRefusal(cause: unknown, door: Door, signal: AbortSignal): Promise<Error> {
  const error = toGitHubError(cause);
  if (!hasStatus(error, 404)) return error;
  try {
    await door.confirm(signal);
    return error;
  } catch (doubt) {
    return toGitHubError(doubt);
  }
}

async function sorted<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toGitHubError(error);
  }
}

/** What those say who may; who is refused is left out, unless all are. Anything else that fails is thrown on. */
export function saidByAny<T>(outcomes: readonly PromiseSettledResult<T>[]): readonly T[] {
  const errors = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
  const said = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const isWhole = said.length > 0 && errors.every((error) => error instanceof UnauthorizedError);
  if (errors.length > 0 && !isWhole) throw chooseError(errors);
  return said;
}

/** The scope's owner, and its repository where it has one. */
export function subjectOf(scope: Scope, turn?: Turn): Subject {
  return scope.kind === "repository"
    ? { owner: scope.owner, repository: scope.repository, turn }
    : { owner: scope.owner, turn };
}
