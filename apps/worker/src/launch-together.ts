import {
  type Leave,
  launchId,
  type Offering,
  offeringDigest,
  orderOf,
  type ProviderName,
  rankOf,
  runnerName,
  scopeKey,
} from "@grp/core";
import type { LaunchRecord, OpenLaunchVerdict } from "@grp/ledger";
import type { Attempt } from "./attempt.ts";
import { providerOf, type WorkerContext } from "./context.ts";
import type { Lock } from "./exclusive.ts";
import { ELSEWHERE } from "./exclusive.ts";
import { countEarlier, WAITS_FOR_BUDGET } from "./history.ts";
import { callProvider, lockOf, type Started } from "./launch.ts";
import type { Refusal, Share } from "./share.ts";

/** A machine boots, and may retry its claim, with one ticket; launches are retried for a while before that. */
const TICKET_SLACK_MS = 2 * 3_600_000;

/** Machines of one launch ended while nobody had heard of them: more than this in one try is no accident. */
const MAX_SPENT = 3;

/** Launches at this offering, together with all others of the same class and scope that wait for it now. */
export function launchTogether(
  context: WorkerContext,
  attempt: Attempt,
  place: { readonly index: number; readonly offering: Offering },
): Promise<Share> {
  const { demand, runnerClass, work } = attempt;
  const provider = providerOf(context, place.offering.provider);
  return context.gatherer.join({
    key: [runnerClass.name, scopeKey(demand.scope), place.index].join("|"),
    member: attempt,
    limit: provider.maxLaunchSize,
    order: orderOf(rankOf(runnerClass), demand.queuedAt),
    ...(provider.admit && { admit: provider.admit.bind(provider, place.offering) }),
    // For people to see; it is taken back when the launch is opened.
    held: ({ demand: { key } }) =>
      void context.ledger.setWaitsFor(key, `${WAITS_FOR_BUDGET} ${provider.name}`).catch(() => undefined),
    signal: work.signal,
    run: (members, signal, leave) =>
      launchFor(context, oldestFirst(members), { ...place, leave }, signal).then(inOrderOf(members)),
  });
}

/**
 * Goes on with a launch that may have started machines, once for all of its members that come back at about the same
 * time. One failure tells them all: they would only ask the provider the same again.
 */
export function resumeTogether(
  context: WorkerContext,
  attempt: Attempt,
  known: { readonly launch: LaunchRecord; readonly offering: Offering },
): Promise<Share> {
  const { launchId } = known.launch;
  return context.gatherer.join({
    key: launchId,
    member: attempt,
    limit: Number.POSITIVE_INFINITY,
    signal: attempt.work.signal,
    coolMs: (members) => Math.min(...members.map(({ work }) => work.leastRetryMs)),
    async run(members, signal) {
      const launch = await context.ledger.getLaunch(launchId, { placeHolder: attempt.holder });
      if (launch?.state !== "open") return members.map(() => ({ kind: "answered" }) as const);
      const { runnerClass } = attempt;
      const { offering } = known;
      const open = { launch, offering, runnerClass, isNew: false };
      const answer = await callProvider(context, open, signal);
      return members.map((member) => shareOf(context, member, launch, answer));
    },
  });
}

type Members = readonly [Attempt, ...Attempt[]];

function oldestFirst(members: readonly Attempt[]): Members {
  return members.toSorted((a, b) => a.demand.queuedAt - b.demand.queuedAt) as unknown as Members;
}

function inOrderOf(members: readonly Attempt[]) {
  return (shares: ReadonlyMap<string, Share>): readonly Share[] =>
    members.map(({ holder }) => shares.get(holder) as Share);
}

async function launchFor(
  context: WorkerContext,
  members: Members,
  { index, offering, leave }: { index: number; offering: Offering; leave: Leave | undefined },
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Share>> {
  const { runnerClass } = members[0];
  const { provider } = offering;
  const digest = offeringDigest(offering);
  const earlier = members.reduce((sum, { history }) => sum + countEarlier(history, digest), 0);
  for (let renewal = earlier; ; renewal++) {
    const { opened, leftOver, lock } = await openLaunch(context, members, {
      index,
      digest,
      provider,
      renewal,
    });
    const others = new Map([...leftOver].map(([holder, kind]): [string, Share] => [holder, { kind }]));
    if (!opened) return others;
    const { launch, isNew, isLocked } = opened;
    const order = { launch, offering, runnerClass, isNew, leave, ...(isLocked ? { lock } : {}) };
    const answer = await callProvider(context, order, signal);
    const isSpent = answer !== ELSEWHERE && "refusal" in answer && answer.refusal === "spent";
    if (isSpent && renewal - earlier >= MAX_SPENT) throw answer.error;
    if (isSpent) continue;
    const shares = members
      .filter(({ holder }) => !others.has(holder))
      .map((member): [string, Share] => [member.holder, shareOf(context, member, launch, answer)]);
    return new Map([...others, ...shares]);
  }
}

/** `digest`: the offering's. */
interface OfferingTry {
  readonly index: number;
  readonly digest: string;
  readonly provider: ProviderName;
  readonly renewal: number;
}

/** Writes the launch down before any provider is called, and locks it at once if it is new. */
async function openLaunch(
  context: WorkerContext,
  members: Members,
  { index, digest, provider, renewal }: OfferingTry,
): Promise<OpenLaunchVerdict & { readonly lock: Lock }> {
  const [{ runnerClass, demand }] = members;
  const placeHolders = members.map(({ holder }) => holder);
  const identity = { placeHolders, runnerClass: runnerClass.name, offeringDigest: digest, renewal };
  const id = launchId(identity);
  const at = context.now();
  const lock = lockOf(id);
  const verdict = await context.ledger.openLaunch({
    ...identity,
    launchId: id,
    offeringIndex: index,
    provider,
    scope: demand.scope,
    runnerNames: members.map((_member, number) => runnerName(context.installation, id, number)),
    ticketExpiresAt: at + runnerClass.bootTimeout + TICKET_SLACK_MS,
    at,
    lock,
  });
  return { ...verdict, lock };
}

function shareOf(
  context: WorkerContext,
  { holder, demand }: Attempt,
  launch: LaunchRecord,
  answer: Started | Refusal | typeof ELSEWHERE,
): Share {
  const at = launch.placeHolders.indexOf(holder);
  if (answer === ELSEWHERE || at < 0) return { kind: "busy" };
  if ("refusal" in answer) return answer;
  const instanceId = answer.machines.get(holder);
  if (instanceId === undefined) return { kind: "passed-over" };
  const { provider, runnerClass, launchId: id, offeringIndex, renewal, size } = launch;
  context.metrics.launchLatency({ provider, runnerClass, ms: context.now() - demand.queuedAt });
  const machine = { instanceId, runnerName: launch.runnerNames[at] };
  return {
    kind: "launched",
    fields: { launchId: id, offeringIndex, renewal, size, ...machine, launchMs: answer.launchMs },
  };
}
