import type { WorkerContext } from "../context.ts";
import { findGhosts } from "./rules/ghost.ts";
import type { World } from "./world.ts";

const MARK = "sweep-ghosts";

/** Far longer than until any scope is asked again. */
const KEPT_MS = 24 * 3_600_000;

/** Since when each has looked like one, by its key; where GitHub was not asked this time, what was noted stays. */
export async function rememberGhosts(
  { ledger, now }: WorkerContext,
  world: Pick<World, "runners" | "registered" | "installation">,
): Promise<World["ghosts"]> {
  const text = await ledger.getMark(MARK);
  const before = Object.entries(text === null ? {} : (JSON.parse(text) as Record<string, number>));
  const known = new Map(before);
  const kept = before.filter(
    ([key, since]) => !world.registered.has(key.slice(0, key.lastIndexOf("#"))) && now() - since < KEPT_MS,
  );
  const found = findGhosts(world).map(({ key }) => [key, known.get(key) ?? now()] as const);
  const ghosts = new Map([...kept, ...found]);
  if (before.length + ghosts.size > 0)
    await ledger.setMark(MARK, JSON.stringify(Object.fromEntries(ghosts)), KEPT_MS);
  return ghosts;
}
