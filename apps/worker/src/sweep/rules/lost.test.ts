import { expect } from "chai";
import { HOUR, MINUTE, makeInstance, makeNote, makeRunner, makeWorld } from "../../testing/world.ts";
import { lost } from "./lost.ts";

describe("rule lost", () => {
  const noted = (agoMs: number) => [makeRunner("booted", HOUR, { notes: [makeNote("unlisted", agoMs)] })];

  it("notes the first time that the provider does not list a machine, and believes it a grace time later", () => {
    expect(lost.judge(makeWorld({ runners: [makeRunner("booted", HOUR)] }))).to.have.nested.property(
      "[0].kind",
      "note",
    );
    expect(lost.judge(makeWorld({ runners: noted(MINUTE) }))).to.deep.equal([]);
    expect(lost.judge(makeWorld({ runners: noted(3 * MINUTE) }))).to.have.nested.property(
      "[0].reason",
      "lost",
    );
  });

  it("notes it anew when its provider has listed it since it was noted, hours ago", () => {
    const deeds = lost.judge(makeWorld({ runners: noted(4 * HOUR) }));
    expect(deeds).to.have.nested.property("[0].kind", "note");
    const again = [...noted(4 * HOUR), ...noted(3 * MINUTE)].flatMap(({ notes }) => notes);
    const runners = [makeRunner("booted", HOUR, { notes: again })];
    expect(lost.judge(makeWorld({ runners }))).to.have.nested.property("[0].reason", "lost");
  });

  it("believes it of one that claimed and whose launch was never answered", () => {
    const notes = [makeNote("unlisted", 3 * MINUTE)];
    const runners = [makeRunner("launching", HOUR, { notes, instanceId: "build-1" })];
    expect(lost.judge(makeWorld({ runners }))).to.have.nested.property("[0].reason", "lost");
  });

  it("passes over those alone whose region could not be asked, or is not known while some could not", () => {
    const at = (region: string) => ({ instance: { ...makeInstance(HOUR), region } });
    const notes = [makeNote("unlisted", 3 * MINUTE)];
    const judge = (runner: ReturnType<typeof makeRunner>) =>
      lost.judge(makeWorld({ runners: [runner], unasked: new Map([["ec2", ["eu-west-1"]]]) }));
    expect(judge(makeRunner("booted", HOUR, { notes, ...at("eu-west-1") }))).to.deep.equal([]);
    expect(judge(makeRunner("booted", HOUR, { notes }))).to.deep.equal([]);
    expect(judge(makeRunner("booted", HOUR, { notes, ...at("us-east-1") }))).to.have.nested.property(
      "[0].reason",
      "lost",
    );
  });

  it("judges nothing that is listed, young, or whose provider could not be asked", () => {
    const runners = noted(HOUR);
    expect(
      lost.judge(makeWorld({ runners, instances: new Map([["ec2", [makeInstance(HOUR)]]]) })),
    ).to.deep.equal([]);
    expect(lost.judge(makeWorld({ runners, instances: new Map() }))).to.deep.equal([]);
    expect(lost.judge(makeWorld({ runners: [makeRunner("launched", MINUTE)] }))).to.deep.equal([]);
  });
});
