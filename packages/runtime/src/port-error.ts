/** A port that can't be had: for a person to mend, and told without a stack. */
export class PortError extends Error {
  override readonly name = "PortError";
}

/** What a failed `listen` means in terms of the setting that named the port; other errors as they are. */
export function explainPort(error: Error, setting: string, port: number): Error {
  const { code } = error as NodeJS.ErrnoException;
  const problem = PROBLEMS[code ?? ""];
  if (problem === undefined) return error;
  return new PortError(`${setting} ${port} ${problem}`, { cause: error });
}

const PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: "is taken by another process: end that one, or choose another port",
  EACCES: "may not be opened by this user: choose a port from 1024 on",
};
