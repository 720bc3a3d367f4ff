/** The boot script's guard: one limit at a time, each set anew. */
export interface Deadline {
  /** Aborted when a limit is over, or when the machine's power goes. */
  readonly signal: AbortSignal;
  /** The limit that is over, if one is. */
  readonly name: () => string | undefined;
  set(ms: number, name: string): void;
  /** Nothing is limited any more: the guard itself is dead. */
  clear(): void;
}

export function createDeadline(power: AbortSignal): Deadline {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let over: string | undefined;
  const clear = () => clearTimeout(timer);
  power.addEventListener("abort", () => {
    clear();
    controller.abort();
  });
  return {
    signal: controller.signal,
    name: () => over,
    clear,
    set(ms, name) {
      clear();
      if (power.aborted) return;
      timer = setTimeout(() => {
        over = name;
        controller.abort();
      }, ms);
    },
  };
}
