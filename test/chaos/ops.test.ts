import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { startStack } from "../../packages/sandbox/src/stack/index.ts";
import { explainOpen } from "./ops.ts";

describe("an open job of a chaos run", function () {
  // Three processes and Redis are started.
  this.timeout(120_000);

  it("is told with where grp sees it, and as unknown only when grp never heard of it", async () => {
    const stack = await startStack({ workers: [], ops: {} });
    try {
      await stack.connect();
      const { github } = stack.sandbox;
      const job = github.queueWorkflowJob({ owner: "acme", repository: "app", labels: ["ubuntu-arm64"] });
      const isAnswered = () =>
        github.deliveries.some(({ event, status }) => event !== "ping" && status === "OK");
      await github.until(isAnswered, "a delivery", 30_000);
      const explain = () => explainOpen(stack, [job, { ...job, id: 404 }]);
      let told = await explain();
      // That it is in its queue is written down a moment after the answer.
      for (; !told[0]?.includes("in its queue"); told = await explain()) await sleep(20);
      expect(told[0]).to.match(/^open: workflow job \d+ \(ubuntu-arm64\): in its queue/);
      expect(told[1]).to.equal("open: workflow job 404 (ubuntu-arm64): unknown to grp");
    } finally {
      await stack.stop();
    }
  });
});
