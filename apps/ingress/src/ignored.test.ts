import { createLedger } from "@grp/ledger";
import { expect } from "chai";
import { deliver } from "./testing/ingress.ts";
import { workflowJob } from "./testing/payloads.ts";
import { useIngress } from "./testing/suite.ts";

const foreign = () => workflowJob("queued", { job: { labels: ["windows-2025"] } });

describe("a workflow job that is not ours", () => {
  const suite = useIngress();

  it("is remembered with its reason", async () => {
    const ingress = await suite.start();
    const delivery = foreign();
    const { id } = delivery.workflow_job;
    await deliver(ingress, delivery);
    // Written before the answer on the same connection, so it is there.
    expect(await ingress.ledger.getIgnored(id)).to.deep.include({
      ...{ workflowJobId: id, owner: "acme", repository: "app", labels: ["windows-2025"], reason: "labels" },
    });
  });

  it("is not remembered for a dry run, or for how it went on", async () => {
    const ingress = await suite.start();
    const delivery = foreign();
    await deliver(ingress, delivery, { query: "?dry-run=true" });
    await deliver(ingress, { ...delivery, action: "completed" });
    expect(await ingress.ledger.getIgnored(delivery.workflow_job.id)).to.equal(null);
  });

  it("is answered whether or not it can be remembered", async () => {
    const ledger = createLedger({ redis: suite.client });
    for (const recordIgnored of [
      () => new Promise<never>(() => undefined),
      () => Promise.reject(new Error("Redis is away")),
    ]) {
      const ingress = await suite.start({ context: { ledger: { ...ledger, recordIgnored } } });
      const answer = await deliver(ingress, foreign());
      expect([answer.status, answer.body.reason]).to.deep.equal([200, "labels"]);
    }
  });
});
