import {
  type Admission,
  type ErrorClass,
  type Instance,
  InvalidSpecError,
  type LaunchOrder,
  NoCapacityError,
  type ProviderName,
  type ProvisionError,
  placeOf,
  RateLimitedError,
  type RunnerProvider,
  scopeKey,
  TransientError,
  UnauthorizedError,
} from "@grp/core";

type Verb = "validate" | "launch" | "terminate" | "list";

export interface FakeProviderOptions {
  readonly name?: ProviderName;
  /** As the real one's, if not given. */
  readonly maxLaunchSize?: number;
  readonly now?: () => number;
  /** False: a terminated machine stays `terminating` until `settle()`. */
  readonly endsAtOnce?: boolean;
  readonly region?: string;
  readonly accountId?: string;
  /** Told after a machine has started, before the caller hears of it. */
  readonly onLaunch?: (instance: Instance) => void;
}

export interface FakeProvider extends RunnerProvider {
  /** Every machine ever started, with what became of it. */
  readonly machines: readonly FakeMachine[];
  /** Every call in order: `launch l-123`, `terminate i-…`, `list`. */
  readonly calls: readonly string[];
  /** The next calls (of that verb, if given) throw this and do nothing. */
  failNext(error: ProvisionError | ErrorClass, options?: { verb?: Verb; times?: number }): void;
  /** The next call (of that verb) does its work and throws TransientError. */
  loseNextResponse(verb?: Verb): void;
  /** The next call never ends by itself, only by its signal; resolves when it has been made. */
  hangNext(): Promise<void>;
  /** What the next askers for leave are told; all is granted after that. */
  admitNext(...admissions: Admission[]): void;
  /** At most that many live machines; launches yield fewer, then NoCapacityError. */
  limitRoom(count: number): void;
  /** The next list is not told of the machines there. */
  hideNext(place: string): void;
  /** The machine ends by itself (its job is done), or is taken back. */
  end(instanceId: string): void;
  /** A live machine of someone else's. */
  addForeign(): void;
  settle(): void;
}

export interface FakeMachine {
  readonly instance: Instance;
  readonly order?: LaunchOrder;
  readonly state: "live" | "ending" | "gone";
}

type Draft = { -readonly [K in keyof FakeMachine]: FakeMachine[K] };

const ERRORS: Readonly<Record<ErrorClass, () => ProvisionError>> = {
  "invalid-spec": () => new InvalidSpecError("fake: bad spec", { code: "FakeInvalid" }),
  unauthorized: () => new UnauthorizedError("fake: not allowed", { code: "FakeUnauthorized" }),
  "no-capacity": () => new NoCapacityError("fake: no room", { code: "FakeNoCapacity" }),
  "rate-limited": () => new RateLimitedError("fake: slow down", { code: "FakeThrottle", retryAfterMs: 50 }),
  transient: () => new TransientError("fake: try again", { code: "FakeTransient" }),
};

/** A small working cloud in memory, for tests of what stands above a provider. */
export function createFakeProvider(options: FakeProviderOptions = {}): FakeProvider {
  const machines: Draft[] = [];
  const calls: string[] = [];
  const script = createScript();
  const now = options.now ?? Date.now;
  const admissions: Admission[] = [];
  const hidden: string[] = [];
  let room = Number.POSITIVE_INFINITY;

  const call = async <T>(verb: Verb, subject: string, signal: AbortSignal, work: () => T): Promise<T> => {
    calls.push(`${verb} ${subject}`.trim());
    if (signal.aborted) throw aborted(signal);
    await script.before(verb, signal);
    const result = work();
    script.after(verb);
    return result;
  };
  const start = (order: LaunchOrder): Instance => {
    const instance = makeInstance(options, order, machines.length, now());
    machines.push({ instance, order, state: "live" });
    options.onLaunch?.(instance);
    return instance;
  };
  const isOurs = (machine: Draft) => machine.order !== undefined && machine.state !== "gone";

  return {
    name: options.name ?? "ec2",
    maxLaunchSize: options.maxLaunchSize ?? (options.name === "codemagic" ? 1 : 100),
    machines,
    calls,
    ...(options.name !== "codemagic" && {
      admit: async (_offering, wanted) => admissions.shift() ?? { granted: wanted },
    }),
    admitNext(...next) {
      admissions.push(...next);
    },
    validate: (_offering, signal) => call("validate", "", signal, () => undefined),
    launch: (order, signal) =>
      call("launch", order.launchId, signal, () => {
        const earlier = machines.filter((machine) => machine.order?.launchId === order.launchId);
        if (earlier.length > 0) return earlier.map((machine) => machine.instance);
        const free = room - machines.filter((machine) => machine.state === "live").length;
        const size = Math.min(order.size, free);
        if (size < 1) throw ERRORS["no-capacity"]();
        return Array.from({ length: size }, () => start(order));
      }),
    terminate: (instanceId, signal) =>
      call("terminate", instanceId, signal, () => {
        const machine = machines.find((one) => one.instance.instanceId === instanceId);
        if (!machine || machine.state === "gone") return "gone";
        machine.state = options.endsAtOnce ? "gone" : "ending";
        return options.endsAtOnce ? "gone" : "terminating";
      }),
    list: (signal) =>
      call("list", "", signal, () => {
        const places = hidden.splice(0);
        const all = machines.filter(isOurs).map(({ instance, state }) => ({
          ...instance,
          state: state === "ending" ? ("terminating" as const) : instance.state,
        }));
        return {
          instances: all.filter((instance) => !places.includes(placeOf(instance) ?? "")),
          unasked: places.map((place) => ({ place, error: ERRORS.transient() })),
        };
      }),
    failNext: script.failNext,
    loseNextResponse: script.loseNext,
    hangNext: script.hangNext,
    hideNext(place) {
      hidden.push(place);
    },
    limitRoom(count) {
      room = count;
    },
    end(instanceId) {
      const machine = machines.find((one) => one.instance.instanceId === instanceId);
      if (machine) machine.state = "gone";
    },
    addForeign() {
      const instance = makeInstance(options, undefined, machines.length, now());
      machines.push({ instance, state: "live" });
    },
    settle() {
      for (const machine of machines) if (machine.state === "ending") machine.state = "gone";
    },
  };
}

function makeInstance(
  options: FakeProviderOptions,
  order: LaunchOrder | undefined,
  index: number,
  launchedAt: number,
): Instance {
  const isEc2 = (options.name ?? "ec2") === "ec2";
  return {
    instanceId: `${isEc2 ? "i-" : "build-"}${String(index + 1).padStart(17, "0")}`,
    provider: options.name ?? "ec2",
    launchId: order?.launchId ?? "",
    state: "running",
    launchedAt,
    ...(order ? { runnerClass: order.runnerClass.name, scope: scopeKey(order.scope) } : {}),
    ...(isEc2
      ? {
          region: options.region ?? "us-east-1",
          accountId: options.accountId ?? "123456789012",
          isSpot: false,
        }
      : { app: order?.offering.provider === "codemagic" ? order.offering.app : "app" }),
  };
}

function aborted(signal: AbortSignal): TransientError {
  return new TransientError("aborted", { code: "aborted", cause: signal.reason });
}

function createScript() {
  const failures: { verb: Verb | undefined; make: () => ProvisionError; left: number }[] = [];
  const toLose: Verb[] = [];
  const hangs: (() => void)[] = [];
  return {
    failNext(error: ProvisionError | ErrorClass, { verb, times = 1 }: { verb?: Verb; times?: number } = {}) {
      failures.push({ verb, make: typeof error === "string" ? ERRORS[error] : () => error, left: times });
    },
    loseNext(verb: Verb = "launch") {
      toLose.push(verb);
    },
    hangNext(): Promise<void> {
      return new Promise((resolve) => hangs.push(resolve));
    },
    async before(verb: Verb, signal: AbortSignal): Promise<void> {
      const arrived = hangs.shift();
      if (arrived) {
        arrived();
        await new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(aborted(signal)), { once: true });
        });
      }
      const failure = failures.find((one) => one.verb === undefined || one.verb === verb);
      if (!failure) return;
      failure.left -= 1;
      if (failure.left <= 0) failures.splice(failures.indexOf(failure), 1);
      throw failure.make();
    },
    after(verb: Verb): void {
      const at = toLose.indexOf(verb);
      if (at < 0) return;
      toLose.splice(at, 1);
      throw new TransientError("fake: the answer was lost", { code: "FakeLost" });
    },
  };
}
