/** Requests under way at once, and the bytes that their bodies may take together. */
const MAX_REQUESTS = 1_000;
const MAX_BYTES = 512 * 1024 * 1024;

export interface Admission {
  /** Takes a place for a request; undefined when there is none. Call what it gives once, when the request is over. */
  admit(bytes: number): (() => void) | undefined;
}

/** Keeps a flood, or many slow senders of large bodies, from taking the process's memory: the rest is told 503. */
export function createAdmission(limits = { requests: MAX_REQUESTS, bytes: MAX_BYTES }): Admission {
  let [requests, bytes] = [0, 0];
  return {
    admit(wanted) {
      if (requests >= limits.requests || bytes + wanted > limits.bytes) return undefined;
      requests += 1;
      bytes += wanted;
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        requests -= 1;
        bytes -= wanted;
      };
    },
  };
}
