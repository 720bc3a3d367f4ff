import type { Ledger } from "./types.ts";

/** As the GitHub client tells it. */
interface AppRefusal {
  readonly app: string;
  readonly where: string;
  readonly code: string;
  readonly problem: string;
}

interface Log {
  info(message: string, fields: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

/** Renewed each minute while GitHub refuses: it is over some minutes after the App is back. */
const WARNING_MS = 300_000;

/**
 * Tells of each App that is left out, once for all processes: in the log, and as a warning that people see. One that is
 * not installed everywhere may be meant so, and is no warning.
 */
export function createRefusalTeller({
  ledger,
  log,
  now,
}: {
  readonly ledger: Pick<Ledger, "raiseWarning">;
  readonly log: Log;
  readonly now: () => number;
}): (refusal: AppRefusal) => void {
  const notInstalled = new Set<string>();

  async function tell(refusal: AppRefusal): Promise<void> {
    const { app, where, code } = refusal;
    if (code === "app_not_installed") {
      if (notInstalled.has(`${app} ${where}`)) return;
      notInstalled.add(`${app} ${where}`);
      log.info("github.app-refused", { ...refusal });
      return;
    }
    // GitHub's own words name the repository that was asked for: one trouble of an account's would be told for each of them.
    const text = `GitHub refuses ${app} at ${where} (${code}); the other Apps go on without it`;
    const isNew = await ledger.raiseWarning({ kind: "github-app", text, at: now(), ttlMs: WARNING_MS });
    if (isNew) log.warn("github.app-refused", { ...refusal });
  }

  return (refusal) => {
    tell(refusal).catch((error: unknown) => log.warn("github.app-refused", { ...refusal, error }));
  };
}
