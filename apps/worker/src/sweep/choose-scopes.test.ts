import { type Scope, scopeKey } from "@grp/core";
import type { RunnerStep } from "@grp/ledger";
import { expect } from "chai";
import { makeOpen, makeRunner } from "../testing/world.ts";
import { chooseScopes, isQuietDue, listQuiet, NOTHING_ASKED, noteAsked, noteNew } from "./choose-scopes.ts";

const INTERVAL_MS = 30_000;

describe("choosing the scopes of a round", () => {
  let now: number;
  let memory: typeof NOTHING_ASKED;
  beforeEach(() => {
    now = 1_800_000_000_000;
    memory = NOTHING_ASKED;
  });

  const scopeOf = (repository: string): Scope => ({ kind: "repository", owner: "acme", repository });
  const runnersOf = (step: RunnerStep, count: number) =>
    Array.from({ length: count }, (_, at) => makeRunner(step, 60_000, { scope: scopeOf(`${step}-${at}`) }));
  /** A round, and what it asked; `runners`: how many each list has. */
  const ask = (runners: ReturnType<typeof runnersOf>, { listed = 1, isHeard = true } = {}) => {
    const times = { now, intervalMs: INTERVAL_MS };
    memory = noteNew(memory, runners, times);
    const keys = chooseScopes(memory, runners, times).map(scopeKey);
    memory = noteAsked(memory, isHeard ? keys.map((key) => ({ key, runners: listed })) : [], now);
    now += INTERVAL_MS;
    return keys.map((key) => key.replace("repo:acme/", ""));
  };
  const askFor = (rounds: number, ...args: Parameters<typeof ask>) =>
    Array.from({ length: rounds }, () => ask(...args));

  it("asks of idle runners in every round, of those that only run workflow jobs every five minutes", () => {
    const runners = [...runnersOf("online", 1), ...runnersOf("busy", 1), ...runnersOf("launched", 1)];
    const rounds = askFor(20, runners);
    expect(rounds.filter((round) => round.includes("online-0"))).to.have.length(20);
    expect(rounds.flatMap((round, at) => (round.includes("busy-0") ? [at] : []))).to.deep.equal([0, 9, 18]);
    expect(rounds.flat()).to.not.include("launched-0");
  });

  it("takes turns when there are too many, and forgets nobody", () => {
    const runners = [...runnersOf("claimed", 40), ...runnersOf("busy", 40)];
    const rounds = askFor(40, runners);
    expect(Math.max(...rounds.map((round) => round.length))).to.equal(15);
    expect(new Set(rounds.flat()).size).to.equal(80);
    const ofIdle = rounds.flat().filter((key) => key.startsWith("claimed"));
    expect(ofIdle.length).to.be.greaterThan(rounds.flat().length / 2);
  });

  it("counts a request for each hundred runners, and makes the largest scope wait for its turn", () => {
    const rounds = askFor(40, runnersOf("online", 3), { listed: 3_000 });
    // Thirty requests each, fifteen a round; three at first, for nobody knew.
    expect(rounds.flat().length * 30).to.be.at.most(40 * 15 + 3 * 30);
    expect(new Set(rounds.flat()).size).to.equal(3);
  });

  it("begins with those that were put off", () => {
    const runners = runnersOf("online", 20);
    const [first] = askFor(1, runners);
    const left = runners.map(({ scope }) => scopeKey(scope).replace("repo:acme/", "")).slice(15);
    expect(first).to.have.length(15);
    ask(runners, { isHeard: false });
    expect(ask(runners)).to.include.members(left);
  });

  it("asks where nothing of ours runs once each time it is listed, every ten minutes", () => {
    const recent = [makeOpen(0, { demand: { scope: scopeOf("quiet") } }).record];
    let asked = 0;
    for (let round = 0; round < 60; round++) {
      if (isQuietDue(memory, { now, intervalMs: INTERVAL_MS })) memory = listQuiet(memory, recent, now);
      asked += ask([]).length;
    }
    expect(asked).to.equal(3);
  });
});
