import { Webhooks } from "@octokit/webhooks";
import { Queue } from "bullmq";

interface Payload {
  readonly workflow_job: { readonly id: number; readonly run_id: number; readonly labels: readonly string[] };
  readonly repository: { readonly name: string; readonly owner: { readonly login: string } };
}

/** What a plain webhook receiver does with a delivery: verify, parse, add to BullMQ what a worker needs. No ledger, no log line. */
export function createPlainReceiver(): (body: Buffer, signature: string) => Promise<202 | 401> {
  const webhooks = new Webhooks({ secret: process.env.WEBHOOK_TOKEN ?? "" });
  const queue = new Queue("plain", { connection: { url: process.env.REDIS_URL ?? "" } });
  return async (body, signature) => {
    const text = body.toString("utf8");
    if (!(await webhooks.verify(text, signature))) return 401;
    const { workflow_job: workflowJob, repository } = JSON.parse(text) as Payload;
    const demand = {
      workflowJobId: workflowJob.id,
      runId: workflowJob.run_id,
      owner: repository.owner.login,
      repository: repository.name,
      labels: workflowJob.labels,
    };
    await queue.add("provision", demand, { jobId: `wfj-${workflowJob.id}`, attempts: 5 });
    return 202;
  };
}
