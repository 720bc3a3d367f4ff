import type { Catalog, Demand } from "@grp/core";
import type { Ledger } from "@grp/ledger";
import { expect } from "chai";
import type { WorkerContext } from "./context.ts";
import { createGatherer } from "./gatherer.ts";
import { provision } from "./provision.ts";
import { CATALOG, type Harness, makeWork, useHarness } from "./testing/harness.ts";

type Offerings = Catalog["classes"][number]["offerings"];

/** The usual catalog, but for the offerings of `linux`: spot, then on-demand. */
function change(offerings: (before: Offerings) => Offerings): Catalog {
  const classes = CATALOG.classes.map((one) =>
    one.name === "linux" ? { ...one, offerings: offerings(one.offerings) } : one,
  );
  return { ...CATALOG, classes };
}

const SWAPPED = change((before) => before.toReversed());
const MOVED = change((before) =>
  before.map((one) => (one.provider === "ec2" ? { ...one, subnets: ["subnet-z"] } : one)),
);

describe("a launch that is open while the catalog changes", () => {
  let harness: Harness;
  let demand: Demand;
  useHarness((fresh) => {
    harness = fresh;
  });
  beforeEach(async () => {
    demand = await harness.addDemand();
  });

  /** A worker with that catalog, beside the others. */
  const worker = (catalog: Catalog, overrides: Partial<WorkerContext> = {}) =>
    harness.with({ catalog, gatherer: createGatherer(), ...overrides });
  const run = (context: WorkerContext, signal?: AbortSignal) =>
    provision(context, "ec2", demand, makeWork(signal && { signal })).catch((error: Error) => error);
  const launchIds = () => new Set(harness.ec2.calls.filter((call) => call.startsWith("launch")));
  const ordered = () => harness.ec2.machines.map(({ order }) => order?.offering);

  it("goes on at the offering that it was opened for, wherever that stands by now", async () => {
    harness.ec2.failNext("rate-limited", { verb: "launch" });
    await run(worker(CATALOG));
    expect(await run(worker(SWAPPED))).to.have.nested.property("result.outcome", "launched");
    expect(launchIds()).to.have.length(1);
    expect(ordered()).to.have.nested.property("[0].market", "spot");
  });

  it("goes on from there to the offerings that come after it by now", async () => {
    harness.ec2.failNext("no-capacity", { verb: "launch" });
    harness.ec2.failNext("rate-limited", { verb: "launch" });
    await run(worker(CATALOG));
    // On-demand is the first by now, and finds no room.
    harness.ec2.failNext("no-capacity", { verb: "launch" });
    await run(worker(SWAPPED));
    expect(launchIds()).to.have.length(3);
    expect(ordered()).to.have.nested.property("[0].market", "spot");
  });

  it("is over when the class has its offering no more, and another is opened", async () => {
    harness.ec2.loseNextResponse("launch");
    await run(worker(CATALOG));
    await run(worker(MOVED));
    expect(launchIds()).to.have.length(2);
    expect(ordered()).to.have.nested.property("[1].subnets[0]", "subnet-z");
    const [runner, ...others] = await harness.ledger.listLiveRunners();
    expect([runner?.instanceId, others]).to.deep.equal([harness.ec2.machines[1]?.instance.instanceId, []]);
  });

  it("is not over while a process that has its offering calls for it", async () => {
    const stop = new AbortController();
    const hanging = harness.ec2.hangNext();
    const calling = run(worker(CATALOG), stop.signal);
    await hanging;
    expect(await run(worker(MOVED))).to.include({ kind: "wait", why: "its launch is under way elsewhere" });
    stop.abort();
    await calling;
    await run(worker(CATALOG));
    expect(launchIds()).to.have.length(1);
    expect(await harness.ledger.listLiveRunners()).to.have.nested.property("[0].step", "launched");
  });

  it("goes on where its offering stood when an earlier version opened it, which wrote down no more", async () => {
    harness.ec2.failNext("rate-limited", { verb: "launch" });
    await run(worker(CATALOG));
    const getLaunch: Ledger["getLaunch"] = async (...args) => {
      const launch = await harness.ledger.getLaunch(...args);
      const { offeringDigest: _digest, ...earlier } = launch ?? {};
      return launch && (earlier as typeof launch);
    };
    await run(worker(MOVED, { ledger: { ...harness.ledger, getLaunch } }));
    expect(launchIds()).to.have.length(1);
    expect(ordered()).to.have.nested.property("[0].subnets[0]", "subnet-z");
  });
});
