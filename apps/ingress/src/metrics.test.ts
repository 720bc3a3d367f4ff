import { expect } from "chai";
import { deliver, type TestIngress } from "./testing/ingress.ts";
import { launch } from "./testing/machines.ts";
import { workflowJob } from "./testing/payloads.ts";
import { useIngress } from "./testing/suite.ts";

describe("the metrics of the ingress", () => {
  const suite = useIngress();

  const linesOf = async (ingress: TestIngress, name: string) => {
    const text = await ingress.metrics.registry.getSingleMetricAsString(name);
    return text.split("\n").filter((line) => !line.startsWith("#"));
  };

  it("count deliveries by event, outcome and reason, but take no label from a stranger", async () => {
    const ingress = await suite.start();
    await deliver(ingress, workflowJob("queued"));
    await deliver(ingress, workflowJob("queued", { job: { labels: ["windows"] } }));
    for (const event of ["made_up", "also_made_up"])
      await deliver(ingress, workflowJob("queued"), { event, secret: "a stranger's" });
    const lines = (await linesOf(ingress, "grp_deliveries_total")).map((line) =>
      line.replace(/,app="\w+"/, ""),
    );
    expect(lines.sort()).to.deep.equal([
      'grp_deliveries_total{event="none",outcome="rejected",reason="signature-wrong"} 2',
      'grp_deliveries_total{event="workflow_job",outcome="enqueued",reason=""} 1',
      'grp_deliveries_total{event="workflow_job",outcome="ignored",reason="labels"} 1',
    ]);
    expect(await linesOf(ingress, "grp_enqueue_seconds")).to.include(
      'grp_enqueue_seconds_count{app="ingress"} 1',
    );
  });

  it("measure once how long a workflow job waited for its runner, and only for one of ours", async () => {
    const ingress = await suite.start();
    const started = async (name: string) => {
      const queued = workflowJob("queued");
      await deliver(ingress, queued);
      const job = { ...queued.workflow_job, runner_name: name, runner_id: 7 };
      for (const _time of [1, 2])
        await deliver(ingress, { ...queued, action: "in_progress", workflow_job: job });
    };
    await started("a-runner-of-theirs");
    const count = async () =>
      (await linesOf(ingress, "grp_queued_to_running_seconds")).find((line) => line.includes("_count"));
    expect(await count()).to.equal(undefined);
    const { runnerNames } = await launch(ingress);
    await started(runnerNames[0] ?? "");
    expect(await count()).to.match(/runner_class="ubuntu-arm64".* 1$/);
  });
});
