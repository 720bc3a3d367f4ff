import { InvalidSpecError } from "@grp/core";
import { expect } from "chai";
import { failure } from "./conformance/describe-provider.ts";
import { dryRun } from "./dry-run.ts";
import { createFakeProvider } from "./fake.ts";
import { testOrder } from "./testing/order.ts";

describe("a dry run", () => {
  const never = new AbortController().signal;

  it("validates a launch and starts nothing", async () => {
    const fake = createFakeProvider();
    const skipped: unknown[] = [];
    const provider = dryRun(fake, { onSkipped: (what) => skipped.push(what) });
    expect(await provider.launch(testOrder("l-1"), never)).to.deep.equal([]);
    expect(fake.machines).to.have.length(0);
    expect(fake.calls).to.deep.equal(["validate"]);
    expect(skipped).to.deep.equal([{ verb: "launch", id: "l-1" }]);
  });

  it("fails a launch that would fail", async () => {
    const fake = createFakeProvider();
    fake.failNext("invalid-spec");
    const error = await failure(dryRun(fake).launch(testOrder("l-1"), never));
    expect(error).to.be.instanceOf(InvalidSpecError);
  });

  it("ends nothing, and says of nothing that it is gone", async () => {
    const fake = createFakeProvider();
    const [instance] = await fake.launch(testOrder("l-1"), never);
    const provider = dryRun(fake);
    expect(await provider.terminate(instance?.instanceId ?? "", never)).to.equal("terminating");
    expect(fake.machines[0]?.state).to.equal("live");
    expect((await provider.list(never)).instances).to.have.length(1);
  });
});
