import { type Job, Worker } from "bullmq";

/** As long as after a lost connection (`runRetryDelay`). */
const REFUSED_DELAY_MS = 1_000;

/**
 * A worker that asks once a second while Redis refuses to hand out jobs (full, a key of another type, no permission).
 * BullMQ waits after a lost connection only: a refusal it answers by asking again at once, thousands of times a second.
 */
export class PatientWorker extends Worker {
  protected override async moveToActive(token: string, name?: string): Promise<Job> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      if (isRefusal(error)) await this.delay(REFUSED_DELAY_MS);
      throw error;
    }
  }
}

/** Redis' answer was an error; after a lost connection there is none. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}
