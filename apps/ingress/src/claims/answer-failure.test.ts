import {
  createTicketSigner,
  InvalidSpecError,
  RateLimitedError,
  TransientError,
  UnauthorizedError,
} from "@grp/core";
import { createGitHub, type GitHub } from "@grp/github";
import { createGitHubStandIn, type GitHubStandIn } from "@grp/sandbox";
import { expect } from "chai";
import type { TestIngress } from "../testing/ingress.ts";
import { AWS, claim, identityOf, launch, type TestLaunch } from "../testing/machines.ts";
import { useIngress } from "../testing/suite.ts";
import { createIdentityCheck } from "./identity.ts";
import { readIdentityCertificates } from "./identity-certificates.ts";

const MINT = "generate-jitconfig";
const TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

describe("a claim that is not granted", () => {
  const suite = useIngress();
  let github: GitHubStandIn;
  let ingress: TestIngress;
  const start = async (replaced: Partial<GitHub> = {}) => {
    const real = createGitHub({ auth: { kind: "pat", token: github.token }, baseUrl: github.url });
    const checkIdentity = createIdentityCheck(readIdentityCertificates(AWS.certificate));
    ingress = await suite.start({ github, context: { checkIdentity, github: { ...real, ...replaced } } });
    suite.hide(TOKEN);
  };
  beforeEach(async () => {
    github = await createGitHubStandIn();
  });
  afterEach(() => github.close());

  const runnerOf = async ({ runnerNames: [name = ""] }: TestLaunch) => ingress.ledger.getRunner(name);
  const notesOf = async (launched: TestLaunch) =>
    ((await runnerOf(launched))?.notes ?? []).map(({ kind, text }) => ({ kind, text }));
  const warnings = async () => (await ingress.ledger.listWarnings(Date.now())).map(({ text }) => text);

  for (const [status, look] of [
    [403, "may our credentials write self-hosted runners there?"],
    [422, "are its scope and runner group right in the catalog?"],
  ] as const)
    it(`for GitHub refuses with ${status}: one note with GitHub's words, and one warning`, async () => {
      await start();
      const launches = [await launch(ingress), await launch(ingress)];
      for (const launched of [...launches, ...launches, ...launches]) {
        github.failNext(status, MINT);
        const answer = await claim(ingress, launched);
        expect([answer.status, answer.body.error]).to.deep.equal([503, "github_refused"]);
      }
      for (const launched of launches) {
        const notes = await notesOf(launched);
        expect(notes.map(({ kind }) => kind)).to.deep.equal(["claim-refused"]);
        expect(notes[0]?.text).to.include(`GitHub answered ${status} to POST`);
        // It has only its time to boot for somebody to mend that.
        expect((await runnerOf(launched))?.comesBackAt).to.equal(undefined);
      }
      const [warning, ...others] = await warnings();
      expect(others).to.deep.equal([]);
      expect(warning).to.include("refuses to register runners of class ubuntu-arm64 for acme");
      expect(warning).to.include(String(status)).and.to.include(look);
      expect(ingress.logLines("warning.raised")).to.have.length(1);
      const [mended] = launches;
      if (mended) expect((await claim(ingress, mended)).status).to.equal(200);
    });

  it("is no warning at the first refusal, for GitHub may take that back", async () => {
    await start();
    const launched = await launch(ingress);
    github.failNext(404, MINT);
    await claim(ingress, launched);
    expect(await notesOf(launched)).to.have.length(1);
    expect((await claim(ingress, launched)).status).to.equal(200);
    expect(await warnings()).to.deep.equal([]);
  });

  for (const [what, error, waitMs] of [
    ["GitHub fails", new TransientError(`bad gateway for token ${TOKEN}`), 5_000],
    ["GitHub wants a pause", new RateLimitedError("pause", { retryAfterMs: 900_000 }), 900_000],
    ["Redis is away in the middle", new Error("Connection is closed."), 5_000],
  ] as const)
    it(`for ${what}: is noted, and its machine has all the time to boot from when it is to come again`, async () => {
      await start({ mintRegistration: () => Promise.reject(error) });
      const launched = await launch(ingress);
      const before = Date.now();
      for (let tries = 0; tries < 3; tries++) expect((await claim(ingress, launched)).status).to.equal(503);
      expect((await notesOf(launched)).map(({ kind }) => kind)).to.deep.equal(["claim-unanswered"]);
      expect((await runnerOf(launched))?.comesBackAt).to.be.within(before + waitMs, Date.now() + waitMs);
      expect(await warnings()).to.deep.equal([]);
    });

  it("is told to be in line once GitHub answers again", async () => {
    const inLine = new RateLimitedError("others go first", { code: "in_line", retryAfterMs: 60_000 });
    const errors = [inLine, new UnauthorizedError("no"), new InvalidSpecError("no"), inLine];
    const seen: string[] = [];
    await start({ mintRegistration: () => Promise.reject(errors.shift()) });
    const launched = await launch(ingress);
    while (errors.length > 0) {
      await claim(ingress, launched);
      seen.push((await notesOf(launched)).map(({ kind }) => kind).join());
    }
    // Alone, that is how every crowd is served, and no trouble.
    expect(seen).to.deep.equal(["", "claim-refused", "claim-refused", "claim-in-line"]);
  });

  it("in numbers for its ticket does not verify: one warning, and none for the noise of the internet", async () => {
    await start();
    const launched = await launch(ingress);
    const knock = async (ticket: string) =>
      expect((await claim(ingress, launched, { ticket })).status).to.equal(401);
    const expired = ingress.signer.sign({ ...launched.ticket, expiresAt: 1 });
    for (let times = 0; times < 5; times++) for (const noise of ["let-me-in", expired]) await knock(noise);
    const forged = createTicketSigner(["another process' secret"]).sign(launched.ticket);
    await knock(forged);
    await knock(forged);
    expect(await warnings()).to.deep.equal([]);
    for (let times = 0; times < 5; times++) await knock(forged);
    await ingress.logged("warning.raised");
    expect(await warnings()).to.have.length(1);
    expect((await warnings())[0]).to.include("the same TICKET_SECRET");
    expect(await notesOf(launched)).to.deep.equal([]);
  });

  it("for its identity is no good: noted with its runner, and a warning for many", async () => {
    await start();
    const launches = [await launch(ingress), await launch(ingress), await launch(ingress)];
    for (const launched of launches) {
      const [instance] = launched.instances;
      const body = instance && identityOf(instance, { region: "eu-west-1" });
      expect((await claim(ingress, launched, { body: body ?? {} })).status).to.equal(401);
      expect(await notesOf(launched)).to.deep.equal([{ kind: "claim-refused", text: "identity_mismatch" }]);
    }
    await ingress.logged("warning.raised");
    expect((await warnings())[0]).to.include("identity documents don't fit their launches");
  });

  it("for the worker's clock is ahead: said in its note and its log line, and a warning for many", async () => {
    await start();
    const AHEAD_MS = 400_000;
    for (let times = 0; times < 3; times++) {
      const launched = await launch(ingress);
      const [instance] = launched.instances;
      const launchedAt = Date.now() - AHEAD_MS;
      const body = instance && identityOf({ ...instance, launchedAt });
      expect((await claim(ingress, launched, { body: body ?? {} })).body.error).to.equal(
        "identity_too_early",
      );
      const [note] = await notesOf(launched);
      expect(note?.text).to.match(/EC2 began it 40\d s before its launch was opened by the worker's clock/);
      expect((await ingress.logged("runner.claimed")).detail).to.include("the worker's clock");
    }
    await ingress.logged("warning.raised");
    expect((await warnings())[0]).to.include("is a worker's clock ahead?");
  });

  it("puts nothing into the notes of a runner that has its registration", async () => {
    await start();
    const launched = await launch(ingress);
    expect((await claim(ingress, launched)).status).to.equal(200);
    const [instance] = launched.instances;
    const body = instance && identityOf(instance, { region: "eu-west-1" });
    expect((await claim(ingress, launched, { body: body ?? {} })).status).to.equal(401);
    expect(await notesOf(launched)).to.deep.equal([]);
  });
});
