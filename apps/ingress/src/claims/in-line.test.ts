import { setTimeout as sleep } from "node:timers/promises";
import { createGitHub } from "@grp/github";
import { createBudget } from "@grp/ledger";
import { createGitHubStandIn, type GitHubStandIn } from "@grp/sandbox";
import { expect } from "chai";
import type { TestIngress } from "../testing/ingress.ts";
import { AWS, claim, demandOf, launch, SCOPE } from "../testing/machines.ts";
import { useIngress } from "../testing/suite.ts";
import { createIdentityCheck } from "./identity.ts";
import { readIdentityCertificates } from "./identity-certificates.ts";
import { HOLD_MS } from "./mint.ts";

describe("a claim when GitHub's points are spent", () => {
  const suite = useIngress();
  let github: GitHubStandIn;
  let ingress: TestIngress;
  before(async () => {
    github = await createGitHubStandIn();
  });
  after(() => github.close());

  /** With so many points in so long; one mint costs five, and the runner program's address one. */
  const start = async (points: number, window: number) => {
    ingress = await suite.start({
      github,
      context: {
        checkIdentity: createIdentityCheck(readIdentityCertificates(AWS.certificate)),
        github: createGitHub({
          auth: { kind: "pat", token: github.token },
          baseUrl: github.url,
          budget: createBudget({ redis: suite.client }),
          limits: { points, window, concurrent: 100, registrations: { most: 1_500, window: 300_000 } },
          holdMs: HOLD_MS,
        }),
      },
    });
  };
  const claimAll = async (size: number) => {
    const launched = await launch(ingress, { size });
    const answers = [];
    for (const instance of launched.instances)
      answers.push({ instance, answer: await claim(ingress, launched, { instance }) });
    return { launched, answers };
  };

  it("is told when its turn is, a little early, and the later the further back it stands", async () => {
    await start(11, 60_000);
    const { answers, launched } = await claimAll(6);
    expect(answers.map(({ answer }) => answer.status)).to.deep.equal([200, 200, 503, 503, 503, 503]);
    expect(answers[2]?.answer.body).to.deep.equal({ error: "claim_in_line" });
    const told = answers.slice(2).map(({ answer }) => Number(answer.headers.get("retry-after")));
    // Points come free as they were spent, about now; two mints go into one window of 61 s.
    expect(told[0]).to.be.within(55, 59);
    expect(told[1]).to.be.within(55, 59);
    expect(told[2]).to.be.within(115, 120);
    const runner = await ingress.ledger.getRunner(launched.runnerNames[2] ?? "");
    expect(runner?.comesBackAt).to.be.within(Date.now() + 55_000, Date.now() + 62_000);
    expect(await ingress.logged("runner.claimed")).to.include({ outcome: "claim_in_line", level: "info" });
  });

  it("is held until its turn when that is near", async () => {
    await start(11, 1_500);
    const begun = performance.now();
    const { answers } = await claimAll(3);
    expect(answers.map(({ answer }) => answer.status)).to.deep.equal([200, 200, 200]);
    expect(performance.now() - begun).to.be.at.least(1_500);
  });

  it("asks GitHub for its workflow job, in another's place, only when it is first: the points are for registrations", async () => {
    await start(13, 60_000);
    await claimAll(3);
    const demand = { ...demandOf("ubuntu-arm64", SCOPE, Date.now()), generation: 2 };
    const replacement = await launch(ingress, { demand });
    github.calls.length = 0;
    for (let ask = 0; ask < 3; ask += 1) {
      const answer = await claim(ingress, replacement);
      expect(answer.body).to.deep.equal({ error: "claim_in_line" });
    }
    expect(github.calls).to.deep.equal([]);
  });

  it("goes before those whose workflow job was queued later, whenever they came", async () => {
    await start(6, 2_500);
    await claimAll(1);
    const [late, early] = [await launch(ingress), await launch(ingress, { queuedAgoMs: 60_000 })];
    const ask = async (launched: typeof late) => {
      for (;;) {
        const answer = await claim(ingress, launched);
        if (answer.status === 200) return;
        await sleep(Number(answer.headers.get("retry-after")) * 1_000);
      }
    };
    const lateOne = ask(late);
    await sleep(50);
    await Promise.all([lateOne, ask(early)]);
    const minted = github.registrations().toSorted((a, b) => a.id - b.id);
    expect(minted.slice(-2).map(({ name }) => name)).to.deep.equal([
      early.runnerNames[0],
      late.runnerNames[0],
    ]);
  });
});
