import { expect } from "chai";
import type { HookPlace } from "../../packages/sandbox/src/github/types.ts";
import { type Stack, type StackOptions, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { expectNothingLeft, LINUX, QUICK, queueJob, queueUnheard, reaped } from "./harness.ts";

const EAGER = { ...QUICK, REDELIVERY_INTERVAL: "1", UNHEARD_INTERVAL: "1" };
const TWO_MINUTES_MS = 120_000;

describe("deliveries that never arrived", function () {
  this.timeout(120_000);
  let stack: Stack;
  afterEach(async () => {
    await expectNothingLeft(stack);
    await stack.stop();
  });
  const start = async (options: StackOptions = {}) => {
    stack = await startStack({ ...options, env: { ...EAGER, ...options.env } });
  };
  const calls = (part: string) =>
    stack.sandbox.github.calls.filter(({ operationId }) => operationId.includes(part));

  const places: readonly [what: string, place: HookPlace, as: StackOptions["as"]][] = [
    ["the App's hook, with its JWT", { kind: "app" }, "apps"],
    ["an organization's hook, with a token", { kind: "organization", owner: "acme" }, "token"],
    ["a repository's hook, with a token", { kind: "repository", owner: "acme", repository: "app" }, "token"],
  ];
  for (const [what, place, as = "token"] of places)
    it(`are asked for again at ${what}, each once, and their workflow job is served`, async () => {
      await start({ as });
      await stack.connect({ place });
      // From it a repository is known as one that may have a hook of ours.
      await reaped(stack, queueJob(stack, LINUX));
      const { job, delivery } = queueUnheard(stack, LINUX);
      await reaped(stack, job);
      const again = stack.sandbox.github.deliveries.filter(
        ({ guid, isRedelivery }) => isRedelivery && guid === delivery.guid,
      );
      expect(again.map(({ statusCode }) => statusCode)).to.deep.equal([202]);
      expect(calls("redeliver").map(({ status }) => status)).to.deep.equal([202]);
      expect(job.conclusion).to.equal("success");
      const metrics = await (await fetch(`${stack.workers[0]?.internalUrl}/metrics`)).text();
      expect(metrics).to.match(/^grp_recovered_total\{how="redelivered",app="worker"\} 1$/m);
    });

  it("and that GitHub never even tried: the workflow job is found in the queued runs, and served", async () => {
    // GitHub's clock is behind, so that its jobs are old enough not to be merely late.
    const now = () => Date.now() - TWO_MINUTES_MS - 5_000;
    await start({ sandbox: { github: { now } } });
    const job = queueJob(stack, LINUX);
    const found = await stack.workers[0]?.line("workflow-jobs.unheard");
    expect(found?.keys).to.deep.equal([`wfj-${job.id}`]);
    await stack.sandbox.github.until(() => job.status === "completed", "its end");
    expect([job.conclusion, stack.sandbox.github.deliveries.length]).to.deep.equal(["success", 0]);
  });
});
