import type { CliConfig } from "../config.ts";

/** What a command may touch; a test gives its own. */
export interface CliContext {
  readonly config: CliConfig;
  print(text: string): void;
  /** Columns of the terminal; absent when there is none. */
  readonly width?: number | undefined;
  /** Where the work ends: 0 unless told otherwise. */
  setExitCode(code: number): void;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}
