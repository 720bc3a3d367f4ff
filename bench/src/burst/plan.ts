/** A monorepo's push: so many workflow jobs, queued evenly over so long. */
const JOBS = 1_000;
const QUEUED_OVER_MS = 10_000;
/** From RunInstances' answer until the machine's script runs, evenly between. */
const BOOT_MS = { least: 30_000, most: 60_000 } as const;
const JOB_MS = 60_000;

/** As published: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html and GitHub's page on rate limits. */
const EC2 = { calls: { burst: 5, perSecond: 2 }, machines: { burst: 1_000, perSecond: 2 } } as const;
const GITHUB = { points: 900, windowMs: 60_000, concurrent: 100, mint: 5 } as const;
/** Runners that one repository takes, also of a part of the burst. */
const REGISTRATIONS = { most: 1_500, windowMs: 300_000 } as const;

export interface Plan {
  /** All durations are divided by it, all rates multiplied: a faster clock for everything but our own computers. */
  readonly speed: number;
  /** Machines of one RunInstances call, at most. */
  readonly launchSize: number;
  /** 1: the whole burst. Less: that part of the jobs and of GitHub's points, for a machine that has other work too. */
  readonly share: number;
  /** GitHub Apps, each with GitHub's points for itself. */
  readonly apps: number;
}

export function jobsOf({ share }: Pick<Plan, "share">): number {
  return Math.round(JOBS * share);
}

/** The plan's times, by the faster clock. */
export function timesOf({ speed }: Plan) {
  return {
    queuedOverMs: QUEUED_OVER_MS / speed,
    bootMs: (random: () => number) => (BOOT_MS.least + random() * (BOOT_MS.most - BOOT_MS.least)) / speed,
    jobMs: JOB_MS / speed,
    windowMs: GITHUB.windowMs / speed,
  };
}

/** GitHub's stand-in counts by these. */
export function githubLimits({ speed, share }: Plan) {
  const { points, concurrent, windowMs } = GITHUB;
  const registrations = { most: REGISTRATIONS.most, windowMs: REGISTRATIONS.windowMs / speed };
  return { points: points * share, concurrent, windowMs: windowMs / speed, registrations };
}

/**
 * The least time, by the true clock, until the last job can run. A registration costs five points, so that 180 fit into
 * a minute of each App; no machine claims before it has booted, and none boots before its RunInstances call, of which
 * five go at once and then two a second, of 1,000 machines at once and then two a second.
 */
export function lowerBoundMs({ launchSize, share, apps }: Omit<Plan, "speed">): number {
  const jobs = jobsOf({ share });
  const perWindow = apps * Math.floor((GITHUB.points * share) / GITHUB.mint);
  const registeredMs = BOOT_MS.least + Math.floor((jobs - 1) / perWindow) * GITHUB.windowMs;
  const calls = Math.ceil(jobs / launchSize);
  const calledMs = (Math.max(0, calls - EC2.calls.burst) / EC2.calls.perSecond) * 1_000;
  const startedMs = (Math.max(0, jobs - EC2.machines.burst) / EC2.machines.perSecond) * 1_000;
  const launchedMs = Math.max(calledMs, startedMs, QUEUED_OVER_MS);
  return Math.max(registeredMs, launchedMs + BOOT_MS.least);
}

/** `runners.yaml` with every limit by the faster clock. */
export function renderCatalog({ speed, launchSize, share }: Plan): string {
  const seconds = (count: number) => `${Math.ceil(count / speed)}s`;
  return `version: 1
allow: { owners: [acme] }
limits:
  ec2:
    launchSize: ${launchSize}
    runInstances: { burst: ${EC2.calls.burst}, perSecond: ${EC2.calls.perSecond * speed} }
    instances: { burst: ${EC2.machines.burst}, perSecond: ${EC2.machines.perSecond * speed} }
    terminateInstances: { burst: 100, perSecond: ${5 * speed} }
    endedInstances: { burst: 1000, perSecond: ${20 * speed} }
    describe: { burst: 100, perSecond: ${20 * speed} }
  github: { points: ${GITHUB.points * share}, window: ${GITHUB.windowMs / 1_000 / speed}s, concurrent: ${GITHUB.concurrent}, registrations: { most: ${REGISTRATIONS.most}, window: ${seconds(REGISTRATIONS.windowMs / 1_000)} } }
classes:
  - name: linux
    labels: [linux, self-hosted]
    platform: { os: linux, arch: arm64 }
    maxRunners: ${jobsOf({ share })}
    bootTimeout: ${seconds(600)}
    idleTimeout: ${seconds(300)}
    maxRuntime: ${seconds(3_600)}
    offerings:
      - { provider: ec2, region: us-east-1, image: { id: ami-0aa1000000000001 }, instanceTypes: [t4g.large],
          subnets: [subnet-0000000000000000a], securityGroups: [sg-00000000000000000] }
`;
}

/** The shipped settings' times, by the faster clock; whole seconds, so rounded up. */
export function settingsOf({ speed }: Plan): Readonly<Record<string, string>> {
  const seconds = (count: number) => String(Math.ceil(count / speed));
  return {
    SWEEP_INTERVAL: seconds(30),
    SWEEP_GRACE: seconds(120),
    REDELIVERY_INTERVAL: seconds(60),
    UNHEARD_INTERVAL: seconds(600),
    END_GRACE: seconds(5),
    LOG_LEVEL: "warn",
  };
}
