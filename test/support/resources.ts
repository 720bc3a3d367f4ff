/** How many handles of each kind keep the process alive, by Node's names, e.g. `{ TCPSocketWrap: 2 }`. */
export type Resources = Readonly<Record<string, number>>;

/** Kinds that only a forgotten worker, connection, server, child process, thread or timer leaves behind. */
const leakKinds = new Set([
  "TCPSocketWrap",
  "TCPServerWrap",
  "TCPConnectWrap",
  "TLSWrap",
  "PipeWrap",
  "ProcessWrap",
  "MessagePort",
  "Worker",
  "Timeout",
  "FSEventWrap",
  "GetAddrInfoReqWrap",
]);
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const settleMs = 2_000;
const pollMs = 20;
// Kept from before any test, so that a fake clock left behind can't stop the check.
const { setTimeout: realSetTimeout } = globalThis;
const now = performance.now.bind(performance);

export function countResources(): Resources {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (leakKinds.has(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  for (const signal of signals) {
    const listeners = process.listenerCount(signal);
    if (listeners > 0) counts[`${signal} listener`] = listeners;
  }
  return counts;
}

/** Waits up to two seconds, as sockets close a little after their owner says so, until nothing is there beyond `before`. */
export async function settleResources(before: Resources): Promise<Resources> {
  const deadline = now() + settleMs;
  // A client that reconnects for ever holds by turns a timer and a socket; two clean looks in a row are asked for.
  let clean = 0;
  let found = countResources();
  while (clean < 2 && now() < deadline) {
    clean = total(found) <= total(before) ? clean + 1 : 0;
    await new Promise((resolve) => realSetTimeout(resolve, pollMs));
    found = countResources();
  }
  return found;
}

/** What is there beyond `before`, in a sentence; undefined when nothing is. */
export function describeLeak(before: Resources, found: Resources): string | undefined {
  if (globalThis.setTimeout !== realSetTimeout) return "Fake timers were left in place: restore the clock.";
  if (total(found) <= total(before)) return undefined;
  const extra = Object.entries(found)
    .map(([kind, count]) => [kind, count - (before[kind] ?? 0)] as const)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`);
  return `Left behind by this suite: ${extra.join(", ")}. Close every worker, connection, server and timer.`;
}

function total(resources: Resources): number {
  return Object.values(resources).reduce((sum, count) => sum + count, 0);
}
