import { PRELUDE } from "./prelude.ts";
import type { Script, Store } from "./store.ts";
import type { Ledger } from "./types.ts";

const lock: Script = {
  name: "grpTryLock",
  lua: `${PRELUDE}
local key = P .. 'lock:' .. A.name
local owner = redis.call('GET', key)
if owner and owner ~= A.owner then return 0 end
redis.call('SET', key, A.owner, 'PX', A.ttlMs)
return 1`,
};

const unlock: Script = {
  name: "grpUnlock",
  lua: `${PRELUDE}
local key = P .. 'lock:' .. A.name
if redis.call('GET', key) == A.owner then redis.call('DEL', key) end`,
};

/** Locks by owner; they end by themselves, by Redis' clock. */
export function createLocks(store: Store): Pick<Ledger, "tryLock" | "unlock"> {
  return {
    tryLock: async (name, owner, ttlMs) => (await store.run<number>(lock, { name, owner, ttlMs })) === 1,
    async unlock(name, owner) {
      await store.run(unlock, { name, owner });
    },
  };
}
