import { createGitHub, type GitHub } from "@grp/github";
import { createGitHubStandIn, type GitHubStandIn } from "@grp/sandbox";
import { expect } from "chai";
import { CATALOG } from "../testing/catalog.ts";
import type { TestIngress } from "../testing/ingress.ts";
import { AWS, claim, demandOf, launch, SCOPE, type TestLaunch } from "../testing/machines.ts";
import { useIngress } from "../testing/suite.ts";
import { createIdentityCheck } from "./identity.ts";
import { readIdentityCertificates } from "./identity-certificates.ts";
import { LOCK_MS } from "./mint.ts";
import { createRegistrations } from "./registrations.ts";

describe("a registration", () => {
  const suite = useIngress();
  let github: GitHubStandIn;
  before(async () => {
    github = await createGitHubStandIn();
  });
  after(() => github.close());

  it("is taken off GitHub again when its machine was ended while it was minted", async () => {
    const real = createGitHub({ auth: { kind: "pat", token: github.token }, baseUrl: github.url });
    const ingress = await suite.start({
      github,
      context: {
        checkIdentity: createIdentityCheck(readIdentityCertificates(AWS.certificate)),
        github: {
          ...real,
          async mintRegistration(order, signal) {
            const minted = await real.mintRegistration(order, signal);
            await ingress.ledger.recordStep(order.name, "gone", Date.now());
            return minted;
          },
        },
      },
    });
    const launched = await launch(ingress, { size: 1 });
    const [instance] = launched.instances;
    const answer = await claim(ingress, launched, instance && { instance });
    expect(answer.status).to.equal(410);
    expect(github.registrations()).to.have.length(1);
    expect(github.runners()).to.deep.equal([]);
  });

  it("has its turn by the priority of its class of now, and then by the age of its workflow job", async () => {
    const real = createGitHub({ auth: { kind: "pat", token: github.token }, baseUrl: github.url });
    const orders: (number | undefined)[] = [];
    const priorityOf = (name: string) => (name === "ubuntu-arm64" ? 10 : 0);
    const classes = CATALOG.classes.map((one) => ({ ...one, priority: priorityOf(one.name) }));
    const ingress = await suite.start({
      github,
      context: {
        catalog: { ...CATALOG, classes },
        checkIdentity: createIdentityCheck(readIdentityCertificates(AWS.certificate)),
        github: {
          ...real,
          mintRegistration(order, signal) {
            orders.push(order.turn?.order);
            return real.mintRegistration(order, signal);
          },
        },
      },
    });
    const early = Date.now() - 60_000;
    // Each with the rank that it had while others were the priorities.
    const demands = [
      demandOf("gpu", SCOPE, early),
      { ...demandOf("ubuntu-arm64", SCOPE, early), rank: 50 },
      demandOf("ubuntu-arm64", SCOPE, early + 1),
    ];
    for (const demand of demands) {
      const { runnerClass } = demand;
      expect((await claim(ingress, await launch(ingress, { demand, runnerClass }))).status).to.equal(200);
    }
    expect(orders).to.deep.equal([early, early - 1e14, early + 1 - 1e14]);
  });

  describe("of a process that was frozen, whose lock has gone to another", () => {
    /** With our own GitHub client but for `changes`, which are given a way to let the machine's next claim begin elsewhere. */
    const startFrozen = async (
      change: (real: GitHub, overtake: () => Promise<unknown>) => Partial<GitHub>,
    ) => {
      const real = createGitHub({ auth: { kind: "pat", token: github.token }, baseUrl: github.url });
      const overtake = async () => {
        const [instanceId = ""] = launched.instances.map((instance) => instance.instanceId);
        const begin = { launchId: launched.launchId, instanceId, at: Date.now() + LOCK_MS, lockMs: LOCK_MS };
        expect((await ingress.ledger.beginClaim(begin)).outcome).to.equal("granted");
      };
      const ingress = await suite.start({
        github,
        context: {
          checkIdentity: createIdentityCheck(readIdentityCertificates(AWS.certificate)),
          github: { ...real, ...change(real, overtake) },
        },
      });
      const launched = await launch(ingress);
      return { ingress, launched };
    };

    it("is taken off GitHub again, and its machine comes back", async () => {
      const { ingress, launched } = await startFrozen((real, overtake) => ({
        async mintRegistration(order, signal) {
          const minted = await real.mintRegistration(order, signal);
          await overtake();
          return minted;
        },
      }));
      const answer = await claim(ingress, launched);
      expect([answer.status, answer.body.error]).to.deep.equal([503, "claim_in_progress"]);
      const [name = ""] = launched.runnerNames;
      expect(github.runners().some((runner) => runner.name === name)).to.equal(false);
      expect(await ingress.ledger.getRunner(name)).not.to.have.property("runnerId");
    });

    it("is no reason to end its machine when the other has taken the one before off GitHub", async () => {
      let isFrozen = false;
      const { ingress, launched } = await startFrozen((real, overtake) => ({
        async deregister(scope, runnerId, signal) {
          if (!isFrozen) return real.deregister(scope, runnerId, signal);
          await overtake();
          return "gone";
        },
      }));
      expect((await claim(ingress, launched)).status).to.equal(200);
      isFrozen = true;
      const answer = await claim(ingress, launched);
      expect([answer.status, answer.body.error]).to.deep.equal([503, "claim_in_progress"]);
      expect((await ingress.ledger.getRunner(launched.runnerNames[0] ?? ""))?.step).to.equal("claimed");
      expect(await ingress.delayed("ec2")).to.equal(0);
    });
  });

  it("is given at the next try when Redis failed on the way to it", async () => {
    const ingress = await suite.start({
      github,
      context: { checkIdentity: createIdentityCheck(readIdentityCertificates(AWS.certificate)) },
    });
    const launched = await launch(ingress, { size: 1 });
    const [instance] = launched.instances;
    const { getWorkflowJob } = ingress.ledger;
    ingress.ledger.getWorkflowJob = async () => {
      throw new Error("Redis is away");
    };
    const failed = await claim(ingress, launched, instance && { instance });
    expect(failed.status).to.be.within(500, 503);
    ingress.ledger.getWorkflowJob = getWorkflowJob;
    const answer = await claim(ingress, launched, instance && { instance });
    expect(answer.status, JSON.stringify(answer)).to.equal(200);
  });

  describe("that came too late for its claim", () => {
    const [PATIENCE_MS, LATE_MS] = [250, 1_000];
    const registrationsOf = (name = "") => github.registrations().filter((one) => one.name === name);

    const startAnother = () => {
      const checkIdentity = createIdentityCheck(readIdentityCertificates(AWS.certificate));
      return suite.start({ github, context: { checkIdentity } });
    };
    /** Its `minted` is what comes of the last mint. */
    const startImpatient = async (keepMs?: number) => {
      const real = createGitHub({ auth: { kind: "pat", token: github.token }, baseUrl: github.url });
      let minted: Promise<unknown> = Promise.resolve();
      const ingress = await suite.start({
        github,
        context: {
          checkIdentity: createIdentityCheck(readIdentityCertificates(AWS.certificate)),
          registrations: createRegistrations({ patienceMs: PATIENCE_MS, ...(keepMs && { keepMs }) }),
          github: {
            ...real,
            mintRegistration(order, signal) {
              const minting = real.mintRegistration(order, signal);
              minted = minting.catch((error: unknown) => error);
              return minting;
            },
          },
        },
      });
      return { ...ingress, minted: () => minted };
    };
    const claimTooEarly = async (keepMs?: number) => {
      const ingress = await startImpatient(keepMs);
      const launched = await launch(ingress);
      const [name] = launched.runnerNames;
      github.delayNextResponse(LATE_MS, "generate-jitconfig");
      const { body } = await claim(ingress, launched);
      expect(body).to.deep.equal({ error: "github_unavailable" });
      return { ingress, launched, name };
    };
    const claimInVain = async (keepMs?: number) => {
      const claimed = await claimTooEarly(keepMs);
      await github.until(() => registrationsOf(claimed.name).length === 1, "the late registration");
      return claimed;
    };
    const cancel = ({ ledger }: TestIngress, { demands: [demand] }: TestLaunch) => {
      const workflowJobId = demand?.workflowJobId ?? 0;
      return ledger.recordCompleted({ workflowJobId, at: Date.now(), conclusion: "cancelled" });
    };
    const untilDeleted = (name: string | undefined) =>
      github.until(() => registrationsOf(name).at(-1)?.gone === "deleted", "the registration taken off");

    it("is given to its machine's next claim, and no second one is minted", async () => {
      const { ingress, launched, name } = await claimInVain();
      const answer = await claim(ingress, launched);
      expect(answer.status, answer.text).to.equal(200);
      expect(registrationsOf(name).map(({ gone }) => gone)).to.deep.equal([undefined]);
    });

    it("is minted anew only when it is off GitHub", async () => {
      const { ingress, launched, name } = await claimInVain();
      const real = createGitHub({ auth: { kind: "pat", token: github.token }, baseUrl: github.url });
      const [late] = registrationsOf(name);
      await real.deregister(launched.scope, late?.id ?? 0, new AbortController().signal);
      expect((await claim(ingress, launched)).status).to.equal(200);
      expect(registrationsOf(name).map(({ gone }) => gone)).to.deep.equal(["deleted", undefined]);
    });

    it("does not cost the machine the one that another ingress has given it meanwhile", async () => {
      const { ingress, launched, name } = await claimTooEarly();
      const answer = await claim(await startAnother(), launched);
      expect(answer.status, answer.text).to.equal(200);
      expect(await ingress.minted()).to.include({ code: "409" });
      expect(registrationsOf(name).map(({ gone }) => gone)).to.deep.equal([undefined]);
    });

    it("is taken off GitHub when its machine is refused before it comes", async () => {
      const { ingress, launched, name } = await claimTooEarly();
      await cancel(ingress, launched);
      expect((await claim(ingress, launched)).status).to.equal(410);
      await untilDeleted(name);
    });

    it("is taken off GitHub when another ingress has refused its machine before it comes", async () => {
      const { ingress, launched, name } = await claimTooEarly();
      await cancel(ingress, launched);
      expect((await claim(await startAnother(), launched)).status).to.equal(410);
      await untilDeleted(name);
    });

    it("is taken off GitHub when its machine is refused after it has come", async () => {
      const { ingress, launched, name } = await claimInVain();
      await cancel(ingress, launched);
      expect((await claim(ingress, launched)).status).to.equal(410);
      await untilDeleted(name);
    });

    it("is taken off GitHub when its machine does not come back for it", async () => {
      const { name } = await claimInVain(LATE_MS + 100);
      await untilDeleted(name);
    });
  });

  it("that could not be written down is given to its machine's next claim", async () => {
    const ingress = await suite.start({
      github,
      context: { checkIdentity: createIdentityCheck(readIdentityCertificates(AWS.certificate)) },
    });
    const launched = await launch(ingress);
    const { finishClaim } = ingress.ledger;
    ingress.ledger.finishClaim = async () => {
      throw new Error("Redis is away");
    };
    expect((await claim(ingress, launched)).status).to.equal(503);
    ingress.ledger.finishClaim = finishClaim;
    expect((await claim(ingress, launched)).status).to.equal(200);
    expect(github.registrations().filter(({ name }) => name === launched.runnerNames[0])).to.have.length(1);
  });
});
