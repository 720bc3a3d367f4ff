import { expect } from "chai";
import { HOUR, MINUTE, makeOpen, makeWorld } from "../../testing/world.ts";
import { neverEnqueued } from "./never-enqueued.ts";

describe("rule never-enqueued", () => {
  it("enqueues a demand that was written down and never reached its queue, as the same generation", () => {
    const demand = makeOpen(HOUR, { isEnqueued: false });
    const [deed] = neverEnqueued.judge(makeWorld({ demands: [demand] }));
    expect(deed).to.deep.include({ kind: "enqueue", provider: "ec2", demand: demand.record.demand });
  });

  it("leaves alone what is enqueued, and what is under way or was received just now", () => {
    const demands = [
      makeOpen(HOUR),
      makeOpen(HOUR, { isEnqueued: false, isUnderWay: true }),
      makeOpen(MINUTE, { isEnqueued: false }),
    ];
    expect(neverEnqueued.judge(makeWorld({ demands }))).to.deep.equal([]);
  });

  it("makes a dead letter of one whose class left the catalog, and begins at the first where only its offering did", () => {
    const judge = (demand: NonNullable<Parameters<typeof makeOpen>[1]>["demand"] = {}) =>
      neverEnqueued.judge(makeWorld({ demands: [makeOpen(HOUR, { isEnqueued: false, demand })] }))[0];
    expect(judge({ runnerClass: "gone" })).to.include({ kind: "fail", errorClass: "invalid-spec" });
    expect(judge({ offeringIndex: 7 })).to.nested.include({ kind: "enqueue", "demand.offeringIndex": 0 });
  });
});
