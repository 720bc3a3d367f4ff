import { expect } from "chai";
import { deliver, type TestIngress } from "./testing/ingress.ts";
import { WORKFLOW_JOB_EXAMPLES } from "./testing/payloads.ts";
import { useIngress } from "./testing/suite.ts";

/**
 * What becomes of each published example. The catalog of the tests has a class for the labels of each; owners but
 * `wolfy1339` are allowed; public repositories only by the class of `ubuntu-latest`.
 */
const OUTCOMES: Readonly<Record<string, string>> = {
  "api.github.com#0": "in_progress → 200 recorded",
  "api.github.com#1": "completed → 200 recorded",
  "api.github.com#2": "completed → 200 recorded",
  "api.github.com#3": "in_progress → 200 recorded",
  "api.github.com#4": "in_progress → 200 ignored repository-not-allowed",
  "api.github.com#5": "queued → 202 enqueued public",
  "api.github.com#6": "queued → 200 ignored public-repository",
  "api.github.com#7": "waiting → 200 ignored waiting",
  "ghes-33#0": "in_progress → 200 recorded",
  "ghes-34#0": "in_progress → 200 recorded",
  "ghes-35#0": "in_progress → 200 recorded",
};

describe("the published workflow_job examples", () => {
  const suite = useIngress();
  let ingress: TestIngress;
  beforeEach(async () => {
    ingress = await suite.start();
  });

  it("are all in the table", () => {
    expect(WORKFLOW_JOB_EXAMPLES.map(({ name }) => name)).to.have.members(Object.keys(OUTCOMES));
  });

  for (const { name, payload } of WORKFLOW_JOB_EXAMPLES) {
    for (const form of [false, true]) {
      it(`${name.padEnd(17)} ${form ? "form" : "JSON"}  ${OUTCOMES[name] ?? "not in the table"}`, async () => {
        const { status, body } = await deliver(ingress, payload, { form });
        const said = [status, body.outcome, body.reason, body.runnerClass].filter(Boolean).join(" ");
        expect(`${payload.action} → ${said}`).to.equal(OUTCOMES[name]);
        const key = `wfj-${payload.workflow_job.id}`;
        const record = await ingress.ledger.getWorkflowJob(key);
        expect(record !== null).to.equal(body.outcome !== "ignored");
        if (record) expect(record.workflowJobState).to.equal(payload.action);
        const waiting = await ingress.waiting("ec2");
        expect(waiting).to.equal(status === 202 ? 1 : 0);
      });
    }
  }
});
