import type { ProviderName } from "@grp/core";
import type { RunnerRecord, RunnerStep } from "@grp/ledger";
import { formatDuration } from "../format.ts";
import { describeClaim, describeClaimLine, describeClaimWords } from "./describe-claim.ts";
import { findServer, listFree, type WhereNow, type WorkflowJobStory } from "./story.ts";

/** Where a workflow job is, what it waits for, and what comes next; the first that fits, ends before waits. */
export function describeNow(story: WorkflowJobStory): WhereNow {
  return (
    describeEnded(story) ??
    describeStarted(story) ??
    describeHeld(story) ??
    describeThrottled(story) ??
    describeRetry(story) ??
    describeOnTheWay(story) ??
    describeNotShown(story) ??
    describeNobody(story)
  );
}

/** The runner most likely to take it: alive, and not busy with another; the latest of them. */
function findExpected(story: WorkflowJobStory): RunnerRecord | undefined {
  return listFree(story).findLast((one) => WAITING.some((step) => step === one.step));
}

const WAITING: readonly RunnerStep[] = ["launching", "launched", "booted", "claimed", "online"];

function describeEnded(story: WorkflowJobStory): WhereNow | undefined {
  const { record } = story;
  switch (record.demandState) {
    case "failed":
      return {
        whereNow: `a dead letter: ${record.failure?.message ?? "failed for good"}`,
        waitsFor: "a person",
        next:
          record.workflowJobState === "queued"
            ? `nothing by itself; grp retry ${record.key}, or dismiss it`
            : `nothing: GitHub has ended the job meanwhile; grp dismiss ${record.key}`,
      };
    case "dismissed":
      return { whereNow: "given up by a person", next: "nothing" };
    case "cancelled":
      return {
        whereNow: `ended before it started (${record.conclusion ?? "cancelled"})`,
        next: "nothing; a machine that was on its way serves a sibling, or ends",
      };
  }
  if (record.demandState === "served" && record.workflowJobState === "queued")
    return { whereNow: "planned by a worker that only plans; nothing was launched", next: "nothing" };
  if (record.workflowJobState !== "completed") return undefined;
  const left = findServer(story);
  const isLeft = left !== undefined && left.step !== "gone";
  return {
    whereNow: `finished: ${record.conclusion ?? "no conclusion given"}`,
    next: isLeft ? `the machine of ${left.runnerName} ends` : "nothing",
  };
}

function describeStarted(story: WorkflowJobStory): WhereNow | undefined {
  const { record, runnerClass, now } = story;
  if (record.workflowJobState !== "in_progress") return undefined;
  const ours = findServer(story);
  const forHow =
    record.times.inProgress === undefined ? "" : `, for ${formatDuration(now - record.times.inProgress)}`;
  const limit = runnerClass ? `, or after ${formatDuration(runnerClass.maxRuntime)} at the latest` : "";
  const by = record.servedBy ?? "a runner";
  if (!ours) return { whereNow: `runs on ${by}, which is not ours${forHow}`, next: "nothing from us" };
  if (ours.notes.some(({ kind }) => kind === "interrupted"))
    return {
      whereNow: `runs on ${by}${forHow}, whose machine its provider takes back`,
      next: "it fails with its machine, unless it ends first; GitHub does not run it again by itself",
    };
  return { whereNow: `runs on ${by}${forHow}`, next: `its machine ends with it${limit}` };
}

/** By a cap or a lack of capacity, or for a sibling's machine, as the worker wrote it down. */
function describeHeld(story: WorkflowJobStory): WhereNow | undefined {
  const { record, now } = story;
  if (!record.waitsFor) return undefined;
  if (record.waitsFor === "covered") return findExpected(story) ? undefined : COVERED;
  const since = record.times.enqueued ?? record.times.received;
  const forHow = since === undefined ? "" : `, ${formatDuration(now - since)} after it was enqueued`;
  return { whereNow: `no machine yet${forHow}`, ...describeWait(record.waitsFor) };
}

const COVERED: WhereNow = {
  whereNow:
    "covered by a sibling's machine: as many are on their way, or idle, as workflow jobs like it wait",
  waitsFor: "the next free runner of its class",
  next: "GitHub gives it a runner that fits; should one not come, the sweep launches another",
};

/** In the words of a person what the worker wrote down. */
function describeWait(waitsFor: string): Pick<WhereNow, "next"> & { waitsFor: string } {
  const cap = /^cap (.+)$/.exec(waitsFor)?.[1];
  if (cap !== undefined)
    return {
      waitsFor: `a place under cap ${cap}`,
      next: "it is launched as soon as a place is free, in its turn",
    };
  const provider = /^budget (.+)$/.exec(waitsFor)?.[1];
  if (provider !== undefined)
    return {
      waitsFor: `the budget of calls to ${provider}`,
      next: "its launch goes out, with all that wait for the same, as soon as the provider's published limits allow",
    };
  const silent = /^answer (.+)$/.exec(waitsFor)?.[1];
  if (silent !== undefined)
    return {
      waitsFor: `an answer of ${silent} to an earlier launch, which is long in coming`,
      next: "it is tried again every few seconds, which costs no attempt, and goes out once that launch is answered or given up",
    };
  if (waitsFor === "capacity")
    return {
      waitsFor: "capacity: no offering of its class has room",
      next: "all offerings are tried again after a pause; after the last try it becomes a dead letter",
    };
  if (waitsFor === "host")
    return {
      waitsFor:
        "a dedicated host: none of its class' can take a machine; EC2 scrubs a mac's for hours after each",
      next: "all offerings are tried again, half an hour apart at the most; after most of a day it becomes a dead letter",
    };
  if (waitsFor === "throttle")
    return {
      waitsFor: "the provider's rate limit",
      next: "it is asked again by itself, as the limit allows; this costs no attempt",
    };
  return { waitsFor, next: "it starts by itself after that" };
}

const PHASES: Readonly<Partial<Record<RunnerStep, { now: string; waitsFor: string; next: string }>>> = {
  launching: {
    now: "the provider is asked for a machine",
    waitsFor: "the provider's answer",
    next: "the machine boots",
  },
  launched: {
    now: "a machine boots",
    waitsFor: "boot",
    next: "it claims its registration; if it does not in time, it is ended and another launched",
  },
  booted: {
    now: "a machine is up and claims its registration",
    waitsFor: "its claim",
    next: "its runner registers with GitHub",
  },
  claimed: {
    now: "the runner program starts",
    waitsFor: "the runner to come online",
    next: "GitHub gives it a job; if it does not come online in time, it is ended and another launched",
  },
  online: {
    now: "a runner is online",
    waitsFor: "GitHub to give it this job",
    next: "GitHub starts this job on it, or a sibling's; left idle, it is ended",
  },
};

/** The whole queue waits, this one with it; who is past the provider's call does not. */
function describeThrottled(story: WorkflowJobStory): WhereNow | undefined {
  const runner = findExpected(story);
  if (runner && runner.step !== "launching") return undefined;
  const provider = runner?.provider ?? queueOf(story);
  const heldMs = provider && story.holds[provider];
  if (heldMs === undefined) return undefined;
  const asked = runner ? "the provider was asked for a machine, and told us to slow down" : "in its queue";
  return {
    whereNow: `${asked}; every launch of ${provider} pauses`,
    waitsFor: `the provider's rate limit, for ${formatDuration(heldMs)} more`,
    next: "the queue goes on by itself; this costs no attempt",
  };
}

/** The last try failed in a way that may pass, and no machine is known of yet. */
function describeRetry(story: WorkflowJobStory): WhereNow | undefined {
  const note = story.record.notes.at(-1);
  const runner = findExpected(story);
  const isPassed = runner && runner.step !== "launching";
  if (note?.kind !== "retry" || isPassed || hasLaunchedSince(story, note.at)) return undefined;
  return {
    whereNow: `its launch failed for now: ${note.text}`,
    waitsFor: "the next try",
    next: "it is tried again under the same id; after the last try it becomes a dead letter",
  };
}

/** The try after it, or another, did get a machine: wherever that is by now. */
function hasLaunchedSince({ runners }: WorkflowJobStory, at: number): boolean {
  return runners.some(({ times }) => (times.launched ?? 0) > at);
}

/** Whose queue it is in, as far as the catalog tells. */
function queueOf({ record, runnerClass }: WorkflowJobStory): ProviderName | undefined {
  if (record.times.enqueued === undefined) return undefined;
  return runnerClass?.offerings[record.demand.offeringIndex]?.provider;
}

function describeOnTheWay(story: WorkflowJobStory): WhereNow | undefined {
  const runner = findExpected(story);
  const phase = runner && PHASES[runner.step];
  if (!phase) return undefined;
  const special = describeTakenBack(runner) ?? describeClaim(runner) ?? describeClaimLine(runner, story.now);
  if (special) return special;
  const since = runner.times[runner.step];
  const limit = limitOf(story, runner.step);
  const times = [
    since === undefined ? "" : `for ${formatDuration(story.now - since)}`,
    limit === undefined ? "" : `limit ${formatDuration(limit)}`,
  ].filter(Boolean);
  const machine = runner.instanceId ?? runner.runnerName;
  return {
    whereNow: `${phase.now}: ${machine}${times.length > 0 ? ` (${times.join(", ")})` : ""}`,
    waitsFor: phase.waitsFor,
    next: phase.next,
  };
}

function describeTakenBack(runner: RunnerRecord): WhereNow | undefined {
  if (!runner.notes.some(({ kind }) => kind === "interrupted")) return undefined;
  return {
    whereNow: `its machine ${runner.instanceId ?? runner.runnerName} is taken back by its provider`,
    waitsFor: "another machine",
    next: MISSING,
  };
}

function limitOf({ runnerClass }: WorkflowJobStory, step: RunnerStep): number | undefined {
  if (step === "launched" || step === "booted") return runnerClass?.bootTimeout;
  return step === "online" || step === "claimed" ? runnerClass?.idleTimeout : undefined;
}

/** The sweep asked GitHub before it launched another. */
function describeNotShown({ record }: WorkflowJobStory): WhereNow | undefined {
  const note = record.notes.at(-1);
  if (note?.kind !== "not-shown") return undefined;
  return {
    whereNow: note.text,
    waitsFor: "GitHub to show it again",
    next: "another look some minutes later; if that shows nothing either, it becomes a dead letter",
  };
}

const MISSING = "the sweep launches another, if fewer machines are on their way than jobs wait";

/** No machine is on its way that was launched for it. */
function describeNobody(story: WorkflowJobStory): WhereNow {
  const { record, launches, runners } = story;
  const busy = listFree(story).find(({ step }) => step === "busy");
  if (busy)
    return {
      whereNow: `its runner, ${busy.runnerName}, is busy at GitHub; with which job was not heard yet`,
      waitsFor: "GitHub's delivery about it",
      next: "if it runs a sibling, the sweep launches another machine",
    };
  const taken = runners.find((one) => one.workflowJobKey !== undefined && one.workflowJobKey !== record.key);
  if (taken)
    return {
      whereNow: `the runner launched for it, ${taken.runnerName}, took ${taken.workflowJobKey}`,
      waitsFor: "a sibling's runner, or another machine",
      next: MISSING,
    };
  const last = runners.at(-1);
  if (last && launches.at(-1)?.state !== "failed")
    return {
      whereNow: `its machine ${last.instanceId ?? last.runnerName} ${describeLoss(last)}`,
      waitsFor: "another machine",
      next: MISSING,
    };
  if (launches.length > 0)
    return {
      whereNow: `its launch failed${last ? `: ${last.notes.at(-1)?.text ?? ""}` : ""}`,
      waitsFor: "the next try",
      next: "the next offering, or a try after a pause",
    };
  if (record.times.enqueued === undefined)
    return { whereNow: "not yet in a queue", waitsFor: "the sweep", next: "the sweep enqueues it" };
  return {
    whereNow: "in its queue; nothing was launched for it yet",
    waitsFor: "a worker, or an idle runner of its class",
    next: "a worker launches a machine, unless enough are on their way",
  };
}

const LOSSES: Readonly<Record<string, string>> = {
  interrupted: "was taken back by its provider",
  lost: "is gone: its provider no longer lists it",
  "boot-timeout": "did not claim in time, and was ended",
  "never-online": "claimed and never came online, and was ended",
  failed: "failed",
};

function describeLoss(runner: RunnerRecord): string {
  const loss = runner.notes.findLast(({ kind }) => kind in LOSSES);
  const words = loss === undefined ? "has ended without taking it" : (LOSSES[loss.kind] ?? "");
  const claim = describeClaimWords(runner);
  if (claim) return `${words}; ${claim}`;
  return loss?.kind === "failed" ? `${words}: ${loss.text}` : words;
}
