import {
  type ErrorClass,
  type Offering,
  type ProviderName,
  ProvisionError,
  type RunnerProvider,
} from "@grp/core";

/** One call of one verb, as a metric or a log line wants it. Nothing in it is secret. */
export interface ProviderCall {
  readonly provider: ProviderName;
  readonly verb: "validate" | "launch" | "terminate" | "list";
  readonly outcome: "ok" | "error";
  /** `bug` for what is none of our error classes. */
  readonly errorClass?: ErrorClass | "bug";
  readonly code?: string;
  readonly durationMs: number;
}

/** The same provider, with every call told to `observe` when it has ended; an observer's fault never reaches the caller. */
export function metered<O extends Offering>(
  provider: RunnerProvider<O>,
  observe: (call: ProviderCall) => void,
  now: () => number = () => performance.now(),
): RunnerProvider<O> {
  const measure = async <T>(verb: ProviderCall["verb"], work: () => Promise<T>): Promise<T> => {
    const begun = now();
    const tell = (result: Pick<ProviderCall, "outcome" | "errorClass" | "code">) => {
      try {
        observe({ provider: provider.name, verb, durationMs: now() - begun, ...result });
      } catch {
        // A metric must never cost a machine.
      }
    };
    try {
      const result = await work();
      tell({ outcome: "ok" });
      return result;
    } catch (error) {
      tell({ outcome: "error", ...describeError(error) });
      throw error;
    }
  };
  return {
    name: provider.name,
    maxLaunchSize: provider.maxLaunchSize,
    ...(provider.admit && { admit: provider.admit.bind(provider) }),
    validate: (offering, signal) => measure("validate", () => provider.validate(offering, signal)),
    launch: (order, signal) => measure("launch", () => provider.launch(order, signal)),
    terminate: (instanceId, signal, region) =>
      measure("terminate", () => provider.terminate(instanceId, signal, region)),
    list: (signal) => measure("list", () => provider.list(signal)),
  };
}

function describeError(error: unknown): { errorClass: ErrorClass | "bug"; code?: string } {
  if (!(error instanceof ProvisionError)) return { errorClass: "bug" };
  return { errorClass: error.errorClass, ...(error.code === undefined ? {} : { code: error.code }) };
}
