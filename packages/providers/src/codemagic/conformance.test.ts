import type { ErrorClass } from "@grp/core";
import { describeProvider } from "../conformance/describe-provider.ts";
import { codemagicOrder, createTestCodemagic } from "../testing/codemagic-cloud.ts";

const STATUSES: Readonly<Record<ErrorClass, number>> = {
  "invalid-spec": 400,
  unauthorized: 401,
  "no-capacity": 402,
  "rate-limited": 429,
  transient: 500,
};

describeProvider("codemagic", async () => {
  const { standIn, provider } = await createTestCodemagic({ pageSize: 3, cancellingMs: 20 });
  return {
    provider,
    moreThanOnePage: 7,
    order: (launchId) => codemagicOrder(launchId),
    machines: () =>
      standIn.builds().map(({ buildId, labels, isLive, status }) => ({
        instanceId: buildId,
        launchId: labels.find((label) => label.startsWith("l-")) ?? "",
        isLive: isLive && status !== "canceled",
      })),
    loseNextLaunch: standIn.loseNextResponse,
    hangNextCall: standIn.hangNext,
    failNextCall: (errorClass) => standIn.failNext(STATUSES[errorClass]),
    addForeign: () => standIn.addForeign(["grp:other", "l-theirs"]),
    settle: () => new Promise((resolve) => setTimeout(resolve, 40)),
    close: standIn.close,
  };
});
