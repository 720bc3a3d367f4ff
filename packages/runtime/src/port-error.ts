/** A port or an address that can't be had: for a person to mend, and told without a stack. */
export class PortError extends Error {
  override readonly name = "PortError";
}

/**
 * What a failed `listen` means in terms of the setting that named the port, or of the one beside it that names the address
 * (`OPS_PORT`, `OPS_HOST`); other errors as they are.
 */
export function explainPort(error: Error, setting: string, port: number): Error {
  const { code = "", address, hostname } = error as ListenError;
  if (NO_ADDRESS.includes(code)) {
    const host = `${setting.replace(/PORT$/, "HOST")} ${address ?? hostname}`;
    return new PortError(`${host} is no address of this machine: mend it, or leave it out`, { cause: error });
  }
  const problem = PROBLEMS[code];
  if (problem === undefined) return error;
  return new PortError(`${setting} ${port} ${problem}`, { cause: error });
}

interface ListenError extends NodeJS.ErrnoException {
  readonly address?: string;
  readonly hostname?: string;
}

/** Not this machine's, or a name that can't be looked up. */
const NO_ADDRESS = ["EADDRNOTAVAIL", "ENOTFOUND", "EAI_AGAIN"];

const PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: "is taken by another process: end that one, or choose another port",
  EACCES: "may not be opened by this user: choose a port from 1024 on",
};
