import { shorten } from "./codec.ts";
import { PRELUDE } from "./prelude.ts";
import type { Script, Store } from "./store.ts";
import { createSweeps, warnOfNoSweep } from "./sweeps.ts";
import type { Ledger, Warning } from "./types.ts";

/** A hash of `<kind>|<text>`; whoever raises one takes out those that are over. */
const raise: Script = {
  name: "grpRaiseWarning",
  lua: `${PRELUDE}
local key, name = P .. 'warnings', A.kind .. '|' .. A.text
local stored = redis.call('HGETALL', key)
for i = 1, #stored, 2 do
  if cjson.decode(stored[i + 1]).ends <= A.at then redis.call('HDEL', key, stored[i]) end
end
local known = redis.call('HGET', key, name)
local since = known and cjson.decode(known).since or A.at
redis.call('HSET', key, name, cjson.encode({ since = since, at = A.at, ends = A.at + A.ttlMs }))
redis.call('PEXPIRE', key, A.keepMs)
return known and 0 or 1`,
};

/** What people should see of the whole until it is over; every process may raise one. */
export function createWarnings(store: Store): Pick<Ledger, "raiseWarning" | "listWarnings"> {
  const sweeps = createSweeps(store);
  return {
    async raiseWarning({ text, ...warning }) {
      return (await store.run<number>(raise, { ...warning, text: shorten(text) })) === 1;
    },
    async listWarnings(now) {
      const [stored, lastSweep] = await Promise.all([
        store.redis.hgetall(store.key("warnings")),
        sweeps.getLastSweep(),
      ]);
      const raised = Object.entries(stored)
        .map(([name, value]) => ({
          name,
          ...(JSON.parse(value) as { since: number; at: number; ends: number }),
        }))
        .filter(({ ends }) => ends > now)
        // Redis keeps them in no order: those of one moment must not change places at every look.
        .sort((one, other) => one.since - other.since || (one.name < other.name ? -1 : 1))
        .map(({ name, since, at }): Warning => {
          const bar = name.indexOf("|");
          return { kind: name.slice(0, bar), text: name.slice(bar + 1), since, at };
        });
      return [...warnOfNoSweep(lastSweep, now), ...raised];
    },
  };
}
