import type { GitHubWorkflowJob } from "@grp/github";
import { expect } from "chai";
import { HOUR, MINUTE, makeCount, makeNote, makeOpen, makeWorld } from "../../testing/world.ts";
import { MAX_GENERATIONS, missing } from "./missing.ts";

describe("rule missing", () => {
  it("asks for what is missing, the oldest first, as a new generation", () => {
    const demands = [makeOpen(HOUR, { id: 2 }), makeOpen(2 * HOUR, { id: 1, generation: 2 })];
    const deeds = missing.judge(makeWorld({ demands, counts: [makeCount(2, 1)] }));
    expect(deeds).to.have.length(1);
    expect(deeds[0]).to.have.deep.nested.include({
      kind: "enqueue",
      "demand.key": "wfj-1",
      "demand.generation": 3,
    });
  });

  it("leaves alone what is under way, young, or covered", () => {
    const demands = [makeOpen(HOUR, { isUnderWay: true }), makeOpen(MINUTE, { id: 2 })];
    expect(missing.judge(makeWorld({ demands, counts: [makeCount(2, 0)] }))).to.deep.equal([]);
    expect(missing.judge(makeWorld({ demands: [makeOpen(HOUR)], counts: [makeCount(1, 1)] }))).to.deep.equal(
      [],
    );
  });

  it("asks for none that GitHub says waits no more", () => {
    const judge = (status: GitHubWorkflowJob["status"]) => {
      const workflowJobs = new Map([["wfj-1", { status } as GitHubWorkflowJob]]);
      return missing.judge(makeWorld({ demands: [makeOpen(HOUR)], counts: [makeCount(1, 0)], workflowJobs }));
    };
    expect(judge("in_progress")).to.deep.equal([]);
    expect(judge("completed")).to.deep.equal([]);
    expect(judge("queued")).to.have.length(1);
  });

  it("asks for none that GitHub was not asked about while others have begun unheard", () => {
    const demands = [4, 3, 2, 1].map((hours, index) => makeOpen(hours * HOUR, { id: index + 1 }));
    const judge = (...states: string[]) => {
      const answers = states.map((status, index) => [`wfj-${index + 1}`, { status }] as const);
      const workflowJobs = new Map(answers as [string, GitHubWorkflowJob][]);
      const deeds = missing.judge(makeWorld({ demands, counts: [makeCount(4, 1)], workflowJobs }));
      return deeds.map((deed) => (deed.kind === "enqueue" ? deed.demand.key : deed.kind));
    };
    expect(judge()).to.deep.equal(["wfj-1", "wfj-2", "wfj-3"]);
    expect(judge("queued")).to.deep.equal(["wfj-1", "wfj-2", "wfj-3"]);
    expect(judge("in_progress", "queued")).to.deep.equal(["wfj-2"]);
    expect(judge("queued", "queued", "in_progress", "completed")).to.deep.equal(["wfj-1"]);
    expect(judge("completed", "in_progress", "in_progress", "queued")).to.deep.equal([]);
  });

  it("makes a dead letter of one whose class left the catalog", () => {
    const demand = { runnerClass: "gone" };
    const counts = [{ ...makeCount(1, 0), runnerClass: "gone" }];
    const judge = (overrides: Parameters<typeof makeOpen>[1]) =>
      missing.judge(makeWorld({ demands: [makeOpen(HOUR, { demand, ...overrides })], counts }));
    const [deed] = judge({});
    expect(deed).to.deep.nested.include({ kind: "fail", errorClass: "invalid-spec", "demand.key": "wfj-1" });
    expect(deed).to.have.property("message").that.includes("its class left the catalog");
    expect(judge({ isUnderWay: true })).to.deep.equal([]);
  });

  it("leaves spot after a second loss", () => {
    const offeringAfter = (losses: number) => {
      const notes = Array.from({ length: losses }, () => makeNote("lost"));
      return missing.judge(makeWorld({ demands: [makeOpen(HOUR, { notes })], counts: [makeCount(1, 0)] }))[0];
    };
    expect(offeringAfter(1)).to.have.nested.property("demand.offeringIndex", 0);
    expect(offeringAfter(2)).to.have.nested.property("demand.offeringIndex", 1);
  });

  it("makes a dead letter after three machines that never came, or after too many of any kind", () => {
    const judge = (overrides: Parameters<typeof makeOpen>[1]) =>
      missing.judge(makeWorld({ demands: [makeOpen(HOUR, overrides)], counts: [makeCount(1, 0)] }))[0];
    const notes = [makeNote("boot-timeout"), makeNote("never-online"), makeNote("boot-timeout")];
    expect(judge({ notes })).to.include({ kind: "fail", errorClass: "boot" });
    expect(judge({ notes: notes.slice(1) })).to.include({ kind: "enqueue" });
    expect(judge({ generation: MAX_GENERATIONS })).to.include({ kind: "fail" });
  });

  describe("where GitHub does not show the workflow job", () => {
    const workflowJobs = new Map([["wfj-1", null]]);
    const judge = (overrides: Parameters<typeof makeOpen>[1]) => {
      const demands = [makeOpen(5 * HOUR, overrides)];
      return missing.judge(makeWorld({ demands, counts: [makeCount(1, 0)], workflowJobs }));
    };
    const seen = (agoMs: number) => makeNote("not-shown", agoMs);

    it("asks for a second machine, and for no third: it looks again, and makes a dead letter", () => {
      expect(judge({ generation: 1 })[0]).to.include({ kind: "enqueue" });
      expect(judge({ generation: 2 })[0]).to.deep.nested.include({
        kind: "note-demand",
        "note.kind": "not-shown",
      });
      expect(judge({ generation: 2, notes: [seen(MINUTE)] })).to.deep.equal([]);
      expect(judge({ generation: 2, notes: [seen(6 * MINUTE), seen(MINUTE)] })[0]).to.deep.include({
        kind: "fail",
        errorClass: "not-shown",
        message: "GitHub knows this workflow job no more, or does not show it to our credentials",
      });
    });

    it("begins to look anew after an hour, or when a person asked for another try", () => {
      expect(judge({ generation: 2, notes: [seen(2 * HOUR)] })[0]).to.include({ kind: "note-demand" });
      const notes = [seen(30 * MINUTE), makeNote("revived", MINUTE)];
      expect(judge({ generation: 3, revivedGeneration: 2, notes })[0]).to.include({ kind: "enqueue" });
      expect(judge({ generation: 4, revivedGeneration: 2, notes })[0]).to.include({ kind: "note-demand" });
    });

    it("does not count machines that were lost or could not be registered", () => {
      for (const kind of ["lost", "interrupted", "boot-failed", "unclaimed", "unanswered"])
        expect(judge({ generation: 2, notes: [makeNote(kind)] })[0], kind).to.include({ kind: "enqueue" });
    });
  });

  it("counts anew for one that a person took back from the dead letters", () => {
    const judge = (overrides: Parameters<typeof makeOpen>[1]) =>
      missing.judge(makeWorld({ demands: [makeOpen(HOUR, overrides)], counts: [makeCount(1, 0)] }))[0];
    const failed = Array.from({ length: 3 }, () => makeNote("boot-failed"));
    const revived = [...failed, makeNote("revived")];
    expect(judge({ notes: failed })).to.include({ kind: "fail", errorClass: "boot" });
    expect(judge({ notes: [...revived, makeNote("boot-timeout")] })).to.include({ kind: "enqueue" });
    expect(judge({ notes: [...revived, ...failed] })).to.include({ kind: "fail", errorClass: "boot" });
    const generation = 2 * MAX_GENERATIONS;
    const revivedGeneration = MAX_GENERATIONS;
    expect(judge({ generation: generation - 1, revivedGeneration })).to.include({ kind: "enqueue" });
    expect(judge({ generation, revivedGeneration })).to.include({ kind: "fail", errorClass: "generations" });
  });
});
