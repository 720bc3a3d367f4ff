import { type Demand, gather, type Settled } from "@grp/core";
import { poolOf } from "./codec.ts";
import { PRELUDE } from "./prelude.ts";
import type { Script, Store } from "./store.ts";
import type { DemandStanding, DemandState, Ledger, Note } from "./types.ts";

/** Reads only, many demands a call. Nothing is said of one that the ledger must write first. */
const stand: Script = {
  name: "grpReadStanding",
  lua: `${PRELUDE}
local covered = {}
local function isCovered(pool)
  if covered[pool] == nil then
    covered[pool] = countDemand(pool, A.at) <= redis.call('ZCARD', P .. 'supply:' .. pool)
  end
  return covered[pool]
end

-- The sets of demand are asked once for all that should be there, and so are notes, which hardly anyone has.
local records, wanted, notes = {}, {}, {}
for at, D in ipairs(A.demands) do
  local record = redis.call('HMGET', P .. 'job:' .. D.key,
    'state', 'demand', 't.queued', 'd.generation', 'pool', 'launchIds', 'waitsFor')
  local state, demand, pool = record[1], record[2], record[5]
  if state == 'queued' and demand == 'waiting' then
    wanted[pool] = wanted[pool] or {}
    table.insert(wanted[pool], D.key)
  end
  records[at], notes[at] = record, P .. 'notes:' .. D.key
end
local isMissing = {}
for pool, keys in pairs(wanted) do
  for at, score in ipairs(redis.call('ZMSCORE', P .. 'demand:' .. pool, unpack(keys))) do
    isMissing[keys[at]] = not score
  end
end
local hasNotes = redis.call('EXISTS', unpack(notes)) > 0

local function standingOf(at, D)
  local _, demand, queuedAt, generation, _, launchIds, waitsFor = unpack(records[at])
  if not queuedAt or D.generation > tonumber(generation or 0) or isMissing[D.key] then return {} end
  return { demand, isCovered(D.pool) and 1 or 0, launchIds or '', waitsFor or '',
    hasNotes and redis.call('LRANGE', notes[at], 0, -1) or {} }
end

local replies = {}
for at, demand in ipairs(A.demands) do replies[at] = standingOf(at, demand) end
return replies`,
};

type Reply =
  | readonly []
  | readonly [
      state: DemandState,
      isCovered: 0 | 1,
      launchIds: string,
      waitsFor: string,
      notes: readonly string[],
    ];

/** Redis works on some while the next are composed. */
const BATCHES = { most: 32, calls: 4 };

/** What a worker asks of a demand as it takes it up: many share a round trip. */
export function createTakeUp(
  store: Store,
  { recordQueued }: Pick<Ledger, "recordQueued">,
): Pick<Ledger, "takeUp"> {
  const read = gather((demands: readonly Demand[]) => readStandings(store, demands), BATCHES);
  return {
    async takeUp(demand) {
      const known = await read(demand);
      if (known) return known;
      await recordQueued(demand);
      const recorded = await read(demand);
      if (!recorded) throw new Error(`${demand.key} vanished from the ledger`);
      return recorded;
    },
  };
}

async function readStandings(
  store: Store,
  demands: readonly Demand[],
): Promise<readonly Settled<DemandStanding | undefined>[]> {
  const replies = await store.run<readonly Reply[]>(stand, {
    at: store.now(),
    demands: demands.map(({ key, generation, runnerClass, scope }) => ({
      key,
      generation,
      pool: poolOf(runnerClass, scope),
    })),
  });
  return replies.map((reply) => ({ ok: true, value: decode(reply) }));
}

function decode(reply: Reply): DemandStanding | undefined {
  if (reply.length === 0) return undefined;
  const [demandState, isCovered, launchIds, waitsFor, notes] = reply;
  return {
    demandState,
    isCovered: isCovered === 1,
    launchIds: launchIds === "" ? [] : launchIds.split(" "),
    ...(waitsFor === "" ? {} : { waitsFor }),
    notes: notes.map((note) => JSON.parse(note) as Note),
  };
}
