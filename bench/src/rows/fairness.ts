import { type Stack, startStack } from "../../../packages/sandbox/src/stack/index.ts";
import type { Measure, Row } from "../row.ts";

const LABELS = ["ubuntu-arm64"];
/** Of one repository, all at once. */
const CROWD = { owner: "acme", repository: "monorepo", jobs: 500 } as const;
/** Places of the class; of one repository, where it is limited. */
const [PLACES, PLACES_OF_ONE] = [20, 10];
/** One each of so many other repositories, one after the other: a single one may be lucky. */
const SINGLES = 10;
/** Of every length between, so that places come free one by one, some seven a second. */
const JOB_MS = { least: 2_000, most: 4_000 } as const;
/** Far beyond a job's length and a boot. */
const PATIENCE_MS = 60_000;

/** What is far beyond what is asked for, so that nothing but the class's places makes anybody wait. */
const renderCatalog = (ofOne: number | undefined) => `version: 1
allow: { owners: [acme] }
limits:
  ec2:
    runInstances: { burst: 100000, perSecond: 100000 }
    instances: { burst: 1000000, perSecond: 100000 }
    describe: { burst: 100000, perSecond: 100000 }
    terminateInstances: { burst: 100000, perSecond: 100000 }
    endedInstances: { burst: 100000, perSecond: 100000 }
  github: { points: 1000000, window: 60s, concurrent: 1000 }
classes:
  - name: ubuntu-arm64
    labels: [ubuntu-arm64]
    platform: { os: linux, arch: arm64 }
    maxRunners: ${PLACES}
    ${ofOne === undefined ? "" : `maxRunnersPerRepository: ${ofOne}`}
    offerings:
      - { provider: ec2, region: us-east-1, image: { id: ami-0aa1000000000001 }, instanceTypes: [t4g.large],
          subnets: [subnet-0000000000000000a], securityGroups: [sg-00000000000000000] }
`;

/** Of one repository's single job. */
interface Single {
  /** Machines of the crowd's that were started between its coming and its own machine. */
  readonly ahead: number;
  /** From its coming until it ran. */
  readonly waitedMs: number;
}

async function play(ofOne?: number): Promise<readonly Single[]> {
  const stack = await startStack({
    runners: renderCatalog(ofOne),
    env: { END_GRACE: "0", LOG_LEVEL: "warn" },
    appendfsync: "everysec",
    sandbox: { ec2: { throttle: false }, light: { bootMs: 100 } },
  });
  try {
    await stack.connect();
    await queueCrowd(stack, ofOne ?? PLACES);
    const singles: Single[] = [];
    while (singles.length < SINGLES) singles.push(await queueSingle(stack, `lib-${singles.length}`));
    return singles;
  } finally {
    await stack.stop();
  }
}

/** Until it has all the places that it may have: those it took before the others came are its own. */
async function queueCrowd({ sandbox: { github, ec2 } }: Stack, places: number): Promise<void> {
  for (let job = 0; job < CROWD.jobs; job += 1) {
    const durationMs = JOB_MS.least + Math.random() * (JOB_MS.most - JOB_MS.least);
    github.queueWorkflowJob({ ...CROWD, labels: LABELS, durationMs });
  }
  await github.until(() => ec2.instances().length >= places, "the first machines", PATIENCE_MS);
}

async function queueSingle({ sandbox: { github, ec2 } }: Stack, repository: string): Promise<Single> {
  const from = ec2.instances().length;
  const order = { owner: CROWD.owner, repository, labels: LABELS, durationMs: JOB_MS.least };
  const job = github.queueWorkflowJob(order);
  await github.until(() => job.status !== "queued", `the job of ${repository} to run`, PATIENCE_MS);
  const rest = github.workflowJobs().filter(({ status }) => status === "queued").length;
  if (rest === 0) throw new Error(`nobody else waited any more when ${repository} came`);
  const later = ec2.instances().slice(from);
  const own = later.findIndex(({ tags }) =>
    Object.values(tags).includes(`repo:${order.owner}/${repository}`),
  );
  if (own === -1) throw new Error(`the job of ${repository} runs on no machine of its own`);
  return { ahead: own, waitedMs: (job.startedAt ?? Number.NaN) - job.queuedAt };
}

const most = (numbers: readonly number[]) => Math.max(...numbers);
const mean = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

async function measure(): Promise<Measure> {
  const inTurn = await play();
  const limited = await play(PLACES_OF_ONE);
  const aheadOf = (singles: readonly Single[]) => singles.map(({ ahead }) => ahead);
  const waitsOf = (singles: readonly Single[]) => singles.map(({ waitedMs }) => waitedMs);
  return {
    value: mean(aheadOf(inTurn)),
    figures: {
      mostAhead: most(aheadOf(inTurn)),
      meanWaitMs: mean(waitsOf(inTurn)),
      longestWaitMs: most(waitsOf(inTurn)),
      "limited.mostAhead": most(aheadOf(limited)),
      "limited.meanAhead": mean(aheadOf(limited)),
      "limited.meanWaitMs": mean(waitsOf(limited)),
      "limited.longestWaitMs": most(waitsOf(limited)),
    },
  };
}

export const fairnessRows: readonly Row[] = [
  {
    name: "fairness",
    about: `${CROWD.jobs} jobs of one repository under a limit of ${PLACES}, then single ones of others: how many of the first's go before one of these`,
    unit: "ahead (mean)",
    // Two that wait are served in turn, so one goes before; and what comes free while the delivery is on its way.
    target: { atMost: 2 },
    isOnRequest: true,
    isOnce: true,
    measure,
  },
];
