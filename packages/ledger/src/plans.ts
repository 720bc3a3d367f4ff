import { PRELUDE } from "./prelude.ts";
import type { Script, Store } from "./store.ts";
import type { Ledger } from "./types.ts";

const plan: Script = {
  name: "grpRecordPlan",
  lua: `${PRELUDE}
redis.call('SET', P .. 'plan:' .. A.key, A.plan, 'PX', A.keepMs)
local job = P .. 'job:' .. A.key
if redis.call('HGET', job, 'demand') == 'waiting' then
  redis.call('HSET', job, 'demand', 'served')
  redis.call('HDEL', job, 'waitsFor')
end`,
};

/** Results of dry runs. A plan ends its (planned) demand. */
export function createPlans(store: Store): Pick<Ledger, "recordPlan" | "getPlan"> {
  return {
    async recordPlan(key, value) {
      await store.run(plan, { key, plan: JSON.stringify(value) });
    },
    async getPlan(key) {
      const text = await store.redis.get(store.key(`plan:${key}`));
      return text === null ? null : (JSON.parse(text) as unknown);
    },
  };
}
