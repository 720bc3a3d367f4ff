import type { Logger } from "./logger.ts";
import { PortError } from "./port-error.ts";
import { within } from "./within.ts";

/** One thing to end, e.g. `{ name: "public server", close }`. */
export interface CloseStep {
  readonly name: string;
  close(): Promise<void>;
}

/** The part of `process` that is used, so that a test can stand in for it. */
export interface ProcessLike {
  on(event: string, listener: (...values: unknown[]) => void): unknown;
  off(event: string, listener: (...values: unknown[]) => void): unknown;
  exit(code: number): void;
}

export interface AppOptions {
  readonly logger: Logger;
  /** Starts everything and gives what must be ended, in the order in which it is to be ended. */
  start(): Promise<readonly CloseStep[]>;
  /** For all steps together. Less than what the orchestrator waits before SIGKILL (docker 10 s, Kubernetes 30 s). */
  readonly closeDeadlineMs: number;
  readonly host?: ProcessLike;
}

/** Told twice, a process ends at once. */
const endSignals = ["SIGTERM", "SIGINT"];
/** Of a reload or a closed terminal: nothing is read anew, but what is in hand is finished. */
const hangUp = "SIGHUP";
const parentGone = "disconnect";

/**
 * Runs a process until SIGTERM, SIGINT or SIGHUP (or until its parent is gone, when it has a channel to one), then ends
 * it step by step: exit 0, or 1 if a step failed or the deadline passed. A second SIGTERM or SIGINT ends it at once. What
 * nobody caught is logged and ends the process with 1: its state can't be trusted any more, and the queue gives the work
 * to another.
 */
export async function runApp({ logger, start, closeDeadlineMs, host = process }: AppOptions): Promise<void> {
  const handlers = new Map<string, (...values: unknown[]) => void>();
  const finish = (code: number) => {
    for (const [event, handler] of handlers) host.off(event, handler);
    host.exit(code);
  };
  const starting = Promise.resolve().then(start);
  let isStopping = false;
  const stop = async (signal: string) => {
    if (isStopping) return endSignals.includes(signal) ? finish(1) : undefined;
    isStopping = true;
    logger.info("process.stopping", { signal });
    finish(await closeAll({ logger, starting, closeDeadlineMs }));
  };
  const die = (what: string) => (error: unknown) => {
    logger.error(`process.${what}`, { error });
    finish(1);
  };
  for (const signal of [...endSignals, hangUp, parentGone]) handlers.set(signal, () => void stop(signal));
  handlers.set("unhandledRejection", die("unhandledRejection"));
  handlers.set("uncaughtException", die("uncaughtException"));
  for (const [event, handler] of handlers) host.on(event, handler);
  try {
    await starting;
    logger.info("process.started");
  } catch (error) {
    logger.error("process.failed", { error: error instanceof PortError ? error.message : error });
    if (!isStopping) finish(1);
  }
}

interface Closing {
  readonly logger: Logger;
  readonly starting: Promise<readonly CloseStep[]>;
  readonly closeDeadlineMs: number;
}

async function closeAll({ logger, starting, closeDeadlineMs }: Closing): Promise<number> {
  const begun = performance.now();
  let failed = false;
  const closing = async () => {
    for (const step of await starting.catch(() => [])) {
      try {
        await step.close();
      } catch (error) {
        // The next step must still have its turn.
        failed = true;
        logger.error("process.closeFailed", { step: step.name, error });
      }
    }
  };
  try {
    await within(closeDeadlineMs, closing());
  } catch (error) {
    failed = true;
    logger.error("process.closeDeadline", { closeDeadlineMs, error });
  }
  logger.info("process.stopped", { durationMs: Math.round(performance.now() - begun) });
  return failed ? 1 : 0;
}
