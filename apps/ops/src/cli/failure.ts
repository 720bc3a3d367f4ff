import { isAxiosError } from "axios";

/** What went wrong in words for the person at the keyboard; the stack is nobody's business. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A failed call as a sentence with what to do about it. */
export function explainHttpFailure(error: unknown, url: string, setting: string): CliError {
  if (!isAxiosError(error)) throw error;
  if (error.response) return explainStatus(error.response.status, error.response.data, url);
  const hints: Readonly<Record<string, string>> = {
    ECONNREFUSED: `nothing listens there. Is it running, and is ${setting} right?`,
    ENOTFOUND: `there is no such host. Is ${setting} right?`,
    ECONNABORTED: "no answer in time.",
    ETIMEDOUT: "no answer in time.",
  };
  return new CliError(`${url}: ${hints[error.code ?? ""] ?? `${error.code ?? ""} ${error.message}`.trim()}`);
}

function explainStatus(status: number, body: unknown, url: string): CliError {
  if (status === 401)
    return new CliError(`${url}: 401. Set OPS_USER and OPS_PASSWORD to those of the ops process.`);
  const said = typeof body === "object" && body !== null ? (body as Readonly<Record<string, unknown>>) : {};
  const why = [said.error, said.why].filter((word) => typeof word === "string").join(": ");
  return new CliError(why ? `${why} (${status})` : `${url} answered ${status}`);
}
