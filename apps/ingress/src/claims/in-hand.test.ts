import { setImmediate } from "node:timers/promises";
import { createGitHub, type GitHub } from "@grp/github";
import { createGitHubStandIn, type GitHubStandIn } from "@grp/sandbox";
import { expect } from "chai";
import { AWS, claim, launch } from "../testing/machines.ts";
import { useIngress } from "../testing/suite.ts";
import { createIdentityCheck } from "./identity.ts";
import { readIdentityCertificates } from "./identity-certificates.ts";
import { createClaimsInHand } from "./in-hand.ts";

describe("a claim in hand when its ingress ends", () => {
  const suite = useIngress();
  const checkIdentity = createIdentityCheck(readIdentityCertificates(AWS.certificate));
  let github: GitHubStandIn;
  let real: GitHub;
  before(async () => {
    github = await createGitHubStandIn();
    real = createGitHub({ auth: { kind: "pat", token: github.token }, baseUrl: github.url });
  });
  after(() => github.close());

  /** A machine has claimed, and GitHub answers when `answer` is called. */
  const claimSlowly = async (waitMs?: number) => {
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const claimsInHand = createClaimsInHand(waitMs === undefined ? {} : { waitMs });
    const mintRegistration: GitHub["mintRegistration"] = async (order, signal) => {
      asked.resolve();
      await answered.promise;
      return real.mintRegistration(order, signal);
    };
    const ingress = await suite.start({
      github,
      context: { checkIdentity, claimsInHand, github: { ...real, mintRegistration } },
    });
    const launched = await launch(ingress);
    const caller = new AbortController();
    const claiming = claim(ingress, launched, { signal: caller.signal });
    await asked.promise;
    return {
      ingress,
      launched,
      claiming,
      answer: answered.resolve,
      hangUp: () => caller.abort(),
      claimsInHand,
    };
  };

  it("is answered, and only then does the ingress close", async () => {
    const { claiming, answer, claimsInHand } = await claimSlowly();
    const order: string[] = [];
    const ending = claimsInHand.end().then(() => order.push("ended"));
    await setImmediate();
    order.push("GitHub answers");
    answer();
    expect((await claiming).status).to.equal(200);
    await ending;
    expect(order).to.deep.equal(["GitHub answers", "ended"]);
  });

  it("that takes too long: its machine is told to come back, and granted at once by another ingress", async () => {
    const { ingress, launched, claiming } = await claimSlowly(50);
    const [answer] = await Promise.all([claiming, ingress.closeServer()]);
    expect([answer.status, answer.body.error]).to.deep.equal([503, "github_unavailable"]);
    const another = await suite.start({ github, context: { checkIdentity } });
    expect((await claim(another, launched)).status).to.equal(200);
  });

  it("whose machine has hung up gives its lock back too", async () => {
    const { ingress, launched, claiming, hangUp } = await claimSlowly(50);
    const failed = claiming.catch(() => "hung up");
    hangUp();
    expect(await failed).to.equal("hung up");
    await ingress.closeServer();
    const another = await suite.start({ github, context: { checkIdentity } });
    expect((await claim(another, launched)).status).to.equal(200);
  });
});
