import type { WorkflowJobView } from "../../apps/ops/src/view.ts";
import type { StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import type { Stack } from "../../packages/sandbox/src/stack/index.ts";

/** A page or an answer of the status process, as a person with its password gets it. */
export function getFromOps({ ops, settings }: Stack, path: string): Promise<Response> {
  const credentials = Buffer.from(`${settings.OPS_USER}:${settings.OPS_PASSWORD}`).toString("base64");
  // One that was kept open may be closed by the other side in the moment it is used again.
  const headers = { authorization: `Basic ${credentials}`, connection: "close" };
  return fetch(`${ops?.url}${path}`, { headers, signal: AbortSignal.timeout(5_000) });
}

export async function askOps(stack: Stack, path: string): Promise<unknown> {
  const response = await getFromOps(stack, path);
  if (!response.ok) throw new Error(`ops answered ${response.status} to ${path}`);
  return response.json();
}

/** Of each workflow job that nobody serves, where `grp` says that it is. */
export async function explainOpen(
  stack: Stack,
  open: readonly Pick<StandInWorkflowJob, "id" | "labels">[],
): Promise<readonly string[]> {
  return Promise.all(
    open.map(async ({ id, labels }) => {
      const path = `/api/workflow-jobs/${id}`;
      const view = (await askOps(stack, path).catch(() => undefined)) as WorkflowJobView | undefined;
      const now = view?.explanation.whereNow ?? "unknown to grp";
      return `open: workflow job ${id} (${labels.join(", ")}): ${now}`;
    }),
  );
}
