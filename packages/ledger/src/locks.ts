import { PRELUDE } from "./prelude.ts";
import type { Script, Store } from "./store.ts";
import type { Ledger } from "./types.ts";

/** For a script that locks as it writes. */
export const TRY_LOCK = `
local function tryLock(name, owner, ttlMs)
  local key = P .. 'lock:' .. name
  local before = redis.call('GET', key)
  if before and before ~= owner then return false end
  redis.call('SET', key, owner, 'PX', ttlMs)
  return true
end
`;

const lock: Script = {
  name: "grpTryLock",
  lua: `${PRELUDE}${TRY_LOCK}
return tryLock(A.name, A.owner, A.ttlMs) and 1 or 0`,
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
