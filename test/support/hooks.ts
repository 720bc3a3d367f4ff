import { setTimeout as sleep } from "node:timers/promises";
import type { Context, RootHookObject } from "mocha";
import { countResources, describeLeak, type Resources, settleResources } from "./resources.ts";

const startUpMs = 50;
let before: Resources = {};

/** Fails each top-level `describe` that ends with more workers, connections, child processes or timers than it found. */
export const mochaHooks: RootHookObject = {
  async beforeAll(this: Context) {
    // Mocha's own timer of a running hook must be in the count, as it is in `checkLeak`.
    await sleep(startUpMs);
    before = countResources();
    for (const suite of this.test?.parent?.suites ?? []) suite.afterAll("leaks nothing", checkLeak);
  },
};

async function checkLeak(): Promise<void> {
  const found = await settleResources(before);
  const leak = describeLeak(before, found);
  // The next suite is measured against what is there now: one leak fails one suite.
  before = countResources();
  if (leak !== undefined) throw new Error(leak);
}
