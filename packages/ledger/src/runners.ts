import { decodeRunner, encodeNote } from "./codec.ts";
import { PRELUDE, UNHEARD_MS } from "./prelude.ts";
import type { Script, Store } from "./store.ts";
import type { Ledger, RunnerRecord } from "./types.ts";
import { note } from "./workflow-jobs.ts";

const step: Script = {
  name: "grpRecordStep",
  lua: `${PRELUDE}
if redis.call('EXISTS', P .. 'runner:' .. A.runnerName) == 0 then return 0 end
if A.note then addNote(A.runnerName, A.note) end
if A.hasJob then
  local pool, heard = unpack(redis.call('HMGET', P .. 'runner:' .. A.runnerName, 'pool', 'workflowJobKey'))
  if not heard then
    local unheard = P .. 'unheard:' .. pool
    redis.call('ZREMRANGEBYSCORE', unheard, '-inf', A.at - ${UNHEARD_MS})
    redis.call('ZADD', unheard, 'NX', A.at, A.runnerName)
    redis.call('PEXPIRE', unheard, ${UNHEARD_MS})
  end
end
return advanceRunner(A.runnerName, A.step, A.at) and 1 or 0`,
};

type Runners = Pick<
  Ledger,
  "getRunner" | "findRunner" | "recordStep" | "recordJobEnd" | "addRunnerNote" | "listLiveRunners"
>;

/** Runners: one machine's worth of supply each, from launching to gone. */
export function createRunners(store: Store): Runners {
  return {
    getRunner: (runnerName) => readRunner(store, runnerName),
    async findRunner(launchId, instanceId) {
      const runnerName = await store.redis.hget(store.key(`launch:${launchId}`), `of:${instanceId}`);
      return runnerName === null ? null : readRunner(store, runnerName);
    },
    async recordStep(runnerName, to, at, why) {
      const args = { runnerName, step: to, at, note: why && encodeNote(why), hasJob: to === "busy" };
      return (await store.run<number>(step, args)) === 1;
    },
    async recordJobEnd(runnerName, at) {
      await store.run(step, { runnerName, step: "finished", at, hasJob: true });
    },
    async addRunnerNote(runnerName, text) {
      await store.run(note, { id: runnerName, kind: text.kind, note: encodeNote(text) });
    },
    async listLiveRunners() {
      const names = await store.redis.zrange(store.key("live"), 0, "-1");
      const runners = await store.read("runner", names, decodeRunner);
      const expired = names.filter((_name, index) => !runners[index]);
      if (expired.length > 0) await store.redis.zrem(store.key("live"), ...expired);
      return runners.filter((runner) => runner !== null);
    },
  };
}

export async function readRunner(store: Store, runnerName: string): Promise<RunnerRecord | null> {
  const [runner = null] = await store.read("runner", [runnerName], decodeRunner);
  return runner;
}
