import { Webhooks } from "@octokit/webhooks";
import { Queue } from "bullmq";

interface Payload {
  readonly workflow_job: { readonly id: number; readonly run_id: number; readonly labels: readonly string[] };
  readonly repository: { readonly name: string; readonly owner: { readonly login: string } };
}

/** Verifies and parses: what a worker needs of a delivery, nothing where the signature is wrong. */
export function createVerifier() {
  const webhooks = new Webhooks({ secret: process.env.WEBHOOK_TOKEN ?? "" });
  return async (body: Buffer, signature: string) => {
    const text = body.toString("utf8");
    if (!(await webhooks.verify(text, signature))) return undefined;
    const { workflow_job: workflowJob, repository } = JSON.parse(text) as Payload;
    return {
      workflowJobId: workflowJob.id,
      runId: workflowJob.run_id,
      owner: repository.owner.login,
      repository: repository.name,
      labels: workflowJob.labels,
    };
  };
}

/** What a plain webhook receiver does with a delivery: verify, parse, add to BullMQ what a worker needs. No ledger, no log line. */
export function createPlainReceiver(): (body: Buffer, signature: string) => Promise<202 | 401> {
  const read = createVerifier();
  const queue = new Queue("plain", { connection: { url: process.env.REDIS_URL ?? "" } });
  return async (body, signature) => {
    const demand = await read(body, signature);
    if (!demand) return 401;
    await queue.add("provision", demand, { jobId: `wfj-${demand.workflowJobId}`, attempts: 5 });
    return 202;
  };
}
