import type { CliContext } from "./context.ts";
import { CliError } from "./failure.ts";
import { keyOf } from "./key-of.ts";
import { createOpsApi, type OpsApi } from "./ops-api.ts";

export interface ActFlags {
  readonly all?: boolean;
  readonly class?: string;
}

export interface Act {
  readonly keys: readonly string[];
  readonly verb: "retry" | "dismiss";
  readonly flags: ActFlags;
}

/** More than the server lists at a time. */
const ASKED_FOR = 1_000;

/** Retries or dismisses each; the others go on when one can't be, and the exit code tells. */
export async function runAct(context: CliContext, { keys, verb, flags }: Act): Promise<void> {
  checkUse(keys, flags);
  const api = createOpsApi(context.config);
  const outcome = verb === "retry" ? "back in its queue" : "dismissed";
  let [done, refused] = [0, 0];
  for await (const key of flags.all ? listAll(api, flags.class) : keys.map(keyOf)) {
    const why = await api.act(key, verb);
    if (why === undefined) done += 1;
    else refused += 1;
    context.print(why ?? `${key}: ${outcome}`);
  }
  if (flags.all) context.print(`${done} done, ${refused} refused`);
  if (refused > 0) context.setExitCode(1);
}

function checkUse(keys: readonly string[], { all = false, class: runnerClass }: ActFlags): void {
  if (keys.length > 0 === all) throw new CliError("give keys, or --all", 2);
  if (runnerClass !== undefined && !all) throw new CliError("--class goes with --all", 2);
}

/** Each once, page by page: what was dealt with is off the list, and what stays is skipped. */
async function* listAll(api: OpsApi, runnerClass: string | undefined): AsyncGenerator<string> {
  const seen = new Map<string, string>();
  for (let skip = 0; ; ) {
    const { dead, count } = await api.dead(ASKED_FOR, skip);
    if (dead.length === 0 || skip >= count) return checkClass(runnerClass, new Set(seen.values()));
    const fresh = dead.filter(({ key }) => !seen.has(key));
    for (const { key, demand } of fresh) seen.set(key, demand.runnerClass);
    yield* fresh
      .filter(({ demand }) => runnerClass === undefined || demand.runnerClass === runnerClass)
      .map(({ key }) => key);
    if (fresh.length === 0) skip += dead.length;
  }
}

/** A class without dead letters is mistyped more often than not; a key that is no dead letter fails too. */
function checkClass(runnerClass: string | undefined, found: ReadonlySet<string>): void {
  if (runnerClass === undefined || found.has(runnerClass)) return;
  const others =
    found.size > 0 ? `there are some of ${[...found].sort().join(", ")}` : "there are none at all";
  throw new CliError(`no dead letter is of class "${runnerClass}"; ${others}`);
}
