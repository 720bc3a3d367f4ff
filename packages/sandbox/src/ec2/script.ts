import { Ec2Fault } from "./fault.ts";

export interface FailOptions {
  readonly action?: string;
  readonly status?: number;
  readonly message?: string;
  readonly times?: number;
}

interface Failure {
  readonly action: string | undefined;
  readonly fault: Ec2Fault;
  left: number;
}

/** What the stand-in is told to do wrong, in the order it was told. */
export function createScript() {
  const failures: Failure[] = [];
  const toLose: string[] = [];
  const toHang: { readonly action: string | undefined; readonly arrived: () => void }[] = [];
  return {
    failNext(code: string, options: FailOptions = {}): void {
      const fault = new Ec2Fault(code, options.message, options.status);
      failures.push({ action: options.action, fault, left: options.times ?? 1 });
    },
    forgetFailures(): void {
      failures.length = 0;
    },
    loseNext(action = "RunInstances"): void {
      toLose.push(action);
    },
    hangNext(action?: string): Promise<void> {
      return new Promise((arrived) => toHang.push({ action, arrived }));
    },
    failIfTold(action: string): void {
      const next = failures.find((failure) => !failure.action || failure.action === action);
      if (!next) return;
      next.left -= 1;
      if (next.left <= 0) failures.splice(failures.indexOf(next), 1);
      throw next.fault;
    },
    isToLose(action: string): boolean {
      const at = toLose.indexOf(action);
      if (at >= 0) toLose.splice(at, 1);
      return at >= 0;
    },
    isToHang(action: string): boolean {
      const at = toHang.findIndex((one) => one.action === undefined || one.action === action);
      const [hang] = at >= 0 ? toHang.splice(at, 1) : [];
      hang?.arrived();
      return hang !== undefined;
    },
  };
}
