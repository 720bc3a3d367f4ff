import { createGitHub } from "@grp/github";
import { createGitHubStandIn, type GitHubStandIn } from "@grp/sandbox";
import { expect } from "chai";
import { AWS, claim, launch } from "../testing/machines.ts";
import { useIngress } from "../testing/suite.ts";
import { createIdentityCheck } from "./identity.ts";
import { readIdentityCertificates } from "./identity-certificates.ts";

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
});
