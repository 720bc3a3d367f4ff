import { type Demand, demandKey } from "@grp/core";
import { createGitHubStandIn, type GitHubStandIn } from "@grp/sandbox";
import { expect } from "chai";
import { createRunnerProgram } from "../../../../packages/sandbox/src/machines/light/runner.ts";
import type { TestAnswer, TestIngress } from "../testing/ingress.ts";
import { AWS, claim, demandOf, launch, report, SCOPE, type TestLaunch } from "../testing/machines.ts";
import { useIngress } from "../testing/suite.ts";
import { createIdentityCheck } from "./identity.ts";
import { readIdentityCertificates } from "./identity-certificates.ts";

const MINT = "generate-jitconfig";

/** What its reports and GitHub's deliveries told of a runner, as far as they came. */
type Heard = (ingress: TestIngress, launched: TestLaunch, first: TestAnswer) => Promise<unknown>;

const jobOf = ({ demands: [demand], runnerNames: [runnerName = ""] }: TestLaunch) => ({
  workflowJobId: demand?.workflowJobId ?? 0,
  runnerName,
  at: Date.now(),
});

const HEARD: readonly [string, number, Heard][] = [
  ["nothing was heard", 409, async () => undefined],
  [
    "it was heard to be online",
    409,
    (ingress, { instances: [instance] }, { body: { reportTicket } }) =>
      report(ingress, String(reportTicket), { instanceId: instance?.instanceId, phase: "online" }),
  ],
  [
    "its job was heard to begin",
    409,
    (ingress, launched) => ingress.ledger.recordInProgress(jobOf(launched)),
  ],
  [
    "its job was heard to end",
    410,
    (ingress, launched) => ingress.ledger.recordCompleted({ ...jobOf(launched), conclusion: "success" }),
  ],
];

describe("a machine that claims again", () => {
  const suite = useIngress();
  let github: GitHubStandIn;
  let ingress: TestIngress;
  let runners: AbortController;
  beforeEach(async () => {
    runners = new AbortController();
    github = await createGitHubStandIn();
    const checkIdentity = createIdentityCheck(readIdentityCertificates(AWS.certificate));
    ingress = await suite.start({ github, context: { checkIdentity } });
  });
  afterEach(() => github.close());
  afterEach(() => runners.abort());

  const claimFirst = async () => {
    const launched = await launch(ingress);
    const first = await claim(ingress, launched);
    expect(first.status).to.equal(200);
    const program = createRunnerProgram(String(first.body.jitConfig), runners.signal);
    return { launched, first, program };
  };
  const queueJob = (durationMs: number) =>
    github.queueWorkflowJob({ owner: "acme", repository: "app", labels: ["ubuntu-arm64"], durationMs });
  const takeJob = async (durationMs: number) => {
    const started = await claimFirst();
    await started.program.connect();
    queueJob(durationMs);
    await started.program.takeJob();
    return started;
  };

  it("is granted after GitHub let go of its first registration and then failed", async () => {
    const { launched } = await claimFirst();
    github.failNext(502, MINT);
    expect((await claim(ingress, launched)).status).to.equal(503);
    expect(github.runners()).to.deep.equal([]);
    expect((await claim(ingress, launched)).status).to.equal(200);
    expect(github.runners()).to.have.length(1);
  });

  it("while its runner is online, unheard: no job comes to the first any more", async () => {
    const { launched, program } = await claimFirst();
    await program.connect();
    expect((await claim(ingress, launched)).status).to.equal(200);
    expect(github.runners().map(({ status }) => status)).to.deep.equal(["offline"]);
    const job = queueJob(1);
    expect(await program.takeJob()).to.equal(null);
    expect(job.status).to.equal("queued");
  });

  it("while its runner is busy, unheard: refused, and the job goes on", async () => {
    const { launched } = await takeJob(60_000);
    expect((await claim(ingress, launched)).status).to.equal(409);
    expect(github.registrations()).to.have.length(1);
    expect(github.runners().map(({ busy }) => busy)).to.deep.equal([true]);
  });

  for (const [what, status, hear] of HEARD)
    it(`after its runner has had its job and ${what}: refused, and ended`, async () => {
      const { launched, first, program } = await takeJob(1);
      await program.runJob();
      await hear(ingress, launched, first);
      expect((await claim(ingress, launched)).status).to.equal(status);
      // Nor later, when its job's end is heard at last.
      await ingress.ledger.recordCompleted({ ...jobOf(launched), conclusion: "success" });
      expect((await claim(ingress, launched)).status).to.equal(410);
      expect(github.registrations()).to.have.length(1);
      expect(await ingress.delayed("ec2")).to.equal(1);
    });
});

describe("a machine that was started in another's place", () => {
  const suite = useIngress();
  let github: GitHubStandIn;
  let ingress: TestIngress;
  beforeEach(async () => {
    github = await createGitHubStandIn();
    const checkIdentity = createIdentityCheck(readIdentityCertificates(AWS.certificate));
    ingress = await suite.start({ github, context: { checkIdentity } });
  });
  afterEach(() => github.close());

  /** The first is gone, and of its workflow job nothing was heard since it was queued. */
  const replace = async (durationMs = 60_000) => {
    const order = { owner: "acme", repository: "app", labels: ["ubuntu-arm64"], durationMs };
    const job = github.queueWorkflowJob(order);
    const ids = { workflowJobId: job.id, key: demandKey(job.id) };
    const demand = { ...demandOf("ubuntu-arm64", SCOPE, Date.now()), ...ids };
    const first = await launch(ingress, { demand });
    const registered = await claim(ingress, first);
    return { demand, first, job, jitConfig: String(registered.body.jitConfig) };
  };
  const takeOver = async ({ demand, first }: { demand: Demand; first: TestLaunch }) => {
    await ingress.ledger.recordStep(first.runnerNames[0] ?? "", "finished", Date.now());
    return launch(ingress, { demand: { ...demand, generation: 2 } });
  };
  const claimTwice = async (launched: TestLaunch) => [
    (await claim(ingress, launched)).body.error,
    (await claim(ingress, launched)).body.error,
  ];

  for (const [state, durationMs] of [
    ["in_progress", 60_000],
    ["completed", 1],
  ] as const)
    it(`is not registered when GitHub says that the workflow job is ${state} on the first`, async () => {
      const runners = new AbortController();
      const replaced = await replace(durationMs);
      const program = createRunnerProgram(replaced.jitConfig, runners.signal);
      await program.connect();
      await program.takeJob();
      if (state === "completed") await program.runJob();
      const second = await takeOver(replaced);
      expect(await claimTwice(second)).to.deep.equal(["counted_anew", "not_wanted"]);
      expect(github.registrations()).to.have.length(1);
      expect(await ingress.ledger.getWorkflowJob(replaced.demand.key)).to.include({
        workflowJobState: state,
        servedBy: replaced.first.runnerNames[0],
      });
      runners.abort();
    });

  it("is registered when GitHub says that the workflow job waits, and not before GitHub has said so", async () => {
    const second = await takeOver(await replace());
    github.failNext(502, "actions/jobs");
    expect((await claim(ingress, second)).status).to.equal(503);
    expect(github.registrations()).to.have.length(1);
    expect((await claim(ingress, second)).status).to.equal(200);
  });

  it("is registered only once the registration of the one that was given up is off GitHub", async () => {
    const replaced = await replace();
    const second = await takeOver(replaced);
    github.failNext(502, "delete-self-hosted-runner");
    expect((await claim(ingress, second)).status).to.equal(503);
    expect(github.registrations()).to.have.length(1);
    expect((await claim(ingress, second)).status).to.equal(200);
    expect(github.runners().map(({ name }) => name)).to.deep.equal([...second.runnerNames]);
    // Whose machine is back after all is told to go.
    const program = createRunnerProgram(replaced.jitConfig, new AbortController().signal);
    expect(await program.connect()).to.equal(false);
  });

  /** Its own workflow job is known to run; of another of its pool, which the first runner took, nothing was heard. */
  const replaceOfServed = async () => {
    const runners = new AbortController();
    const replaced = await replace(1);
    const program = createRunnerProgram(replaced.jitConfig, runners.signal);
    await program.connect();
    await program.takeJob();
    await program.runJob();
    runners.abort();
    const own = { ...demandOf("ubuntu-arm64", SCOPE, Date.now()) };
    await ingress.ledger.recordQueued(own);
    await ingress.ledger.recordInProgress({ workflowJobId: own.workflowJobId, at: Date.now() });
    const second = await takeOver({ demand: own, first: replaced.first });
    return { unheard: replaced.demand, second };
  };

  it("is not registered when its own workflow job is served and the one that seems to wait has ended unheard", async () => {
    const { unheard, second } = await replaceOfServed();
    expect(await claimTwice(second)).to.deep.equal(["counted_anew", "not_wanted"]);
    expect(github.registrations()).to.have.length(1);
    expect(await ingress.ledger.getWorkflowJob(unheard.key)).to.include({ workflowJobState: "completed" });
  });

  it("is registered for another workflow job of its pool, which waits", async () => {
    const { second } = await replaceOfServed();
    const order = { owner: "acme", repository: "app", labels: ["ubuntu-arm64"], durationMs: 60_000 };
    const { id } = github.queueWorkflowJob(order);
    const ids = { workflowJobId: id, key: demandKey(id) };
    await ingress.ledger.recordQueued({ ...demandOf("ubuntu-arm64", SCOPE, Date.now()), ...ids });
    expect((await claim(ingress, second)).body.error).to.equal("counted_anew");
    expect((await claim(ingress, second)).status).to.equal(200);
  });

  it("leaves the first to another workflow job that it runs", async () => {
    const runners = new AbortController();
    const order = { owner: "acme", repository: "app", labels: ["ubuntu-arm64"], durationMs: 60_000 };
    const other = github.queueWorkflowJob(order);
    const replaced = await replace();
    const program = createRunnerProgram(replaced.jitConfig, runners.signal);
    await program.connect();
    await program.takeJob();
    expect((await claim(ingress, await takeOver(replaced))).status).to.equal(200);
    expect(other).to.include({ status: "in_progress", runnerName: replaced.first.runnerNames[0] });
    expect(github.runners()).to.have.length(2);
    runners.abort();
  });

  for (const status of [403, 404])
    it(`is registered by the counts where GitHub shows us no workflow jobs (${status})`, async () => {
      const second = await takeOver(await replace());
      github.failNext(status, "actions/jobs");
      expect((await claim(ingress, second)).status).to.equal(200);
    });
});
