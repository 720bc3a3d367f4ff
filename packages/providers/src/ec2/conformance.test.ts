import { RunInstancesCommand } from "@aws-sdk/client-ec2";
import type { ErrorClass } from "@grp/core";
import { describeProvider } from "../conformance/describe-provider.ts";
import { createTestCloud, IMAGE } from "../testing/ec2-cloud.ts";
import { createClients } from "./clients.ts";
import { AWS_LIMITS, createPace } from "./pace.ts";

const CODES: Readonly<Record<ErrorClass, string>> = {
  "invalid-spec": "InvalidParameterValue",
  unauthorized: "UnauthorizedOperation",
  "no-capacity": "InsufficientInstanceCapacity",
  "rate-limited": "RequestLimitExceeded",
  transient: "InternalError",
};

/** Two types in two subnets. */
const PLACEMENTS = 4;

describeProvider("ec2", async () => {
  const cloud = await createTestCloud({ shuttingDownMs: 30_000, maxPageSize: 5 });
  const { ec2 } = cloud;
  return {
    provider: cloud.provider,
    moreThanOnePage: 7,
    order: (launchId, size) => cloud.order(launchId, size, { image: { id: IMAGE } }),
    machines: () =>
      ec2.instances().map(({ instanceId, tags, state }) => ({
        instanceId,
        launchId: tags["grp:launch"] ?? "",
        isLive: state === "pending" || state === "running",
      })),
    loseNextLaunch: () => ec2.loseNextResponse("RunInstances"),
    hangNextCall: () => ec2.hangNext(),
    failNextCall(errorClass) {
      const times = errorClass === "no-capacity" ? PLACEMENTS : 1;
      ec2.failNext(CODES[errorClass], { times });
    },
    async addForeign() {
      const credentials = { accessKeyId: "AKIDOTHER", secretAccessKey: "not-a-secret" };
      const clients = createClients({ endpoint: ec2.url, credentials }, createPace(AWS_LIMITS));
      const request = { ImageId: IMAGE, InstanceType: "t4g.micro", MinCount: 1, MaxCount: 1 } as const;
      await clients.ec2("us-east-1").send(new RunInstancesCommand(request));
      clients.destroy();
    },
    limitRoom: (count) => ec2.limitCapacity({}, count),
    settle: () => cloud.advance(60_000),
    close: cloud.close,
  };
});
