import { expect } from "chai";
import { failure } from "./conformance/describe-provider.ts";
import { createFakeProvider } from "./fake.ts";
import { metered, type ProviderCall } from "./metered.ts";
import { testOrder } from "./testing/order.ts";

describe("a metered provider", () => {
  const never = new AbortController().signal;
  const setUp = () => {
    const fake = createFakeProvider();
    const seen: ProviderCall[] = [];
    let clock = 0;
    // Every look at the clock is 7 ms after the one before.
    const now = () => {
      clock += 7;
      return clock;
    };
    return { fake, seen, provider: metered(fake, (call) => seen.push(call), now) };
  };

  it("tells every verb, its outcome and how long it took", async () => {
    const { seen, provider } = setUp();
    const order = testOrder("l-1");
    await provider.validate(order.offering, never);
    const [instance] = await provider.launch(order, never);
    await provider.list(never);
    await provider.terminate(instance?.instanceId ?? "", never);
    const common = { provider: "ec2", outcome: "ok", durationMs: 7 };
    expect(seen).to.deep.equal(
      ["validate", "launch", "list", "terminate"].map((verb) => ({ ...common, verb })),
    );
  });

  it("tells class and code of an error, and lets it through unchanged", async () => {
    const { fake, seen, provider } = setUp();
    fake.failNext("no-capacity");
    const error = await failure(provider.launch(testOrder("l-1"), never));
    expect(error).to.have.property("errorClass", "no-capacity");
    expect(seen[0]).to.include({
      verb: "launch",
      outcome: "error",
      errorClass: "no-capacity",
      code: "FakeNoCapacity",
    });
  });

  it("calls what is none of our errors a bug", async () => {
    const { fake, seen } = setUp();
    const broken = { ...fake, list: () => Promise.reject(new TypeError("x is not a function")) };
    await failure(metered(broken, (call) => seen.push(call)).list(never));
    expect(seen[0]).to.include({ outcome: "error", errorClass: "bug" });
  });

  it("survives an observer that throws", async () => {
    const provider = metered(createFakeProvider(), () => {
      throw new Error("registry is closed");
    });
    expect((await provider.list(never)).instances).to.deep.equal([]);
  });
});
