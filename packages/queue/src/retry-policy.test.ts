import {
  InvalidSpecError,
  LaunchSpentError,
  NoCapacityError,
  RateLimitedError,
  TransientError,
  UnauthorizedError,
} from "@grp/core";
import { expect } from "chai";
import { decide, RETRY_POLICY } from "./retry-policy.ts";

const HOUR_MS = 3_600_000;
const first = { attempt: 1, kind: "provision", ageMs: 0 } as const;
const decideFirst = (error: unknown) => decide(error, first, RETRY_POLICY);

describe("decide", () => {
  it("never tries a bad configuration or refused credentials again", () => {
    for (const error of [new InvalidSpecError("ami"), new UnauthorizedError("denied")])
      expect(decideFirst(error)).to.deep.equal({ kind: "dead", error });
  });

  it("waits longer for capacity than for a passing fault", () => {
    const capacity = decideFirst(new NoCapacityError("full"));
    const passing = decideFirst(new TransientError("503"));
    expect(capacity).to.have.property("delayMs").within(22_500, 37_500);
    expect(passing).to.have.property("delayMs").within(1_500, 2_500);
    expect(decideFirst(new LaunchSpentError("spent"))).to.have.property("kind", "retry");
  });

  it("waits most of a day for a dedicated host, ever longer, and uses no attempt; then as for other room", () => {
    const error = new NoCapacityError("scrubbed", {
      code: "UnavailableHostRequirements",
      waitsForHost: true,
    });
    const at = (ageMs: number, attempt = 1) => decide(error, { ...first, ageMs, attempt }, RETRY_POLICY);
    expect(at(0)).to.have.property("delayMs").within(300_000, 375_000);
    expect(at(HOUR_MS)).to.have.property("delayMs").within(900_000, 1_125_000);
    expect(at(19 * HOUR_MS))
      .to.have.property("delayMs")
      .within(1_800_000, 2_250_000);
    expect(at(19 * HOUR_MS, 10)).to.have.property("kind", "aside");
    expect(at(20 * HOUR_MS))
      .to.have.property("delayMs")
      .within(22_500, 37_500);
    expect(at(20 * HOUR_MS, 10)).to.deep.equal({ kind: "dead", error });
  });

  it("doubles up to the cap, with jitter", () => {
    const late = decide(new TransientError("503"), { ...first, attempt: 9 }, RETRY_POLICY);
    expect(late).to.have.property("delayMs").within(90_000, 150_000);
  });

  it("gives up after the last attempt, and on a bug earlier", () => {
    const at = (attempt: number, error: Error) => decide(error, { ...first, attempt }, RETRY_POLICY).kind;
    expect([at(9, new TransientError("x")), at(10, new TransientError("x"))]).to.deep.equal([
      "retry",
      "dead",
    ]);
    expect([at(4, new TypeError("bug")), at(5, new TypeError("bug"))]).to.deep.equal(["retry", "dead"]);
  });

  it("holds the queue for what the provider says, within a second and a quarter of an hour", () => {
    const hold = (retryAfterMs: number) => decideFirst(new RateLimitedError("slow", { retryAfterMs }));
    expect(hold(0)).to.deep.equal({ kind: "hold", pauseMs: 1_000 });
    expect(hold(5_000)).to.deep.equal({ kind: "hold", pauseMs: 5_000 });
    expect(hold(3_600_000)).to.deep.equal({ kind: "hold", pauseMs: 900_000 });
  });

  it("lays only the one aside that must wait for a limit which all share", () => {
    const aside = decideFirst(new RateLimitedError("slow", { retryAfterMs: 8_000, isShared: true }));
    expect(aside).to.have.property("kind", "aside");
    expect(aside).to.have.property("delayMs").within(8_000, 10_000);
  });

  it("keeps trying to end a machine for hours", () => {
    const late = { attempt: 119, kind: "terminate", ageMs: 0 } as const;
    expect(decide(new TransientError("x"), late, RETRY_POLICY).kind).to.equal("retry");
  });

  it("survives what is not an Error", () => {
    expect(decideFirst("text")).to.have.property("kind", "retry");
  });
});
