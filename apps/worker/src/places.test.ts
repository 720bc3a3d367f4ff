import type { Catalog, Demand } from "@grp/core";
import { expect } from "chai";
import { releasePlace } from "./places.ts";
import { provision } from "./provision.ts";
import { type Harness, makeWork, OFFERING, readCatalog, useHarness } from "./testing/harness.ts";

const CATALOG = readCatalog(`
version: 1
allow: { owners: [acme, other] }
maxRunnersPerRepository: 4
maxRunnersPerOwner: 5
classes:
  - name: farm
    labels: [farm]
    platform: { os: linux, arch: arm64 }
    maxRunners: 8
    maxRunnersPerRepository: 3
    offerings: [{ ${OFFERING} }]
  - name: first
    labels: [first]
    platform: { os: linux, arch: arm64 }
    maxRunners: 8
    priority: 10
    offerings: [{ ${OFFERING} }]
`);

/** The farm goes first, by as much as it came after. */
const TURNED: Catalog = {
  ...CATALOG,
  classes: CATALOG.classes.map((one) => (one.name === "farm" ? { ...one, priority: 20 } : one)),
};

describe("places", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  const queue = async (count: number, repository: string, more: Partial<Demand> = {}) => {
    const [owner = "", name = ""] = repository.split("/");
    const scope = { kind: "repository", owner, repository: name } as const;
    const demands: Demand[] = [];
    while (demands.length < count)
      demands.push(await harness.addDemand({ runnerClass: "farm", owner, repository: name, scope, ...more }));
    return demands;
  };
  const run = async (demands: readonly Demand[], catalog = CATALOG) => {
    const context = harness.with({ catalog });
    const work = (demand: Demand) => provision(context, "ec2", demand, makeWork({ jobId: demand.key }));
    const outcomes = await Promise.all(demands.map(work));
    return outcomes.map((outcome) => (outcome.kind === "wait" ? outcome.why : "launched"));
  };
  const launched = (outcomes: readonly string[]) => outcomes.filter((one) => one === "launched").length;

  it("are limited for one repository, in a class and over all, and for one owner", async () => {
    const inClass = await run(await queue(5, "acme/App"));
    expect(launched(inClass)).to.equal(3);
    expect(inClass[4]).to.match(/^cap class:farm\|acme\/app /);
    const inOther = await run(await queue(2, "acme/App", { runnerClass: "first" }));
    expect(inOther).to.deep.equal(["launched", "cap repository:acme/app (0 ahead)"]);
    const ofOwner = await run(await queue(3, "acme/lib"));
    expect(launched(ofOwner)).to.equal(1);
    expect(ofOwner[2]).to.match(/^cap owner:acme /);
    expect(launched(await run(await queue(3, "other/app")))).to.equal(3);
  });

  it("of the class are not held by those who wait for their own repository's", async () => {
    await run(await queue(20, "acme/app"));
    const used = Object.fromEntries((await harness.ledger.listCaps()).map((cap) => [cap.name, cap.used]));
    expect(used).to.include({ "class:farm|acme/app": 3, "class:farm": 3 });
  });

  it("of the repository and the owner are free for other classes while one class is full", async () => {
    const full = await run(await queue(20, "acme/app"));
    expect(launched(full)).to.equal(3);
    const others = [
      ...(await queue(1, "acme/app", { runnerClass: "first" })),
      ...(await queue(1, "acme/lib", { runnerClass: "first" })),
    ];
    expect(await run(others)).to.deep.equal(["launched", "launched"]);
  });

  it("go to the class that goes first by now, where classes wait for the same", async () => {
    const many = await queue(3, "acme/app");
    const others = await queue(2, "acme/lib", { runnerClass: "first" });
    await run([...many, ...others]);
    // As they were enqueued while the priorities were other ones.
    const waiting = [
      ...(await queue(1, "acme/lib")),
      ...(await queue(1, "acme/tool", { runnerClass: "first", rank: 30 })),
    ];
    for (const demand of waiting) expect((await run([demand]))[0]).to.match(/^cap owner:acme/);
    await releasePlace(harness, many[0]?.key ?? "");
    expect(harness.producer.woken).to.deep.equal([waiting[1]?.key]);
  });

  it("go to the class that goes first after a change of priorities, also of those that wait already", async () => {
    const many = await queue(3, "acme/app");
    const others = await queue(2, "acme/lib", { runnerClass: "first" });
    await run([...many, ...others]);
    const early = await queue(1, "acme/tool", { runnerClass: "first" });
    const late = await queue(1, "acme/lib");
    await run([...early, ...late]);
    // A worker of before and one of now.
    await run(early);
    await run(late, TURNED);
    await releasePlace(harness, many[0]?.key ?? "");
    expect(harness.producer.woken).to.deep.equal([late[0]?.key]);
  });
});
