/** Requests worked on at once; in a calm hour a handful, with Redis frozen all that come in two seconds. */
const MAX_REQUESTS = 1_000;

/** What the larger bodies may take together: twenty of GitHub's largest. */
const MAX_BYTES = 512 * 1024 * 1024;

/**
 * Room that every request has, whatever the others take: GitHub's `workflow_job` deliveries have 7 to 12 KB. All the
 * connections there may be (5,000), each with this much, are 320 MB.
 */
export const OWN_BYTES = 64 * 1024;

/** What one request takes, from its first byte to its answer. */
export interface Visit {
  /** Room for bytes that have just arrived; false when there is none. Announced bytes take none. */
  hold(bytes: number): boolean;
  /** A place to be worked on in, for a request that is there as a whole; false when all are taken. */
  enter(): boolean;
  /** Gives everything back. Harmless when called again. */
  leave(): void;
}

export interface Admission {
  visit(): Visit;
}

/**
 * Keeps a flood from taking the process's memory, and Redis from a thousand callers at once: the rest is told 503. Who
 * sends slowly, or only announces, has a connection and nothing else, until the server's time-outs end that.
 */
export function createAdmission(limits = { requests: MAX_REQUESTS, bytes: MAX_BYTES }): Admission {
  let [requests, bytes] = [0, 0];
  return {
    visit() {
      let [received, held, isInside] = [0, 0, false];
      return {
        hold(more) {
          received += more;
          const wanted = Math.max(0, received - OWN_BYTES) - held;
          if (bytes + wanted > limits.bytes) return wanted === 0;
          bytes += wanted;
          held += wanted;
          return true;
        },
        enter() {
          if (requests >= limits.requests) return false;
          requests += 1;
          isInside = true;
          return true;
        },
        leave() {
          if (isInside) requests -= 1;
          bytes -= held;
          [held, isInside] = [0, false];
        },
      };
    },
  };
}
