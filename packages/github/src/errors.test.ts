import { InvalidSpecError, ProvisionError, TransientError, UnauthorizedError } from "@grp/core";
import { expect } from "chai";
import { rateLimitWaitMs, redact, toGitHubError } from "./errors.ts";

const NOW = Date.UTC(2026, 0, 1);

function refusal(status: number): Error {
  const request = { method: "GET", url: "https://api.github.com/repos/acme/app?x=1", headers: {} };
  return Object.assign(new Error("Nope ghs_123456_abcdefghij"), { status, request });
}

describe("toGitHubError", () => {
  const table = [
    [400, InvalidSpecError],
    [401, UnauthorizedError],
    [403, UnauthorizedError],
    [404, InvalidSpecError],
    [408, TransientError],
    [409, TransientError],
    [410, InvalidSpecError],
    [415, InvalidSpecError],
    [422, InvalidSpecError],
    [423, TransientError],
    [451, UnauthorizedError],
    [500, TransientError],
    [502, TransientError],
    [503, TransientError],
    [504, TransientError],
  ] as const;
  for (const [status, expected] of table) {
    it(`sorts ${status} as ${expected.name}`, () => {
      const error = toGitHubError(refusal(status));
      expect(error).to.be.instanceOf(expected);
      expect((error as ProvisionError).code).to.equal(String(status));
    });
  }

  it("says which request failed, and carries no token, header or query", () => {
    const error = toGitHubError(refusal(404));
    expect(error.message).to.equal("GitHub answered 404 to GET /repos/acme/app: Nope ghs_[redacted]");
    expect(error).not.to.have.property("request");
    expect(error.cause).to.equal(undefined);
  });

  it("leaves a bug as it is", () => {
    const bug = new RangeError("oops");
    expect(toGitHubError(bug)).to.equal(bug);
    expect(bug).not.to.be.instanceOf(ProvisionError);
  });
});

describe("rateLimitWaitMs", () => {
  const wait = (status: number, headers: Record<string, string>, body = "", refusals = 0) =>
    rateLimitWaitMs({ status, headers: new Headers(headers), body }, NOW, refusals);

  it("takes GitHub's retry-after, in seconds or as a date", () => {
    expect(wait(429, { "retry-after": "17" })).to.equal(17_000);
    expect(wait(403, { "retry-after": new Date(NOW + 5_000).toUTCString() })).to.equal(5_000);
  });

  it("waits for the reset when nothing remains", () => {
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(NOW / 1_000 + 90) };
    expect(wait(403, headers)).to.equal(90_000);
  });

  it("waits a minute for a secondary limit that names no time, and longer each time", () => {
    const body = '{"message":"You have exceeded a secondary rate limit."}';
    expect([0, 1, 2, 9].map((refusals) => wait(403, {}, body, refusals))).to.deep.equal([
      60_000, 120_000, 240_000, 900_000,
    ]);
    expect(wait(429, {})).to.equal(60_000);
  });

  it("takes a missing permission for what it is", () => {
    expect(wait(403, {}, '{"message":"Resource not accessible by integration"}')).to.equal(undefined);
    expect(wait(500, { "retry-after": "1" })).to.equal(undefined);
  });
});

describe("redact", () => {
  it("knows tokens by their prefixes, of any length", () => {
    const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2ln";
    const texts = [
      "ghp_abc",
      "ghs_99_eyJ.x-y.z",
      "github_pat_11AA_b",
      jwt,
      "Authorization: bearer 0123456789abcdef01",
    ];
    const redacted = texts.map(redact).join(" ");
    for (const secret of ["abc", "x-y", "11AA", "c2ln", "0123456789"])
      expect(redacted).not.to.contain(secret);
  });
});
