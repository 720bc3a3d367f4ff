import { QUEUE_PREFIX } from "./names.ts";

/**
 * A wake may come while the worker is still laying the job aside; it would find nothing delayed and be lost. So it
 * leaves a mark first; the worker looks for the mark after the job is aside. One of the two always sees the other.
 */
export function wakeMark(queueName: string, jobId: string): string {
  return `${QUEUE_PREFIX}:wake:${queueName}:${jobId}`;
}
