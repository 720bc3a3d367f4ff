#!/usr/bin/env node
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError, loadEnvironment } from "@grp/runtime";
import { CommanderError } from "commander";
import type { CliContext } from "./cli/context.ts";
import { CliError } from "./cli/failure.ts";
import { createProgram } from "./cli/program.ts";
import { readCliConfig } from "./config.ts";

function openContext(): CliContext {
  return {
    config: readCliConfig(loadEnvironment()),
    width: process.stdout.isTTY ? process.stdout.columns : undefined,
    print: (text) => void process.stdout.write(`${text}\n`),
    setExitCode: (code) => {
      process.exitCode = code;
    },
    now: Date.now,
    sleep: async (ms) => void (await sleep(ms)),
  };
}

// Whoever reads it has read enough: `grp … | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await createProgram(openContext).parseAsync();
} catch (error) {
  process.exitCode = endWith(error);
}

/** 0: done. 1: it did not work. 2: it was asked wrongly, or is set up wrongly. */
function endWith(error: unknown): number {
  // It has said already what is wrong.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (!(error instanceof CliError || error instanceof ConfigError)) throw error;
  process.stderr.write(`grp: ${error.message}\n`);
  return error.exitCode;
}
