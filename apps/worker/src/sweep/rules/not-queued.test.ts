import type { GitHubWorkflowJob } from "@grp/github";
import { expect } from "chai";
import { HOUR, makeOpen, makeWorld } from "../../testing/world.ts";
import { notQueued } from "./not-queued.ts";

describe("rule not-queued", () => {
  const judge = (job: Partial<GitHubWorkflowJob> | null) => {
    const workflowJobs = new Map([["wfj-1", job as GitHubWorkflowJob | null]]);
    return notQueued.judge(makeWorld({ demands: [makeOpen(HOUR)], workflowJobs }))[0];
  };

  it("brings the ledger up to date with what GitHub says", () => {
    const cancelled = { status: "completed", conclusion: "cancelled", runnerName: null };
    expect(judge(cancelled)).to.deep.nested.include({ state: "completed", "update.conclusion": "cancelled" });
    const running = { status: "in_progress", conclusion: null, runnerName: "theirs" };
    expect(judge(running)).to.deep.nested.include({ state: "in_progress", "update.runnerName": "theirs" });
  });

  it("changes nothing for a job still queued, or one that GitHub does not show us", () => {
    expect(judge({ status: "queued" })).to.equal(undefined);
    expect(judge(null)).to.equal(undefined);
  });

  it("ends one whose runner is gone and which GitHub knows no more, for nobody will tell how it ended", () => {
    const { record } = makeOpen(HOUR);
    const unended = [{ ...record, workflowJobState: "in_progress" as const }];
    const judgeUnended = (answers: ReadonlyMap<string, null>) =>
      notQueued.judge(makeWorld({ unended, workflowJobs: answers }));
    expect(judgeUnended(new Map([["wfj-1", null]]))[0]).to.deep.nested.include({
      state: "completed",
      "update.conclusion": "unknown",
    });
    expect(judgeUnended(new Map())).to.deep.equal([]);
  });
});
