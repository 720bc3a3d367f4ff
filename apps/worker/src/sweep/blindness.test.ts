import { expect } from "chai";
import { type Harness, startHarness } from "../testing/harness.ts";
import { MINUTE } from "../testing/world.ts";
import { type Sight, warnOfBlindness } from "./blindness.ts";

describe("warnOfBlindness", () => {
  let server: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  let marks: number[];
  before(async () => {
    server = await startHarness();
  });
  after(() => server.stop());
  beforeEach(async () => {
    harness = await server.create();
    marks = [];
  });

  /** A round that has just ended, its time included. */
  const round = async (places: readonly string[], more: Partial<Sight> = {}) => {
    const ledger: Harness["ledger"] = {
      ...harness.ledger,
      setMark: async (name, value, ttlMs) => {
        marks.push(ttlMs);
        await harness.ledger.setMark(name, value, ttlMs);
      },
    };
    const sight = { seen: [], durationMs: 0, intervalMs: MINUTE / 2, ...more };
    harness.clock.now += sight.durationMs + sight.intervalMs;
    const blind = places.map((place) => ({ place, error: new Error("down") }));
    await warnOfBlindness(harness.with({ ledger }), { ...sight, blind });
  };
  const warned = async () =>
    (await harness.ledger.listWarnings(harness.clock.now)).map(({ text }) => text.split(",")[0]);

  it("warns although each round takes eleven minutes, for what it notes outlives several of them", async () => {
    for (let at = 0; at < 3; at++) await round(["provider ec2"], { durationMs: 11 * MINUTE });
    expect(await warned()).to.deep.equal(["the sweep can't ask provider ec2"]);
    expect(Math.min(...marks)).to.be.at.least(3 * 11 * MINUTE);
    harness.clock.now += 11 * MINUTE;
    expect(await warned()).to.have.length(1);
  });

  it("counts on where a place was not asked in between, and begins anew where it answered", async () => {
    for (const places of [["GitHub a"], [], ["GitHub a"], []]) await round(places);
    expect(await warned()).to.deep.equal([]);
    await round(["GitHub a"]);
    expect(await warned()).to.deep.equal(["the sweep can't ask GitHub a"]);
    await round([], { seen: ["GitHub a"] });
    harness.clock.now += 10 * MINUTE;
    for (let at = 0; at < 2; at++) await round(["GitHub a"]);
    expect(await warned()).to.deep.equal([]);
  });

  it("is one warning for GitHub, however many of its places there are", async () => {
    const places = Array.from({ length: 30 }, (_, at) => `GitHub repo:acme/r${at}`);
    for (let at = 0; at < 3; at++) await round(places);
    expect(await warned()).to.deep.equal(["the sweep can't ask GitHub in many places"]);
  });
});
