import type { MachineFault, MachineQuirk } from "../../packages/sandbox/src/index.ts";
import { createRandom } from "../../packages/sandbox/src/random.ts";

/** What is done to the product or its world, at a moment that the seed chooses. */
export const FAULT_KINDS = [
  "kill-ingress",
  "freeze-ingress",
  "kill-worker",
  "freeze-worker",
  "kill-redis",
  "freeze-redis",
  "spoil-deliveries",
  "lose-ec2-answer",
  "lose-codemagic-answer",
  "lose-github-answer",
  "fail-ec2",
  "fail-codemagic",
  "fail-mint",
  "limit-github",
  "no-spot",
  "no-capacity",
  "interrupt-spot",
  "take-spot",
  "vanish-machine",
  "suspend-app",
  "refuse-recovery",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface PlannedFault {
  readonly atMs: number;
  readonly kind: FaultKind;
  /** How long it lasts; 0 for those that happen in an instant. */
  readonly lastsMs: number;
  /** From 0 to 1: which process, machine, call or error. */
  readonly which: number;
}

export interface PlannedJob {
  readonly atMs: number;
  readonly repository: string;
  readonly label: string;
  readonly durationMs: number;
  readonly ending: "success" | "failure";
  readonly cancelAfterMs: number | undefined;
}

/** Everything that a seed decides. What the processes make of it is theirs. */
export interface ChaosPlan {
  readonly seed: number;
  readonly ingresses: number;
  readonly workers: number;
  readonly appendfsync: "always" | "everysec";
  readonly isThrottled: boolean;
  readonly maxRunners: number;
  readonly concurrentBuilds: number;
  readonly machineFaults: Readonly<Record<MachineFault, number>>;
  readonly machineQuirks: Readonly<Record<MachineQuirk, number>>;
  /** One worker's clock: 0, or so much before the others'. */
  readonly clockAheadMs: number;
  /** What the product is to GitHub. */
  readonly as: "token" | "apps";
  /** Why the jobs labelled `doomed` can never be served; absent where there are none. */
  readonly doom?: "no-image" | "no-boot";
  readonly jobs: readonly PlannedJob[];
  readonly faults: readonly PlannedFault[];
}

/** How often each is drawn, and for how long it lasts. Long enough to matter, short enough to be over in time. */
const FAULTS: Readonly<Record<FaultKind, { weight: number; lastsMs: readonly [number, number] }>> = {
  "kill-ingress": { weight: 3, lastsMs: [0, 3_000] },
  // Machines in mid-claim hang on it, and deliveries; it comes back and goes on with them.
  "freeze-ingress": { weight: 2, lastsMs: [500, 6_000] },
  "kill-worker": { weight: 4, lastsMs: [0, 4_000] },
  // Beyond the ten seconds after which others take its work over: it comes back and thinks it still holds it.
  "freeze-worker": { weight: 1, lastsMs: [1_000, 14_000] },
  "kill-redis": { weight: 2, lastsMs: [0, 3_000] },
  "freeze-redis": { weight: 2, lastsMs: [500, 5_000] },
  "spoil-deliveries": { weight: 3, lastsMs: [1_000, 4_000] },
  "lose-ec2-answer": { weight: 3, lastsMs: [0, 0] },
  "lose-codemagic-answer": { weight: 2, lastsMs: [0, 0] },
  "lose-github-answer": { weight: 2, lastsMs: [0, 0] },
  "fail-ec2": { weight: 2, lastsMs: [0, 0] },
  "fail-codemagic": { weight: 2, lastsMs: [0, 0] },
  "fail-mint": { weight: 2, lastsMs: [0, 0] },
  "limit-github": { weight: 1, lastsMs: [1_000, 3_000] },
  "no-spot": { weight: 1, lastsMs: [1_000, 5_000] },
  "no-capacity": { weight: 0.3, lastsMs: [300, 1_000] },
  "interrupt-spot": { weight: 2, lastsMs: [1_000, 2_000] },
  "take-spot": { weight: 2, lastsMs: [0, 0] },
  "vanish-machine": { weight: 1, lastsMs: [0, 0] },
  // Of two Apps, one at a time, once in each run that has them: not drawn with the others.
  "suspend-app": { weight: 0, lastsMs: [1_000, 6_000] },
  // One of them can't read its deliveries, or have them sent again: once in each run too.
  "refuse-recovery": { weight: 0, lastsMs: [1_000, 8_000] },
};

const JOBS_FOR_MS = 8_000;
const FAULTS_FOR_MS = 12_000;
const LABELS = ["linux", "linux", "linux", "mac", "mixed"];
const REPOSITORIES = ["app", "app", "app", "lib", "lib", "site", "docs", "tools", "api", "infra"];
/** All limits here are sixty times shorter than true ones: so does this stand for two and a half minutes. */
const MOST_AHEAD_MS = 2_500;

export function createPlan(seed: number, jobs = 50): ChaosPlan {
  const random = createRandom(seed);
  const between = (least: number, most: number) => least + random() * (most - least);
  const whole = (least: number, most: number) => Math.floor(between(least, most + 1));
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const planJob = (): PlannedJob => ({
    atMs: Math.round(between(0, JOBS_FOR_MS)),
    repository: pick(REPOSITORIES),
    label: pick(LABELS),
    durationMs: Math.round(between(100, 1_500)),
    ending: random() < 0.9 ? "success" : "failure",
    cancelAfterMs: random() < 0.12 ? Math.round(between(0, 4_000)) : undefined,
  });
  const as = random() < 0.5 ? ("apps" as const) : ("token" as const);
  const planFault = (kind: FaultKind): PlannedFault => {
    const [least, most] = FAULTS[kind].lastsMs;
    return {
      atMs: Math.round(between(500, FAULTS_FOR_MS)),
      kind,
      lastsMs: Math.round(between(least, most)),
      which: random(),
    };
  };
  const ofApps = as === "apps" ? [planFault("suspend-app"), planFault("refuse-recovery")] : [];
  const { doom, doomed } = planDoom(random);
  const byTime = (one: { atMs: number }, other: { atMs: number }) => one.atMs - other.atMs;
  return {
    seed,
    ingresses: whole(1, 2),
    workers: whole(2, 3),
    appendfsync: pick(["always", "everysec"] as const),
    isThrottled: random() < 0.5,
    maxRunners: whole(6, 40),
    concurrentBuilds: whole(2, 8),
    machineFaults: {
      "dies-in-boot": between(0, 0.08),
      "never-claims": between(0, 0.05),
      "dies-after-claim": between(0, 0.06),
      "never-online": between(0, 0.05),
      hangs: between(0, 0.05),
    },
    machineQuirks: {
      "loses-answer": between(0, 0.1),
      "tries-another": between(0, 0.1),
      "asks-again": between(0, 0.1),
    },
    clockAheadMs: random() < 0.5 ? Math.round(between(500, MOST_AHEAD_MS)) : 0,
    as,
    ...(doom && { doom }),
    jobs: [...Array.from({ length: jobs }, planJob), ...doomed].sort(byTime),
    faults: [...Array.from({ length: whole(8, 16) }, () => planFault(drawKind(random()))), ...ofApps].sort(
      byTime,
    ),
  };
}

/** Jobs of a class that can't be served, in half of the runs. */
function planDoom(
  random: () => number,
): Pick<ChaosPlan, "doom"> & { readonly doomed: readonly PlannedJob[] } {
  const at = random();
  const doom = at < 0.25 ? "no-image" : at < 0.5 ? "no-boot" : undefined;
  if (doom === undefined) return { doomed: [] };
  const count = 2 + Math.floor(random() * 4);
  const plan = (): PlannedJob => ({
    atMs: Math.round(random() * JOBS_FOR_MS),
    repository: "app",
    label: "doomed",
    durationMs: 100,
    ending: "success",
    cancelAfterMs: undefined,
  });
  return { doom, doomed: Array.from({ length: count }, plan) };
}

function drawKind(at: number): FaultKind {
  const sum = FAULT_KINDS.reduce((total, kind) => total + FAULTS[kind].weight, 0);
  let left = at * sum;
  for (const kind of FAULT_KINDS) {
    left -= FAULTS[kind].weight;
    if (left < 0) return kind;
  }
  return "kill-worker";
}
