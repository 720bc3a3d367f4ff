import { writeFileSync } from "node:fs";
import { jobsOf, lowerBoundMs } from "../burst/plan.ts";
import { type Burst, playBurst } from "../burst/run.ts";
import { drawTimeline } from "../burst/timeline.ts";
import type { Measure, Row } from "../row.ts";

/** A minute of GitHub's must be whole seconds by the faster clock; faster than this, our own computers are the limit. */
const SPEED = 4;

const PICTURE = new URL("../../../docs/burst.svg", import.meta.url);

/** Twice the registrations a minute: GitHub's part of the least time is halved. */
async function measureTwoApps(): Promise<Measure> {
  const { boundS, lastRunsS, ...figures } = describe(
    await playBurst({ speed: SPEED, launchSize: 100, share: 1, apps: 2 }),
  );
  return { value: lastRunsS / boundS, figures: { speed: SPEED, boundS, lastRunsS, ...figures } };
}

async function measure(): Promise<Measure> {
  const together = await playBurst({ speed: SPEED, launchSize: 100, share: 1, apps: 1 });
  const single = await playBurst({ speed: SPEED, launchSize: 1, share: 1, apps: 1 });
  const picture = drawTimeline([
    { title: "launched together, up to 100 machines a RunInstances call", burst: together },
    { title: "one machine a RunInstances call", burst: single },
  ]);
  writeFileSync(PICTURE, picture);
  const { boundS, lastRunsS, ...figures } = describe(together);
  return {
    value: lastRunsS / boundS,
    figures: {
      speed: SPEED,
      boundS,
      lastRunsS,
      ...figures,
      ...Object.fromEntries(
        Object.entries(describe(single)).map(([name, value]) => [`single.${name}`, value]),
      ),
    },
  };
}

/** More machines than jobs, as a share: more is a failure, however fast it was. */
const MOST_SPARE = 0.02;

function describe(burst: Burst) {
  const [jobs, machines, registrations] = [
    jobsOf(burst.plan),
    burst.launched.length,
    burst.registered.length,
  ];
  const lost = jobs - burst.succeeded;
  if (lost > 0 || Math.max(machines, registrations) > (1 + MOST_SPARE) * jobs)
    throw new Error(
      `of ${jobs} jobs ${lost} were lost, with ${machines} machines, ${registrations} registrations`,
    );
  return {
    boundS: lowerBoundMs(burst.plan) / 1_000,
    lastRunsS: (burst.started.at(-1) ?? Number.NaN) / 1_000,
    ...{ lost, machines, registrations },
    runInstances: burst.calls,
    throttled: burst.throttled,
    githubCalls: burst.githubCalls,
    refusedByGitHub: burst.refused,
  };
}

export const burstRows: readonly Row[] = [
  {
    name: "burst",
    about: "1,000 jobs queued in 10 s, EC2's and GitHub's limits as published: until the last job runs",
    unit: "x the least the limits imply",
    target: { atMost: 1.15 },
    isOnRequest: true,
    isOnce: true,
    measure,
  },
  {
    name: "burst-two-apps",
    about: "the same launched together, with two GitHub Apps: twice the registrations a minute",
    unit: "x the least the limits imply",
    isOnRequest: true,
    isOnce: true,
    measure: measureTwoApps,
  },
];
