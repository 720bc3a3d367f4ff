import { inspect } from "node:util";
import { ConfigError, redact, redactText } from "@grp/runtime";
import { isAxiosError } from "axios";
import { CommanderError } from "commander";

/** What went wrong in words for the person at the keyboard; the stack is nobody's business. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A call that got no answer, as a sentence with what to do about it. */
export function explainHttpFailure(error: unknown, url: string, setting: string): CliError {
  if (!isAxiosError(error)) throw error;
  const hints: Readonly<Record<string, string>> = {
    ECONNREFUSED: `nothing listens there. Is it running, and is ${setting} right?`,
    ENOTFOUND: `there is no such host. Is ${setting} right?`,
    ECONNABORTED: "no answer in time.",
    ETIMEDOUT: "no answer in time.",
  };
  const hint = hints[error.code ?? ""] ?? `${error.code ?? ""} ${error.message}`.trim();
  return new CliError(`${showUrl(url)}: ${hint}`);
}

/** An answer that the asked process never gives: something else is at its address, or before it. */
export function explainStranger(
  url: string,
  status: number,
  { app, setting }: { readonly app: string; readonly setting: string },
): CliError {
  return new CliError(
    `${showUrl(url)} answered ${status}, but not as grp's ${app} does. Is ${setting}, and is no login of a proxy before it?`,
  );
}

/** Fit to be printed: without user and password, or what else in it may be a secret. */
export function showUrl(url: string): string {
  const shown = new URL(url);
  shown.username = "";
  shown.password = "";
  return redactText(shown.href);
}

/** Says why the program ends, and gives its exit code. 1: it did not work. 2: it was asked wrongly, or is set up wrongly. */
export function tellFailure(error: unknown, print: (text: string) => void): number {
  // It has said already what is wrong.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof CliError || error instanceof ConfigError) {
    print(`grp: ${error.message}`);
    return error.exitCode;
  }
  // Clients hang whole requests on their errors, with the credentials in them.
  print(`grp: a fault of its own, please report it:\n${inspect(redact(error))}`);
  return 1;
}
