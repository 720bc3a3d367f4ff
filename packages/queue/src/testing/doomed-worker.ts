import { createQueueConsumer } from "../consumer.ts";

/** A worker that takes a job and never ends it; its test kills it. */
createQueueConsumer({
  redisUrl: process.argv[2] ?? "",
  provider: "ec2",
  concurrency: 1,
  processors: {
    provision: (demand) => {
      process.stdout.write(`took ${demand.key}\n`);
      return new Promise(() => undefined);
    },
    terminate: () => new Promise(() => undefined),
  },
  onDead: async () => undefined,
  onError: (error) => process.stderr.write(`${error.message}\n`),
});
