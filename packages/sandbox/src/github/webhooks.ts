import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { sign } from "@octokit/webhooks-methods";
import { createFates, type Disturbance, type Fate } from "./disturbance.ts";
import { pingPayload, workflowJobPayload } from "./payloads.ts";
import type { HookPlace, StandInDelivery, StandInHook, StandInWorkflowJob } from "./types.ts";
import type { Transition } from "./world.ts";

/** GitHub closes the connection then and records a failure. */
const TIMEOUT_MS = 10_000;
const UNTOUCHED: Fate = { isDropped: false, isDuplicated: false, delayMs: 0 };

export interface Webhooks {
  readonly hooks: readonly StandInHook[];
  /** Oldest first, redeliveries and duplicates too. */
  readonly deliveries: readonly StandInDelivery[];
  /** Sets a hook up and pings it. */
  addHook(hook: {
    url: string;
    secret: string;
    place?: HookPlace;
    contentType?: "json" | "form";
  }): Promise<StandInHook>;
  announce(job: StandInWorkflowJob, transition: Transition): void;
  redeliver(delivery: StandInDelivery): void;
  /** Spoils all deliveries from now on, repeatably; null ends it. */
  disturb(disturbance: Disturbance | null): void;
  /** The next `count` deliveries never arrive: GitHub records a failure. */
  dropNext(count?: number): void;
  /** The next `count` deliveries arrive twice. */
  duplicateNext(count?: number): void;
  /** The next delivery waits that long; later ones overtake it. */
  delayNext(delayMs: number): void;
  close(): Promise<void>;
}

export function createWebhooks(options: {
  now: () => number;
  nextId: () => number;
  touch: () => void;
}): Webhooks {
  const { now, nextId } = options;
  const hooks: StandInHook[] = [];
  const deliveries: StandInDelivery[] = [];
  const closing = new AbortController();
  const underWay = new Set<Promise<void>>();
  const scripted: Fate[] = [];
  let drawFate: (() => Fate) | null = null;

  async function send(hook: StandInHook, delivery: StandInDelivery, fate: Fate): Promise<void> {
    await sleep(fate.delayMs, undefined, { signal: closing.signal }).catch(() => {});
    if (closing.signal.aborted) return;
    const begun = now();
    if (fate.isDropped) Object.assign(delivery, { statusCode: 502, status: "failed to connect to host" });
    else Object.assign(delivery, await post(hook, delivery, closing.signal));
    delivery.answeredAt = now();
    delivery.durationMs = delivery.answeredAt - begun;
    options.touch();
  }

  function deliver(
    hook: StandInHook,
    event: { name: string; guid: string; payload: object; isRedelivery?: boolean },
  ) {
    const fate = scripted.shift() ?? drawFate?.() ?? UNTOUCHED;
    const copies = fate.isDuplicated ? 2 : 1;
    const sent = Array.from({ length: copies }, () => {
      const delivery: StandInDelivery = {
        id: nextId(),
        guid: event.guid,
        hookId: hook.id,
        event: event.name,
        action: "action" in event.payload ? String(event.payload.action) : null,
        payload: event.payload,
        isRedelivery: event.isRedelivery ?? false,
        sentAt: now(),
        statusCode: 0,
        status: "pending",
        durationMs: 0,
      };
      deliveries.push(delivery);
      const sending = send(hook, delivery, fate).finally(() => underWay.delete(sending));
      underWay.add(sending);
      return sending;
    });
    return Promise.all(sent);
  }

  return {
    hooks,
    deliveries,
    async addHook({ place = { kind: "app" }, contentType = "json", ...rest }) {
      const hook: StandInHook = { ...rest, id: nextId(), place, contentType };
      hooks.push(hook);
      await deliver(hook, { name: "ping", guid: randomUUID(), payload: pingPayload(hook.id, hook.url) });
      return hook;
    },
    announce(job, transition) {
      const guid = randomUUID();
      for (const hook of hooks.filter((candidate) => hears(candidate.place, job)))
        void deliver(hook, {
          name: "workflow_job",
          guid,
          payload: workflowJobPayload(job, transition, hook.place),
        });
    },
    redeliver(delivery) {
      const hook = hooks.find(({ id }) => id === delivery.hookId);
      if (hook) void deliver(hook, { ...delivery, name: delivery.event, isRedelivery: true });
    },
    disturb(disturbance) {
      drawFate = disturbance ? createFates(disturbance) : null;
    },
    dropNext: (count = 1) => void scripted.push(...Array(count).fill({ ...UNTOUCHED, isDropped: true })),
    duplicateNext: (count = 1) =>
      void scripted.push(...Array(count).fill({ ...UNTOUCHED, isDuplicated: true })),
    delayNext: (delayMs) => void scripted.push({ ...UNTOUCHED, delayMs }),
    async close() {
      closing.abort();
      await Promise.all(underWay);
    },
  };
}

function hears(place: HookPlace, job: StandInWorkflowJob): boolean {
  if (place.kind === "app") return true;
  return place.owner === job.owner && (place.kind === "organization" || place.repository === job.repository);
}

/** Headers, encoding and signature as GitHub's own; the signature covers the raw body, form or not. */
async function post(
  hook: StandInHook,
  delivery: StandInDelivery,
  closing: AbortSignal,
): Promise<Pick<StandInDelivery, "statusCode" | "status" | "answer">> {
  const json = JSON.stringify(delivery.payload);
  const body = hook.contentType === "json" ? json : new URLSearchParams({ payload: json }).toString();
  const type = hook.contentType === "json" ? "application/json" : "application/x-www-form-urlencoded";
  try {
    const response = await fetch(hook.url, {
      method: "POST",
      body,
      signal: AbortSignal.any([closing, AbortSignal.timeout(TIMEOUT_MS)]),
      headers: {
        "content-type": type,
        "user-agent": "GitHub-Hookshot/sandbox",
        "x-github-event": delivery.event,
        "x-github-delivery": delivery.guid,
        "x-github-hook-id": String(hook.id),
        "x-github-hook-installation-target-type": hook.place.kind === "app" ? "integration" : hook.place.kind,
        "x-github-hook-installation-target-id": "1",
        "x-hub-signature-256": await sign(hook.secret, body),
      },
    });
    const answer = (await response.text()).slice(0, 4_000);
    const status = response.ok ? "OK" : `Invalid HTTP Response: ${response.status}`;
    return { statusCode: response.status, status, answer };
  } catch {
    return { statusCode: 502, status: "failed to connect to host" };
  }
}
