export { QUEUE_SETTINGS } from "./connection.ts";
export { createQueueConsumer } from "./consumer.ts";
export { PROVIDERS, queueName, scheduleQueueName } from "./names.ts";
export { createQueueProducer } from "./producer.ts";
export type { RetryPolicy } from "./retry-policy.ts";
export { createScheduler } from "./scheduler.ts";
export * from "./types.ts";
