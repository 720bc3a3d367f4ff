import { describeProvider } from "./conformance/describe-provider.ts";
import { createFakeProvider } from "./fake.ts";
import { testOrder } from "./testing/order.ts";

describeProvider("the fake", () => {
  const provider = createFakeProvider();
  return {
    provider,
    moreThanOnePage: 3,
    order: testOrder,
    machines: () =>
      provider.machines.map(({ instance, state }) => ({ ...instance, isLive: state === "live" })),
    loseNextLaunch: () => provider.loseNextResponse("launch"),
    hangNextCall: provider.hangNext,
    failNextCall: provider.failNext,
    addForeign: provider.addForeign,
    limitRoom: provider.limitRoom,
    settle: provider.settle,
    close: () => undefined,
  };
});
