export interface Failure {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the stand-in is told to do wrong, in the order it was told. */
export function createScript() {
  const failures: Failure[] = [];
  const hangs: (() => void)[] = [];
  let toLose = 0;
  return {
    failNext(status: number, headers: Failure["headers"] = {}): void {
      failures.push({ status, headers });
    },
    loseNext(): void {
      toLose++;
    },
    hangNext(): Promise<void> {
      return new Promise((arrived) => hangs.push(arrived));
    },
    /** The fate of a call that has just arrived. Only answers to POST are lost. */
    next(method: string): { isToHang: boolean; isToLose: boolean; failure: Failure | undefined } {
      const hang = hangs.shift();
      hang?.();
      const failure = hang ? undefined : failures.shift();
      const isToLose = !hang && !failure && method === "POST" && toLose > 0;
      if (isToLose) toLose--;
      return { isToHang: hang !== undefined, isToLose, failure };
    },
  };
}
