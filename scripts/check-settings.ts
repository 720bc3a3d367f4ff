import { execFile } from "node:child_process";
import { resolve } from "node:path";
import type { Environment } from "../packages/runtime/src/index.ts";

/**
 * Has every app check its own settings (`main.ts --check-settings`), and gives all that they found as one text,
 * a fault that several share only once; undefined when there is none. Redis may come later: they all wait for it.
 */
export async function checkSettings(
  root: string,
  apps: readonly { readonly app: string; readonly environment: Environment }[],
): Promise<string | undefined> {
  const reports = await Promise.all(
    apps.map(({ app, environment }) => check(resolve(root, "apps", app, "src/main.ts"), environment)),
  );
  const found = apps.flatMap(({ app }, index) => {
    const report = reports[index];
    return report === undefined ? [] : [{ app, ...splitReport(report) }];
  });
  return found.length === 0 ? undefined : formatReport(found);
}

interface AppReport {
  readonly app: string;
  /** Faults of `ConfigError`'s text, with its padding taken out. */
  readonly known: readonly string[];
  /** Whatever else was said. */
  readonly rest: readonly string[];
}

/** What the app said, when it refused. */
function check(program: string, environment: Environment): Promise<string | undefined> {
  return new Promise((resolve) => {
    const env = { ...environment };
    execFile(
      process.execPath,
      [program, "--check-settings"],
      { env, timeout: 30_000 },
      (error, stdout, stderr) => resolve(error === null ? undefined : stderr || stdout || error.message),
    );
  });
}

function splitReport(report: string): Pick<AppReport, "known" | "rest"> {
  const known: string[] = [];
  const rest: string[] = [];
  for (const line of report.trimEnd().split("\n")) {
    const [, name, problem] = /^ {2}([A-Z][A-Z0-9_]+) +(.+)$/.exec(line) ?? [];
    if (name !== undefined) known.push(`${name}  ${problem}`);
    else if (!/missing or wrong:$|^Set them in/.test(line)) rest.push(line);
  }
  return { known, rest };
}

function formatReport(found: readonly AppReport[]): string {
  const faults = [...new Set(found.flatMap(({ known }) => known))];
  const width = Math.max(0, ...faults.map((fault) => fault.indexOf("  ")));
  const lines = faults.map((fault) => {
    const [name = "", ...problem] = fault.split("  ");
    const apps = found.filter(({ known }) => known.includes(fault)).map(({ app }) => app);
    return `  ${name.padEnd(width)}  ${problem.join("  ")} [${apps.join(", ")}]`;
  });
  const others = found
    .filter(({ known, rest }) => known.length === 0 || rest.length > 0)
    .map(({ app, rest }) => `${app}: ${rest.join("\n") || "did not start"}`);
  const remedy = "Set them in the environment or in .env; .env.example explains each.";
  return [
    "grp does not start; missing or wrong:",
    ...lines,
    ...others,
    ...(lines.length > 0 ? [remedy] : []),
  ].join("\n");
}
