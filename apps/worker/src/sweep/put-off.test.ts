import { signIngress } from "@grp/ledger";
import { expect } from "chai";
import { provision } from "../provision.ts";
import { terminate } from "../terminate.ts";
import { type Harness, makeWork, useHarness } from "../testing/harness.ts";
import { GRACE_MS, MINUTE } from "../testing/world.ts";
import { createSweep } from "./sweep.ts";

describe("a machine whose claim is not granted", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  const machines = async () =>
    (await harness.ledger.listLiveRunners()).filter(
      ({ step, instanceId }) => step !== "finished" && instanceId !== undefined,
    );
  /** As the ingress writes it down. */
  const refuse = async (kind: "claim-refused" | "claim-unanswered", text: string) => {
    const at = harness.clock.now;
    for (const { runnerName } of await machines()) {
      await harness.ledger.recordStep(runnerName, "booted", at);
      await harness.ledger.addRunnerNote(runnerName, { at, kind, text });
      const comesBackAt = kind === "claim-refused" ? undefined : at + 5_000;
      await harness.ledger.abandonClaim({ runnerName, claimNumber: 0 }, comesBackAt);
    }
  };
  const work = async () => {
    await createSweep(harness, { graceMs: GRACE_MS })(new AbortController().signal);
    for (const termination of harness.producer.terminations.splice(0))
      await terminate(harness, termination, makeWork());
    for (const { demand, provider } of harness.producer.demands.splice(0))
      await provision(harness, provider, demand, makeWork()).catch(() => undefined);
  };
  const startTwo = async () => {
    const demands = [await harness.addDemand(), await harness.addDemand()];
    for (const demand of demands) await provision(harness, "ec2", demand, makeWork());
    return demands;
  };
  const recordsOf = (demands: Awaited<ReturnType<typeof startTwo>>) =>
    Promise.all(demands.map(({ key }) => harness.ledger.getWorkflowJob(key)));

  it("outlives an outage of GitHub's of an hour: each job has its first machine, and none was wasted", async () => {
    const demands = await startTwo();
    for (let minute = 0; minute < 65; minute++) {
      await refuse("claim-unanswered", "GitHub answered 502");
      harness.clock.now += MINUTE;
      await work();
    }
    const claimants = await machines();
    expect(claimants).to.have.length(2);
    for (const [index, { runnerName }] of claimants.entries())
      await harness.ledger.finishClaim({
        ...{ runnerName, claimNumber: 0, runnerId: index + 1 },
        at: harness.clock.now,
      });
    expect(harness.ec2.machines).to.have.length(2);
    const records = await recordsOf(demands);
    expect(records.map((record) => record?.demandState)).to.deep.equal(["waiting", "waiting"]);
    expect(records.flatMap((record) => record?.notes ?? [])).to.deep.equal([]);
  });

  it("costs its demand no try when it ends before GitHub answers, however often", async () => {
    const demands = await startTwo();
    for (let round = 0; round < 6; round++) {
      await refuse("claim-unanswered", "GitHub answered 502");
      // Its ticket has ended; so has the machine, and its provider lists it no more.
      for (const { instanceId } of await machines()) harness.ec2.end(instanceId ?? "");
      for (let minute = 0; minute < 8; minute++) {
        harness.clock.now += MINUTE;
        await work();
      }
    }
    expect(harness.ec2.machines.length).to.be.greaterThan(6);
    const records = await recordsOf(demands);
    expect(records.map((record) => record?.demandState)).to.deep.equal(["waiting", "waiting"]);
    const notes = records.flatMap((record) => record?.notes ?? []);
    expect(new Set(notes.map(({ kind }) => kind))).to.deep.equal(new Set(["unclaimed"]));
    expect(notes[0]?.text).to.include("its claim could not be granted: GitHub answered 502");
  });

  it("is given up in time where GitHub refuses, and the dead letter says why", async () => {
    await startTwo();
    const text = "GitHub answered 403 to POST /repos/acme/app: not accessible";
    for (let round = 0; round < 4 * 14; round++) {
      await refuse("claim-refused", text);
      harness.clock.now += MINUTE;
      await work();
    }
    expect(harness.ec2.machines).to.have.length(6);
    const dead = await harness.ledger.listDead(9);
    expect(dead).to.have.length(2);
    for (const { failure } of dead) {
      expect(failure?.errorClass).to.equal("boot");
      expect(failure?.message).to.equal(
        `3 machines were started and none came; of the last: its machine did not claim in time; its claim was refused: ${text}`,
      );
    }
  });

  it("costs its demand no try where no ingress is there, and does once there is one", async () => {
    await signIngress(harness.ledger, harness.clock.now);
    const demands = await startTwo();
    const outlast = async (minutes: number, hasIngress: boolean) => {
      for (let minute = 0; minute < minutes; minute++) {
        harness.clock.now += MINUTE;
        if (hasIngress) await signIngress(harness.ledger, harness.clock.now);
        await work();
      }
    };
    await outlast(60, false);
    expect(harness.ec2.machines.length).to.be.greaterThan(7);
    for (const record of await recordsOf(demands)) {
      expect(record?.demandState).to.equal("waiting");
      expect(record?.notes.at(-1)).to.deep.include({
        kind: "unclaimed",
        text: "its machine did not claim in time; no ingress was there to take its claim",
      });
    }
    await outlast(60, true);
    expect((await recordsOf(demands)).map((record) => record?.demandState)).to.deep.equal([
      "failed",
      "failed",
    ]);
  });

  it("costs its demand no try when it is told to end before the sweep has judged it, with no ingress there", async () => {
    await signIngress(harness.ledger, harness.clock.now);
    const demands = await startTwo();
    harness.clock.now += 5 * MINUTE;
    for (const { runnerName, launchId, provider, instanceId = "" } of await machines()) {
      const requestedAt = harness.clock.now;
      const order = { version: 1, runnerName, launchId, provider, instanceId, requestedAt } as const;
      await terminate(harness, { ...order, reason: "lost" }, makeWork());
    }
    for (const record of await recordsOf(demands))
      expect(record?.notes.at(-1)).to.deep.include({
        kind: "unclaimed",
        text: "its machine ended before it claimed; no ingress was there to take its claim",
      });
  });
});
