import { setTimeout as sleep } from "node:timers/promises";
import type { Stack, StackApp } from "../../packages/sandbox/src/stack/index.ts";
import type { FaultKind, PlannedFault } from "./plan.ts";

/** One fault as it came to be. */
export interface InflictedFault {
  readonly kind: FaultKind;
  /** The process, the machine, the error. */
  readonly what: string;
  readonly from: number;
  /** When it was over: a process back and ready, a window closed. */
  until: number;
}

/** A deed, and what undoes it when its time is over; null when there is nothing now to do it to. */
type Inflict = (target: Target) => { readonly what: string; readonly undo?: () => unknown } | null;

interface Target {
  readonly stack: Stack;
  readonly fault: PlannedFault;
  pick<T>(items: readonly T[]): T | undefined;
}

const killApp =
  (apps: (stack: Stack) => readonly StackApp[]): Inflict =>
  ({ stack, pick }) => {
    const app = pick(apps(stack).filter(({ isRunning }) => isRunning));
    if (!app) return null;
    void app.kill();
    return { what: `${app.name} ${app.pid}`, undo: () => comeBack(() => app.restart()) };
  };

const freezeApp =
  (apps: (stack: Stack) => readonly StackApp[]): Inflict =>
  ({ stack, pick }) => {
    const app = pick(apps(stack).filter(({ isRunning }) => isRunning));
    if (!app) return null;
    app.pause();
    return { what: `${app.name} ${app.pid}`, undo: () => app.resume() };
  };

/** With Redis away it is not ready within its time: it runs all the same, and will be. */
async function comeBack(restart: () => Promise<void>): Promise<void> {
  await restart().catch(() => {});
}

const MINT = "generate-jitconfig";

const INFLICT: Readonly<Record<FaultKind, Inflict>> = {
  "kill-ingress": killApp(({ ingress }) => ingress),
  "freeze-ingress": freezeApp(({ ingress }) => ingress),
  "kill-worker": killApp(({ workers }) => workers),
  "freeze-worker": freezeApp(({ workers }) => workers),
  "kill-redis": ({ stack: { redis } }) => {
    if (!redis.isRunning) return null;
    void redis.kill();
    return { what: "redis", undo: () => comeBack(() => redis.restart()) };
  },
  "freeze-redis": ({ stack: { redis } }) => {
    if (!redis.isRunning) return null;
    redis.pause();
    return { what: "redis", undo: () => redis.resume() };
  },
  "spoil-deliveries": ({ stack: { sandbox }, fault }) => {
    sandbox.github.disturb({ drop: 0.3, duplicate: 0.3, delayUpToMs: 2_000, seed: fault.atMs });
    return { what: "deliveries", undo: () => sandbox.github.disturb(null) };
  },
  "lose-ec2-answer": ({ stack: { sandbox }, pick }) => {
    const action = pick(["RunInstances", "RunInstances", "TerminateInstances", "DescribeInstances"]) ?? "";
    sandbox.ec2.loseNextResponse(action);
    return { what: action };
  },
  "lose-codemagic-answer": ({ stack: { sandbox } }) => {
    sandbox.codemagic.loseNextResponse();
    return { what: "POST" };
  },
  "lose-github-answer": ({ stack: { sandbox }, pick }) => {
    const call = pick([MINT, MINT, "DELETE", "attempts"]) ?? "";
    sandbox.github.loseNextResponse(call);
    return { what: call };
  },
  "fail-ec2": ({ stack: { sandbox }, pick }) => {
    const code =
      pick(["InternalError", "Unavailable", "RequestLimitExceeded", "InsufficientInstanceCapacity"]) ?? "";
    sandbox.ec2.failNext(code, {
      times: 3,
      ...(code.startsWith("Insufficient") && { action: "RunInstances" }),
    });
    return { what: code };
  },
  "fail-codemagic": ({ stack: { sandbox }, pick }) => {
    const status = pick([500, 502, 429]) ?? 500;
    sandbox.codemagic.failNext(status, status === 429 ? { "retry-after": "1" } : {});
    return { what: String(status) };
  },
  "fail-mint": ({ stack: { sandbox }, pick }) => {
    const status = pick([500, 502, 503]) ?? 500;
    sandbox.github.failNext(status, MINT, 4);
    return { what: String(status) };
  },
  "limit-github": ({ stack: { sandbox }, fault, pick }) => {
    const kind = pick(["primary", "secondary"] as const) ?? "primary";
    sandbox.github.rateLimitNext(kind, Math.ceil(fault.lastsMs / 1_000));
    return { what: kind, undo: () => {} };
  },
  "no-spot": (target) => limitCapacity(target, { market: "spot" }),
  "no-capacity": (target) => limitCapacity(target, {}),
  "interrupt-spot": ({ stack: { sandbox }, fault, pick }) => {
    const machine = pick(
      sandbox.ec2.instances().filter(({ isSpot, state }) => isSpot && state === "running"),
    );
    if (!machine) return null;
    sandbox.interruptSpot(machine.instanceId, fault.lastsMs);
    return { what: machine.instanceId, undo: () => {} };
  },
  "take-spot": ({ stack: { sandbox }, pick }) => {
    const machine = pick(
      sandbox.ec2.instances().filter(({ isSpot, state }) => isSpot && state === "running"),
    );
    if (!machine) return null;
    sandbox.ec2.interruptSpot(machine.instanceId);
    return { what: machine.instanceId };
  },
  /** Somebody ends it in the browser. */
  "vanish-machine": ({ stack: { sandbox }, pick }) => {
    const { ec2, codemagic } = sandbox;
    const builds = codemagic.builds().filter(({ isLive }) => isLive);
    const instances = ec2.instances().filter(({ state }) => state === "running");
    const id = pick([
      ...builds.map(({ buildId }) => buildId),
      ...instances.map(({ instanceId }) => instanceId),
    ]);
    if (id === undefined) return null;
    if (id.startsWith("i-")) ec2.shutDown(id);
    else codemagic.endBuild(id, "timeout");
    return { what: id };
  },
  "suspend-app": ({ stack: { sandbox }, pick }) => {
    const appId = pick(sandbox.github.apps.map((app) => app.appId));
    if (appId === undefined) return null;
    sandbox.github.setApp(appId, "suspended");
    return { what: `App ${appId}`, undo: () => sandbox.github.setApp(appId, "installed") };
  },
  "refuse-recovery": ({ stack: { sandbox }, fault, pick }) => {
    const appId = pick(sandbox.github.apps.map((app) => app.appId));
    if (appId === undefined) return null;
    const status = [401, 403, 500][fault.lastsMs % 3] ?? 500;
    const undo = sandbox.github.failWhile(status, { match: "/app/hook", caller: `app-${appId}` });
    return { what: `App ${appId} ${status}`, undo };
  },
};

function limitCapacity(
  { stack: { sandbox } }: Target,
  pool: Parameters<Stack["sandbox"]["ec2"]["limitCapacity"]>[0],
): ReturnType<Inflict> {
  sandbox.ec2.limitCapacity(pool, 0);
  return { what: pool.market ?? "all", undo: () => sandbox.ec2.limitCapacity(pool, 1_000_000) };
}

/** Does it, waits, and undoes it; undefined when there was nothing to do it to. */
export async function inflict(stack: Stack, fault: PlannedFault): Promise<InflictedFault | undefined> {
  const pick = <T>(items: readonly T[]) => items[Math.floor(fault.which * items.length)];
  const done = INFLICT[fault.kind]({ stack, fault, pick });
  if (!done) return undefined;
  const inflicted = { kind: fault.kind, what: done.what, from: Date.now(), until: Date.now() };
  if (!done.undo) return inflicted;
  await sleep(fault.lastsMs);
  await done.undo();
  inflicted.until = Date.now();
  return inflicted;
}
