import type { Sandbox } from "../sandbox.ts";
import { type Progress, STEPS } from "./progress.ts";

/** One workflow job of the demo and what became of it. */
export interface Outcome {
  readonly label: string;
  readonly workflowJobId: number;
  readonly progress: Progress;
}

/** Everything that is not as it must be, from grp's own words and from the sandbox's; nothing when all went well. */
export function findFaults(outcomes: readonly Outcome[], sandbox: Sandbox): string[] {
  return [
    ...outcomes.flatMap(({ label, progress }) => missingSteps(label, progress)),
    ...outcomes.flatMap(({ label, workflowJobId }) => jobFaults(label, workflowJobId, sandbox)),
    ...worldFaults(outcomes.length, sandbox),
  ];
}

function missingSteps(label: string, progress: Progress): string[] {
  const missing = STEPS.filter((step) => !progress.elapsedMs.has(step));
  const why = progress.failure ?? progress.now;
  return missing.length === 0 ? [] : [`${label}: never ${missing.join(", ")}${why ? ` (${why})` : ""}`];
}

function jobFaults(label: string, workflowJobId: number, { github }: Sandbox): string[] {
  const job = github.workflowJobs().find(({ id }) => id === workflowJobId);
  if (job?.conclusion === "success") return [];
  return [`${label}: GitHub says ${job?.status ?? "nothing"}, ${job?.conclusion ?? "no conclusion"}`];
}

function worldFaults(count: number, { github, ec2, codemagic, machines }: Sandbox): string[] {
  const minted = github.registrations();
  const left = github.runners().length;
  const jobless = minted.filter(({ workflowJobId }) => workflowJobId === undefined).length;
  const alive = ec2.instances().filter(({ state }) => state !== "terminated").length;
  const builds = codemagic.builds().filter(({ isLive }) => isLive).length;
  const running = machines.records.filter(({ endedAt }) => endedAt === undefined).length;
  const faults: [boolean, string][] = [
    [minted.length !== count, `${minted.length} registrations minted for ${count} workflow jobs`],
    [jobless > 0, `${jobless} registrations ran no workflow job`],
    [left > 0, `${left} runners are still registered at GitHub`],
    [alive > 0, `${alive} EC2 instances are still alive`],
    [builds > 0, `${builds} CodeMagic builds still run`],
    [running > 0, `${running} machines still run`],
    [machines.records.length !== count, `${machines.records.length} machines for ${count} workflow jobs`],
    [
      github.violations.length > 0,
      `GitHub's description was violated: ${JSON.stringify(github.violations[0])}`,
    ],
  ];
  return faults.filter(([isFault]) => isFault).map(([, text]) => text);
}
