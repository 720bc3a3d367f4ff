import { findOpenClaim, type RunnerRecord } from "@grp/ledger";
import { formatDuration } from "../format.ts";
import type { WhereNow } from "./story.ts";

const WORDS: Readonly<Record<string, string>> = {
  "claim-refused": "its claim was refused",
  "claim-unanswered": "its claim could not be answered",
};

const WAITS: Readonly<Record<string, { waitsFor: string; next: string }>> = {
  "claim-refused": {
    waitsFor: "its registration, which is refused",
    next: "it claims again; unless that is mended within its time to boot, it is ended and another launched",
  },
  "claim-unanswered": {
    waitsFor: "an answer to its claim",
    next: "it claims again, for as long as its ticket is good; after that another is launched",
  },
};

/** Why its last claim was not granted, with the words of GitHub or of our own; undefined when it was, or is in line. */
export function describeClaimWords(runner: RunnerRecord): string | undefined {
  const note = findOpenClaim(runner);
  const words = note && WORDS[note.kind];
  return words && `${words}: ${note.text}`;
}

/** A machine that has come and was not registered. */
export function describeClaim(runner: RunnerRecord): WhereNow | undefined {
  const claim = describeClaimWords(runner);
  const wait = WAITS[findOpenClaim(runner)?.kind ?? ""];
  if (!claim || !wait) return undefined;
  return { whereNow: `a machine is up: ${runner.instanceId ?? runner.runnerName}; ${claim}`, ...wait };
}

/** More machines claim than GitHub's rate limit lets register at once: the longest-queued workflow job goes first. */
export function describeClaimLine(runner: RunnerRecord, now: number): WhereNow | undefined {
  const leftMs = runner.step === "booted" ? (runner.comesBackAt ?? 0) - now : 0;
  if (leftMs <= 0) return undefined;
  return {
    whereNow: `a machine is up: ${runner.instanceId ?? runner.runnerName}; it stands in line for its registration`,
    waitsFor: `GitHub's rate limit, its turn in about ${formatDuration(leftMs)}`,
    next: "it claims again then, and its runner registers with GitHub",
  };
}
