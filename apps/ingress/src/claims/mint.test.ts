import { createGitHub, type GitHub } from "@grp/github";
import { createGitHubStandIn, type GitHubStandIn } from "@grp/sandbox";
import { expect } from "chai";
import { AWS, claim, launch } from "../testing/machines.ts";
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
    const [PATIENCE_MS, LATE_MS] = [100, 500];
    const registrationsOf = (name = "") => github.registrations().filter((one) => one.name === name);

    const claimInVain = async () => {
      const ingress = await suite.start({
        github,
        context: {
          checkIdentity: createIdentityCheck(readIdentityCertificates(AWS.certificate)),
          registrations: createRegistrations({ now: Date.now, patienceMs: PATIENCE_MS }),
        },
      });
      const launched = await launch(ingress);
      const [name] = launched.runnerNames;
      github.delayNextResponse(LATE_MS, "generate-jitconfig");
      const { body } = await claim(ingress, launched);
      expect(body).to.deep.equal({ error: "github_unavailable" });
      await github.until(() => registrationsOf(name).length === 1, "the late registration");
      return { ingress, launched, name };
    };

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
