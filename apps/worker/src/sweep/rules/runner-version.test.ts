import { expect } from "chai";
import { HOUR, makeRunner, makeWorld, NAME, register } from "../../testing/world.ts";
import type { KnownVersions } from "../world.ts";
import { runnerVersion } from "./runner-version.ts";

const DAY = 24 * HOUR;

describe("rule runner-version", () => {
  const { now } = makeWorld();
  const versions = (newerForMs: number, more: Partial<KnownVersions> = {}): KnownVersions => ({
    newest: "2.337.0",
    releases: [
      { version: "2.336.0", seenAt: now - 80 * DAY },
      { version: "2.337.0", seenAt: now - newerForMs },
    ],
    ...more,
  });
  const judge = (version: string, known: KnownVersions, name = NAME) => {
    const world = makeWorld({
      runners: [makeRunner("online", HOUR)],
      registered: register({ name, version }),
      versions: known,
    });
    return runnerVersion.judge(world).map((deed) => (deed.kind === "warn" ? deed.text : deed.kind));
  };

  it("is content with the newest, and with one before it that is not yet near its end", () => {
    expect(judge("2.337.0", versions(80 * DAY))).to.deep.equal([]);
    expect(judge("2.336.0", versions(22 * DAY))).to.deep.equal([]);
    expect(judge("2.338.0", versions(80 * DAY))).to.deep.equal([]);
  });

  it("warns a week ahead, with the day", () => {
    const day = new Date(now + 6 * DAY).toISOString().slice(0, 10);
    const [text = ""] = judge("2.336.0", versions(24 * DAY));
    expect(text).to.contain(
      `class linux runs runner program 2.336.0, which GitHub gives no workflow job to after ${day}`,
    );
    expect(text).to.contain("GitHub gives out 2.337.0");
  });

  it("counts from the first release that is newer, not from the newest", () => {
    expect(judge("2.335.0", versions(DAY))[0]).to.contain("2.335.0, which is too old for GitHub to give it");
    expect(judge("2.9.0", versions(DAY))[0]).to.contain("2.9.0, which is too old");
  });

  it("warns at once of one two releases behind, when nobody knows since when it is", () => {
    const firstSeen = versions(0, { releases: [{ version: "2.337.0", seenAt: now }] });
    for (const version of ["2.335.9", "2.329.0", "1.400.0"])
      expect(judge(version, firstSeen)[0], version).to.contain(
        `${version}, which is 2 releases or more behind`,
      );
    for (const version of ["2.336.0", "2.337.0", "2.338.0"])
      expect(judge(version, firstSeen), version).to.deep.equal([]);
  });

  it("goes by the days where those are known, however many came out", () => {
    const seen = ["2.335.0", "2.336.0", "2.337.0"].map((version, index) => ({
      version,
      seenAt: now - (10 - index) * DAY,
    }));
    expect(judge("2.335.0", versions(0, { releases: seen }))).to.deep.equal([]);
  });

  it("tells one that can't even register, where the server has such a limit", () => {
    const known = versions(DAY, { releases: [{ version: "2.337.0", seenAt: now - DAY }] });
    expect(judge("2.328.9", { ...known, least: "2.329.0" })[0]).to.contain("to register (at least 2.329.0)");
    expect(judge("2.328.9", known)[0]).not.to.contain("to register");
  });

  it("warns once of many of the same, and never of a stranger's runner", () => {
    const registered = register(
      { version: "2.300.0" },
      { name: NAME.replace(/0$/, "1"), version: "2.300.0" },
    );
    const runners = [
      makeRunner("online", HOUR),
      makeRunner("online", HOUR, { runnerName: NAME.replace(/0$/, "1") }),
    ];
    const world = makeWorld({ runners, registered, versions: versions(40 * DAY) });
    expect(runnerVersion.judge(world)).to.have.length(1);
    expect(judge("2.300.0", versions(40 * DAY), "their-runner")).to.deep.equal([]);
  });

  it("judges nothing while GitHub could not be asked", () => {
    const registered = register({ version: "2.300.0" });
    expect(runnerVersion.judge(makeWorld({ registered }))).to.deep.equal([]);
  });
});
