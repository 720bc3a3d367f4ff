import { setTimeout as sleep } from "node:timers/promises";
import { createGitHub } from "@grp/github";
import { createBudget } from "@grp/ledger";
import { createGitHubStandIn, type GitHubStandIn } from "@grp/sandbox";
import { expect } from "chai";
import type { TestIngress } from "../testing/ingress.ts";
import { AWS, claim, launch, type TestLaunch } from "../testing/machines.ts";
import { useIngress } from "../testing/suite.ts";
import { createIdentityCheck } from "./identity.ts";
import { readIdentityCertificates } from "./identity-certificates.ts";
import { HOLD_MS } from "./mint.ts";

/** Few enough that all have asked long before the first of them are counted no more, on a busy computer too. */
const MACHINES = 150;
/** As many registrations in ten seconds: long enough that a machine is told to come back, and not held. */
const WINDOW_MS = 10_000;
const AT_ONCE = 60;
/** The runner program's address is asked for once, and costs a point. */
const SERVED_FIRST = AT_ONCE - 1;

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

describe("a crowd of machines that claim at once", function () {
  // Three of GitHub's windows, and the machines' own work on a slow computer.
  this.timeout(120_000);
  const suite = useIngress();
  let github: GitHubStandIn;
  let ingress: TestIngress;
  before(async () => {
    const limits = { points: 5 * AT_ONCE, windowMs: WINDOW_MS, concurrent: 100 };
    github = await createGitHubStandIn({ limits });
    const { points, windowMs: window, concurrent } = limits;
    ingress = await suite.start({
      github,
      context: {
        checkIdentity: createIdentityCheck(readIdentityCertificates(AWS.certificate)),
        github: createGitHub({
          auth: { kind: "pat", token: github.token },
          baseUrl: github.url,
          budget: createBudget({ redis: suite.client }),
          limits: { points, window, concurrent, registrations: { most: 1_500, window: 300_000 } },
          holdMs: HOLD_MS,
        }),
      },
    });
  });
  after(() => github.close());

  /** As the boot script does it: comes back within the second after the one it was told. How often it was refused. */
  async function claimUntilGranted(launched: TestLaunch): Promise<number> {
    for (let refusals = 0; ; ) {
      const answer = await claim(ingress, launched);
      if (answer.status === 200) return refusals;
      // Only on a computer that is too slow for so many at once.
      const isLate = answer.body.error === "redis_unavailable";
      if (!isLate) expect(answer.body, JSON.stringify(answer.body)).to.deep.equal({ error: "claim_in_line" });
      if (!isLate) refusals += 1;
      await sleep((Number(answer.headers.get("retry-after")) + Math.random()) * 1_000);
    }
  }

  it("are refused about once each, served oldest demand first, and none of the limit is lost", async () => {
    const launches: TestLaunch[] = [];
    for (let index = 0; index < MACHINES; index++)
      launches.push(await launch(ingress, { queuedAgoMs: 60_000 + index * 1_000 }));
    // The youngest come first: there is room for them, so they are served; of the rest the oldest come last.
    const refusals = await Promise.all(launches.map(claimUntilGranted));
    const ageOf = new Map(launches.map(({ runnerNames: [name = ""] }, index) => [name, index]));
    const minted = github.registrations().toSorted((one, other) => one.id - other.id);
    expect(minted).to.have.length(MACHINES);
    expect(github.refused()).to.equal(0);
    const ages = minted.map(({ name }) => ageOf.get(name) ?? Number.NaN);
    const waited = MACHINES - SERVED_FIRST;
    expect(refusals.filter((count) => count > 0)).to.have.length.at.most(waited);
    // A registration counts from its end: one that was told its turn while slow ones were under way may be too early.
    expect(sum(refusals)).to.be.at.most(2 * waited);
    // Of those that waited, the second window is for the oldest. Within it they are let in at the same moment, and overtake
    // each other; only a few may do so over its border.
    const second = ages.slice(SERVED_FIRST, SERVED_FIRST + AT_ONCE);
    const outOfTurn = second.filter((age) => age < MACHINES - AT_ONCE);
    expect(outOfTurn.length, `of ages ${ages.join(" ")}`).to.be.at.most(AT_ONCE / 20);
    const spentAt = minted[SERVED_FIRST - 1]?.mintedAt ?? 0;
    const endedAt = minted.at(-1)?.mintedAt ?? Number.POSITIVE_INFINITY;
    // No fourth window is needed.
    expect(endedAt - spentAt).to.be.lessThan(3 * WINDOW_MS);
  });
});
