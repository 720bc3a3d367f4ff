import { readKey } from "../view.ts";
import { CliError } from "./failure.ts";

/** An id, a key, or the address of a job's page on GitHub. */
export function keyOf(what: string): string {
  const key = readKey(what);
  if (key !== undefined && /^(wfj|dry)-[\w-]+$/.test(key)) return key;
  if (what.includes("/"))
    throw new CliError(
      `no workflow job id in ${what}: open the job (not its run) on GitHub and copy its address`,
      2,
    );
  throw new CliError(
    `"${what}" is no workflow job: give its id, its key (wfj-…) or its address on GitHub`,
    2,
  );
}
