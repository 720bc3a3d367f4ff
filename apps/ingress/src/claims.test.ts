import { createTicketSigner, type Instance, type Ticket } from "@grp/core";
import { createGitHubStandIn, type GitHubStandIn } from "@grp/sandbox";
import { expect } from "chai";
import { createSelfSigned } from "../../../packages/sandbox/src/machines/certificate.ts";
import { createIdentityCheck } from "./claims/identity.ts";
import { readIdentityCertificates } from "./claims/identity-certificates.ts";
import { AWS_SIGNED } from "./testing/aws-signed.ts";
import { CATALOG } from "./testing/catalog.ts";
import { type IngressOptions, type TestAnswer, type TestIngress, TICKET_SECRETS } from "./testing/ingress.ts";
import { AWS, claim, identityOf, launch, report, type TestLaunch } from "./testing/machines.ts";
import { useIngress } from "./testing/suite.ts";

const MINT = "generate-jitconfig";
const STRANGER = createSelfSigned("a stranger", Date.now());
const A_STRANGERS_MACHINE = { instanceId: "i-0123456789abcdef0", launchedAt: Date.now() };

describe("POST /claims", () => {
  const suite = useIngress();
  let github: GitHubStandIn;
  let ingress: TestIngress;
  before(async () => {
    github = await createGitHubStandIn();
  });
  after(() => github.close());
  beforeEach(async () => {
    github.calls.length = 0;
    suite.hide(github.token);
    ingress = await start();
  });
  afterEach(() => expect(github.violations).to.deep.equal([]));

  /** A GitHub client remembers a rate limit, so each ingress has its own. */
  function start(context: IngressOptions["context"] = {}): Promise<TestIngress> {
    const checkIdentity = createIdentityCheck(readIdentityCertificates(AWS.certificate));
    return suite.start({ github, context: { checkIdentity, ...context } });
  }

  const mints = () => github.calls.filter(({ route }) => route.includes(MINT)).length;
  const onGitHub = (launched: TestLaunch) =>
    github.runners().filter(({ name }) => launched.runnerNames.includes(name));
  const stepOf = async ({ runnerNames: [name = ""] }: TestLaunch) =>
    (await ingress.ledger.getRunner(name))?.step;

  /** An answer that refuses says one word, and no secret. */
  function expectRefused(answer: TestAnswer, status: number, error: string): void {
    expect({ status: answer.status, ...answer.body }).to.include({ status, error });
    expect(Object.keys(answer.body)).to.have.members(
      answer.body.detail === undefined ? ["error"] : ["error", "detail"],
    );
    expect(answer.headers.get("retry-after") !== null).to.equal(status === 503);
  }

  function take(answer: TestAnswer): { jitConfig: string; reportTicket: string } {
    expect(answer.status, answer.status === 200 ? "" : answer.text).to.equal(200);
    const { jitConfig, reportTicket } = answer.body as { jitConfig: string; reportTicket: string };
    suite.hide(jitConfig, reportTicket);
    return { jitConfig, reportTicket };
  }

  describe("grants", () => {
    it("a registration minted now, to a machine of the launch", async () => {
      const launched = await launch(ingress);
      const ticket = ingress.signer.sign(launched.ticket);
      const { identitySignature } = identityOf(launched.instances[0] as Instance);
      suite.hide(ticket, identitySignature);
      const answer = await claim(ingress, launched, { ticket, body: { identitySignature } });
      const { jitConfig, reportTicket } = take(answer);
      const [registered] = onGitHub(launched);
      expect(registered).to.include({ name: launched.runnerNames[0], status: "offline" });
      expect(registered?.labels).to.deep.equal(CATALOG.classes[0]?.labels);
      expect(Buffer.from(jitConfig, "base64").toString()).to.include(".runner");
      expect(answer.body).to.include({ runnerName: launched.runnerNames[0], runnerVersion: "2.337.0" });
      expect(answer.body.runnerSha256).to.match(/^[0-9a-f]{64}$/);
      expect(answer.body.runnerUrl).to.match(/^http.*linux-arm64/);
      const bound = ingress.signer.verify(reportTicket, Date.now());
      expect(bound).to.nested.include({ ok: true, "ticket.instanceId": launched.instances[0]?.instanceId });
      expect(await ingress.ledger.getRunner(launched.runnerNames[0] ?? "")).to.include({
        step: "claimed",
        runnerId: registered?.id,
      });
      const logged = await ingress.logged("runner.claimed");
      expect(logged).to.include({ level: "info", outcome: "granted", launchId: launched.launchId });
      expect(logged.sinceQueuedMs).to.be.within(1_000, 60_000);
    });

    it("plain text to a boot script that asks for it", async () => {
      const launched = await launch(ingress);
      const answer = await claim(ingress, launched, { accept: "text/plain" });
      expect(answer.status).to.equal(200);
      const lines = answer.text.split("\n").filter(Boolean);
      const values = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s, 2)));
      suite.hide(values.jit_config ?? "missing", values.report_ticket ?? "missing");
      expect(Object.keys(values)).to.have.members([
        ...["runner_name", "jit_config", "report_ticket"],
        ...["runner_url", "runner_sha256", "runner_version", "runner_filename"],
      ]);
      expect(values.runner_name).to.equal(launched.runnerNames[0]);
    });

    it("each machine of a launch its own, all of them at once", async () => {
      const launched = await launch(ingress, { size: 5 });
      const answers = await Promise.all(
        launched.instances.map((instance) => claim(ingress, launched, { instance })),
      );
      answers.forEach(take);
      const names = answers.map(({ body }) => body.runnerName);
      expect(names).to.have.members([...launched.runnerNames]);
      expect(onGitHub(launched)).to.have.length(5);
    });

    it("a CodeMagic build, which has no identity document", async () => {
      const launched = await launch(ingress, { provider: "codemagic" });
      const answer = await claim(ingress, launched);
      take(answer);
      expect(answer.body.runnerUrl).to.match(/osx-arm64/);
    });

    it("an organization's runner", async () => {
      const scope = { kind: "organization", owner: "acme", runnerGroup: "Default" } as const;
      const launched = await launch(ingress, { runnerClass: "organization", scope });
      take(await claim(ingress, launched));
      expect(github.runners().find(({ name }) => name === launched.runnerNames[0])?.scope.kind).to.equal(
        "organization",
      );
    });

    it("a ticket signed with the previous secret", async () => {
      const launched = await launch(ingress);
      const ticket = createTicketSigner([TICKET_SECRETS[1]]).sign(launched.ticket);
      take(await claim(ingress, launched, { ticket }));
    });

    it("the same machine again a fresh one, and takes the old runner off GitHub", async () => {
      const launched = await launch(ingress);
      const first = take(await claim(ingress, launched));
      const [before] = onGitHub(launched);
      const second = take(await claim(ingress, launched));
      expect(second.jitConfig).not.to.equal(first.jitConfig);
      const registered = onGitHub(launched);
      expect(registered).to.have.length(1);
      expect(registered[0]?.id).not.to.equal(before?.id);
      const runner = await ingress.ledger.getRunner(launched.runnerNames[0] ?? "");
      expect(runner?.runnerId).to.equal(registered[0]?.id);
    });

    it("once GitHub's answer to the mint was lost, with one runner on its list", async () => {
      const launched = await launch(ingress);
      github.loseNextResponse(MINT);
      expectRefused(await claim(ingress, launched), 503, "github_unavailable");
      take(await claim(ingress, launched));
      expect(onGitHub(launched)).to.have.length(1);
    });
  });

  describe("refuses with 401", () => {
    const forge = (change: (ticket: Ticket) => Ticket, secret = "a stranger's secret") => {
      return (launched: TestLaunch) => createTicketSigner([secret]).sign(change(launched.ticket));
    };
    const same = (ticket: Ticket) => ticket;
    const TICKETS: readonly [string, string, (launched: TestLaunch) => string | null][] = [
      ["no ticket", "ticket_malformed", () => null],
      ["an empty one", "ticket_malformed", () => ""],
      ["no ticket at all, but text", "ticket_malformed", () => "let-me-in"],
      ["a JWT", "ticket_malformed", () => "eyJhbGciOiJub25lIn0.e30."],
      ["one of a stranger's making", "ticket_forged", forge(same)],
      [
        "one whose content was changed",
        "ticket_forged",
        (launched) => {
          const [prefix, , signature] = ingress.signer.sign(launched.ticket).split(".");
          const content = JSON.stringify({ ...launched.ticket, size: 99 });
          return [prefix, Buffer.from(content).toString("base64url"), signature].join(".");
        },
      ],
      [
        "one without its signature",
        "ticket_malformed",
        (launched) => ingress.signer.sign(launched.ticket).split(".").slice(0, 2).join("."),
      ],
      [
        "an expired one",
        "ticket_expired",
        forge((ticket) => ({ ...ticket, expiresAt: Date.now() - 1 }), TICKET_SECRETS[0]),
      ],
    ];
    for (const [what, error, make] of TICKETS) {
      it(`${what}: ${error}`, async () => {
        const launched = await launch(ingress);
        expectRefused(await claim(ingress, launched, { ticket: make(launched) }), 401, error);
        expect([mints(), await stepOf(launched)]).to.deep.equal([0, "launched"]);
        expect(await ingress.logged("runner.claimed")).to.include({ status: 401, outcome: error });
      });
    }
  });

  describe("refuses with 401 a machine that shows", () => {
    const pending = (ms: number) => ({ launchedAt: Date.now() + ms });
    const IDENTITIES: readonly [string, string, (instance: Instance, other: Instance) => object][] = [
      [
        "no identity document",
        "identity_missing",
        () => ({ identityDocument: undefined, identitySignature: undefined }),
      ],
      ["an unsigned one", "identity_missing", () => ({ identitySignature: undefined })],
      [
        "a document in the place of its signature",
        "identity_invalid",
        (instance) => ({ identitySignature: Buffer.from(JSON.stringify(instance)).toString("base64") }),
      ],
      ["garbage in the place of its signature", "identity_invalid", () => ({ identitySignature: "MIAG!" })],
      [
        "one that a stranger signed",
        "identity_invalid",
        (instance) => identityOf(instance, { signer: STRANGER }),
      ],
      ["another machine's", "identity_mismatch", () => identityOf({ ...A_STRANGERS_MACHINE })],
      ["that of another machine of its launch", "identity_mismatch", (_instance, other) => identityOf(other)],
      [
        "another machine's signature under its own document",
        "identity_mismatch",
        (instance, other) => ({
          ...identityOf(instance),
          identitySignature: identityOf(other).identitySignature,
        }),
      ],
      [
        "one of another region",
        "identity_mismatch",
        (instance) => identityOf(instance, { region: "eu-west-1" }),
      ],
      [
        "one of another account",
        "identity_mismatch",
        (instance) => identityOf(instance, { accountId: "999999999999" }),
      ],
      [
        "one from long before the launch",
        "identity_too_early",
        (instance) => identityOf(instance, pending(-3_600_000)),
      ],
    ];
    for (const [what, error, make] of IDENTITIES) {
      it(`${what}: ${error}`, async () => {
        const launched = await launch(ingress, { size: 2 });
        const [instance, other] = launched.instances as readonly [Instance, Instance];
        expectRefused(await claim(ingress, launched, { body: make(instance, other) }), 401, error);
        expect([mints(), await stepOf(launched)]).to.deep.equal([0, "launched"]);
        // The machine itself is no worse off.
        take(await claim(ingress, launched));
      });
    }

    it("a real one of AWS's, but not of this launch: identity_mismatch", async () => {
      const launched = await launch(ingress);
      const identitySignature = AWS_SIGNED.signature.replaceAll("\n", "");
      expectRefused(
        await claim(ingress, launched, { body: { identitySignature } }),
        401,
        "identity_mismatch",
      );
    });
  });

  describe("refuses with 400", () => {
    const BODIES: readonly [string, object | string][] = [
      ["no JSON", "instanceId=i-1"],
      ["an empty body", ""],
      ["no instance id", { instanceId: undefined }],
      ["an instance id with strange signs", { instanceId: "{grp}:x" }],
      ["an unknown system", { os: "windows" }],
      ["an unknown architecture", { arch: "riscv" }],
      ["an endless document", { identityDocument: "x".repeat(9_000) }],
    ];
    for (const [what, body] of BODIES) {
      it(what, async () => {
        expectRefused(await claim(ingress, await launch(ingress), { body }), 400, "malformed");
        expect(mints()).to.equal(0);
      });
    }
  });

  it("refuses with 413 what is larger than any claim", async () => {
    const answer = await claim(ingress, await launch(ingress), { body: { more: "x".repeat(70_000) } });
    expect(answer.status).to.equal(413);
  });

  describe("refuses with 409", () => {
    it("a second build with a ticket for one: already_claimed, and counts it", async () => {
      const launched = await launch(ingress, { provider: "codemagic" });
      take(await claim(ingress, launched));
      const instance = { instanceId: "another-build", launchedAt: Date.now() };
      expectRefused(await claim(ingress, launched, { instance }), 409, "already_claimed");
      expect(onGitHub(launched)).to.have.length(1);
      expect((await ingress.ledger.getLaunch(launched.launchId))?.refusedClaims).to.equal(1);
    });

    it("two builds at once: one of them", async () => {
      const launched = await launch(ingress, { provider: "codemagic", isAnswered: false });
      const builds = ["build-1", "build-2"].map((instanceId) => ({ instanceId, launchedAt: Date.now() }));
      const answers = await Promise.all(builds.map((instance) => claim(ingress, launched, { instance })));
      expect(answers.map(({ status }) => status).sort()).to.deep.equal([200, 409]);
      take(answers.find(({ status }) => status === 200) as TestAnswer);
      expect(onGitHub(launched)).to.have.length(1);
    });

    it("a machine whose runner is online already: its job must not get another", async () => {
      const launched = await launch(ingress);
      take(await claim(ingress, launched));
      await ingress.ledger.recordStep(launched.runnerNames[0] ?? "", "online", Date.now());
      expectRefused(await claim(ingress, launched), 409, "already_claimed");
      expect(mints()).to.equal(1);
    });

    it("a machine whose runner runs a job, as GitHub alone knows", async () => {
      const launched = await launch(ingress);
      take(await claim(ingress, launched));
      const [registered] = onGitHub(launched);
      Object.assign(registered as object, { busy: true });
      expectRefused(await claim(ingress, launched), 409, "already_claimed");
      expect(onGitHub(launched).map(({ id }) => id)).to.deep.equal([registered?.id]);
    });
  });

  describe("refuses with 410, and sees that the machine ends", () => {
    const expectEnding = async (instanceId: string) => {
      expect(await ingress.delayed("ec2")).to.equal(1);
      expect(await suite.client.keys("*end-grp-*")).to.have.length(1);
      expect(instanceId).to.match(/^i-/);
    };

    it("a runner that nobody wants any more: not_wanted", async () => {
      const launched = await launch(ingress);
      const { workflowJobId } = launched.demands[0] as { workflowJobId: number };
      await ingress.ledger.recordCompleted({ workflowJobId, at: Date.now(), conclusion: "cancelled" });
      expectRefused(await claim(ingress, launched), 410, "not_wanted");
      expect([mints(), await stepOf(launched)]).to.deep.equal([0, "finished"]);
      await expectEnding(launched.instances[0]?.instanceId ?? "");
    });

    it("a class that the catalog has no more", async () => {
      const launched = await launch(ingress);
      const later = await start({ catalog: { ...CATALOG, classes: CATALOG.classes.slice(1) } });
      expectRefused(await claim(later, launched), 410, "not_wanted");
      expect(mints()).to.equal(0);
      await expectEnding(launched.instances[0]?.instanceId ?? "");
    });

    it("a ticket for another scope than the launch's", async () => {
      const launched = await launch(ingress);
      const ticket = ingress.signer.sign({ ...launched.ticket, scope: "repo:acme/other" });
      expectRefused(await claim(ingress, launched, { ticket }), 410, "not_wanted");
      expect(mints()).to.equal(0);
    });

    it("a launch that failed", async () => {
      const launched = await launch(ingress, { provider: "codemagic", isAnswered: false });
      const note = { at: Date.now(), kind: "failed", text: "" };
      await ingress.ledger.recordLaunchFailed(launched.launchId, note);
      expectRefused(await claim(ingress, launched), 410, "not_wanted");
      expect(mints()).to.equal(0);
    });
  });

  describe("refuses with 503 and Retry-After", () => {
    it("a launch that is not written down", async () => {
      const launched = await launch(ingress);
      const ticket = ingress.signer.sign({ ...launched.ticket, launchId: "l-unknown" });
      expectRefused(await claim(ingress, launched, { ticket }), 503, "launch_not_recorded");
    });

    it("a machine that its launch does not know yet, and grants it once it does", async () => {
      const launched = await launch(ingress, { isAnswered: false });
      expectRefused(await claim(ingress, launched), 503, "launch_not_recorded");
      await ingress.ledger.recordLaunched(launched.launchId, launched.instances, Date.now());
      take(await claim(ingress, launched));
    });

    it("while the same machine's claim is under way", async () => {
      const launched = await launch(ingress);
      github.delayNextResponse(1_000, MINT);
      const first = claim(ingress, launched);
      await github.until(() => github.calls.some(({ route }) => route.includes("downloads")), "downloads");
      expectRefused(await claim(ingress, launched), 503, "claim_in_progress");
      take(await first);
      expect(mints()).to.equal(1);
    });

    for (const status of [500, 502, 503, 401, 404, 422]) {
      it(`GitHub answers ${status}, and grants it when GitHub is well`, async () => {
        const launched = await launch(ingress);
        github.failNext(status, MINT);
        const answer = await claim(ingress, launched);
        expectRefused(answer, 503, status < 500 ? "github_refused" : "github_unavailable");
        expect(answer.headers.get("retry-after")).to.equal("5");
        expect(await ingress.logged("runner.claimed")).to.include({ level: "warn", code: String(status) });
        take(await claim(ingress, launched));
      });
    }

    it("GitHub out of reach", async () => {
      const away = await suite.start({
        context: { checkIdentity: createIdentityCheck(readIdentityCertificates(AWS.certificate)) },
      });
      expectRefused(await claim(away, await launch(away)), 503, "github_unavailable");
    });

    for (const kind of ["primary", "secondary"] as const) {
      it(`GitHub's ${kind} rate limit: as long as GitHub says`, async () => {
        const launched = await launch(ingress);
        github.rateLimitNext(kind, 120, MINT);
        const answer = await claim(ingress, launched);
        expectRefused(answer, 503, "github_unavailable");
        expect(Number(answer.headers.get("retry-after"))).to.be.within(115, 121);
        // Nobody asks GitHub meanwhile.
        expectRefused(await claim(ingress, launched), 503, "github_unavailable");
        expect(mints()).to.equal(1);
        const restarted = await start();
        take(await claim(restarted, launched));
      });
    }

    it("Redis gone between GitHub's answer and the ledger, and grants it afterwards, with one runner", async () => {
      const launched = await launch(ingress);
      let isAway = true;
      const finishClaim: typeof ingress.ledger.finishClaim = async (done) => {
        if (isAway) throw new Error("Connection is closed.");
        return ingress.ledger.finishClaim(done);
      };
      const flaky = await start({ ledger: { ...ingress.ledger, finishClaim } });
      expectRefused(await claim(flaky, launched), 503, "redis_unavailable");
      isAway = false;
      take(await claim(flaky, launched));
      expect(onGitHub(launched)).to.have.length(1);
    });

    it("a fault of ours: named as such and logged, and grants it once that is mended", async () => {
      const launched = await launch(ingress);
      const finishClaim = () => Promise.reject(new TypeError("secretOrPrivateKey must be an asymmetric key"));
      const faulty = await start({ ledger: { ...ingress.ledger, finishClaim } });
      expectRefused(await claim(faulty, launched), 503, "internal");
      const line = await faulty.logged("runner.claimed");
      expect(line).to.include({ level: "error", outcome: "internal" });
      expect(JSON.stringify(line)).to.include("must be an asymmetric key");
      take(await claim(ingress, launched));
    });

    it("Redis frozen, within its deadline", async () => {
      const launched = await launch(ingress);
      suite.redis.pause();
      try {
        const answer = await claim(ingress, launched);
        expectRefused(answer, 503, "redis_unavailable");
        expect(answer.ms).to.be.below(2_000);
      } finally {
        suite.redis.resume();
      }
      // A command that was given up may still have begun the claim.
      const end = Date.now() + 8_000;
      let answer = await claim(ingress, launched);
      while (answer.status === 503 && Date.now() < end) answer = await claim(ingress, launched);
      take(answer);
    });
  });

  describe("report", () => {
    it("keeps each step of a machine's way, and ends the machine after the last", async () => {
      const launched = await launch(ingress);
      const { instanceId } = launched.instances[0] as Instance;
      const ticket = ingress.signer.sign(launched.ticket);
      expect((await report(ingress, ticket, { instanceId, phase: "booted" })).status).to.equal(204);
      expect(await stepOf(launched)).to.equal("booted");
      const { reportTicket } = take(await claim(ingress, launched));
      for (const [phase, step] of [
        ["downloaded", "claimed"],
        ["online", "online"],
        ["interrupted", "online"],
      ] as const) {
        expect((await report(ingress, reportTicket, { instanceId, phase })).status).to.equal(204);
        expect(await stepOf(launched)).to.equal(step);
      }
      expect(await ingress.delayed("ec2")).to.equal(0);
      expect((await report(ingress, reportTicket, { instanceId, phase: "finished" })).status).to.equal(204);
      expect(await stepOf(launched)).to.equal("finished");
      expect(await ingress.delayed("ec2")).to.equal(1);
      const phases = ingress.logLines("runner.reported").map(({ phase }) => phase);
      expect(phases).to.deep.equal(["booted", "downloaded", "online", "interrupted", "finished"]);
      const runner = await ingress.ledger.getRunner(launched.runnerNames[0] ?? "");
      expect(runner?.notes.map(({ kind }) => kind)).to.deep.equal(["downloaded", "interrupted"]);
    });

    it("keeps why a machine failed, without the secrets in it, and ends the machine", async () => {
      const launched = await launch(ingress);
      const { instanceId } = launched.instances[0] as Instance;
      const ticket = ingress.signer.sign(launched.ticket);
      const token = `ghp_${"A".repeat(36)}`;
      suite.hide(ticket, token);
      const logTail = `curl: (22) 403\nAuthorization: Bearer ${ticket}\n${token}`;
      const body = {
        instanceId,
        phase: "failed",
        detail: `download with ${token} failed`,
        exitCode: 22,
        logTail,
      };
      expect((await report(ingress, ticket, body)).status).to.equal(204);
      const runner = await ingress.ledger.getRunner(launched.runnerNames[0] ?? "");
      expect(runner?.notes[0]).to.include({ kind: "failed", text: "download with [redacted] failed" });
      expect(await ingress.delayed("ec2")).to.equal(1);
      const logged = await ingress.logged("runner.reported");
      expect(logged).to.include({ level: "warn", exitCode: 22, instanceId });
      expect(logged.logTail).to.include("curl: (22) 403");
    });

    it("after the claim believes only the ticket handed out there, and for its machine alone", async () => {
      const launched = await launch(ingress, { size: 2 });
      const [one, other] = launched.instances as readonly [Instance, Instance];
      const { reportTicket } = take(await claim(ingress, launched, { instance: one }));
      take(await claim(ingress, launched, { instance: other }));
      const launchTicket = ingress.signer.sign(launched.ticket);
      const tries: readonly [string, string, string, string][] = [
        [launchTicket, one.instanceId, "finished", "report_ticket_required"],
        [launchTicket, one.instanceId, "failed", "report_ticket_required"],
        [reportTicket, other.instanceId, "finished", "identity_mismatch"],
        ["grp1.x.y", one.instanceId, "finished", "ticket_forged"],
      ];
      for (const [ticket, instanceId, phase, error] of tries)
        expectRefused(await report(ingress, ticket, { instanceId, phase }), 401, error);
      expect(await ingress.delayed("ec2")).to.equal(0);
      for (const name of launched.runnerNames)
        expect((await ingress.ledger.getRunner(name))?.step).to.equal("claimed");
    });

    it("ends no machine by a ticket that others have too", async () => {
      const launched = await launch(ingress, { size: 2 });
      const { instanceId } = launched.instances[1] as Instance;
      const ticket = ingress.signer.sign(launched.ticket);
      expect((await report(ingress, ticket, { instanceId, phase: "failed" })).status).to.equal(204);
      expect(await ingress.delayed("ec2")).to.equal(0);
    });

    it("believes a machine that is taken back before its claim, if nobody else has its ticket", async () => {
      for (const [size, kind] of [
        [1, "interrupted"],
        [2, "notice"],
      ] as const) {
        const launched = await launch(ingress, { size });
        const { instanceId } = launched.instances[0] as Instance;
        const ticket = ingress.signer.sign(launched.ticket);
        expect((await report(ingress, ticket, { instanceId, phase: "interrupted" })).status).to.equal(204);
        const runner = await ingress.ledger.findRunner(launched.launchId, instanceId);
        expect(runner?.notes.map((note) => note.kind)).to.deep.equal([kind]);
      }
      expect(await ingress.logged("runner.reported")).to.include({ level: "warn", phase: "interrupted" });
    });

    it("takes the idle runner of a machine that is taken away off GitHub at once, and leaves a busy one", async () => {
      for (const isBusy of [false, true]) {
        const launched = await launch(ingress);
        const { instanceId } = launched.instances[0] as Instance;
        const { reportTicket } = take(await claim(ingress, launched));
        const [registered] = onGitHub(launched);
        if (registered) registered.busy = isBusy;
        const body = { instanceId, phase: "interrupted" };
        expect((await report(ingress, reportTicket, body)).status).to.equal(204);
        expect(onGitHub(launched)).to.have.length(isBusy ? 1 : 0);
      }
      const outcomes = ingress.logLines("runner.interrupted").map(({ outcome }) => outcome);
      expect(outcomes).to.deep.equal(["deregistered", "busy"]);
    });

    it("warns once that GitHub refused a runner program, by the exit code that says so", async () => {
      for (const _machine of [1, 2]) {
        const launched = await launch(ingress);
        const { instanceId } = launched.instances[0] as Instance;
        const { reportTicket } = take(await claim(ingress, launched));
        const body = { instanceId, phase: "failed", exitCode: 7, detail: "the runner ended with 7" };
        expect((await report(ingress, reportTicket, body)).status).to.equal(204);
      }
      const warnings = await ingress.ledger.listWarnings(Date.now());
      expect(warnings.map(({ kind }) => kind)).to.deep.equal(["runner-version"]);
      expect(ingress.logLines("warning.raised")).to.have.length(1);
    });

    it("takes a report of a machine that nobody has written down yet, for the log alone", async () => {
      const launched = await launch(ingress, { isAnswered: false });
      const ticket = ingress.signer.sign(launched.ticket);
      const { instanceId } = launched.instances[0] as Instance;
      expect((await report(ingress, ticket, { instanceId, phase: "booted" })).status).to.equal(204);
      expect(await ingress.logged("runner.reported")).to.include({ phase: "booted", instanceId });
    });

    it("refuses an unknown phase and an endless log with 400, and a stranger with 401", async () => {
      const launched = await launch(ingress);
      const { instanceId } = launched.instances[0] as Instance;
      const ticket = ingress.signer.sign(launched.ticket);
      expectRefused(await report(ingress, ticket, { instanceId, phase: "gone" }), 400, "malformed");
      const logTail = "x".repeat(17_000);
      expectRefused(
        await report(ingress, ticket, { instanceId, phase: "failed", logTail }),
        400,
        "malformed",
      );
      expectRefused(await report(ingress, "x", { instanceId, phase: "booted" }), 401, "ticket_malformed");
    });

    it("answers 503 with Redis frozen", async () => {
      const launched = await launch(ingress);
      const { instanceId } = launched.instances[0] as Instance;
      const ticket = ingress.signer.sign(launched.ticket);
      suite.redis.pause();
      try {
        const answer = await report(ingress, ticket, { instanceId, phase: "booted" });
        expectRefused(answer, 503, "redis_unavailable");
      } finally {
        suite.redis.resume();
      }
    });
  });
});
