import type { AppRefusal } from "@grp/github";
import type { WorkerContext } from "./context.ts";

/** Renewed each minute while GitHub refuses: it is over some minutes after the App is back. */
const WARNING_MS = 300_000;

/**
 * Tells of each App that is left out, once: in the log, and as a warning that people see. One that is not installed
 * everywhere may be meant so, and is no warning.
 */
export function createRefusalTeller({
  ledger,
  log,
  now,
}: Pick<WorkerContext, "ledger" | "log" | "now">): (refusal: AppRefusal) => void {
  const told = new Set<string>();

  async function tell(refusal: AppRefusal): Promise<void> {
    const { app, where, code, problem } = refusal;
    if (code === "app_not_installed") {
      if (told.has(problem)) return;
      told.add(problem);
      log.info("github.app-refused", { ...refusal });
      return;
    }
    const text = `GitHub refuses ${app} at ${where}; the other Apps go on without it: ${problem}`;
    const isNew = await ledger.raiseWarning({ kind: "github-app", text, at: now(), ttlMs: WARNING_MS });
    if (isNew) log.warn("github.app-refused", { ...refusal });
  }

  return (refusal) => {
    tell(refusal).catch((error: unknown) => log.warn("github.app-refused", { ...refusal, error }));
  };
}
