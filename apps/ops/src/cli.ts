#!/usr/bin/env node
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError, loadEnvironment } from "@grp/runtime";
import type { CliContext } from "./cli/context.ts";
import { CliError } from "./cli/failure.ts";
import { createProgram } from "./cli/program.ts";
import { readCliConfig } from "./config.ts";

function openContext(): CliContext {
  return {
    config: readCliConfig(loadEnvironment()),
    print: (text) => void process.stdout.write(`${text}\n`),
    setExitCode: (code) => {
      process.exitCode = code;
    },
    now: Date.now,
    sleep: async (ms) => void (await sleep(ms)),
  };
}

try {
  await createProgram(openContext).parseAsync();
} catch (error) {
  if (!(error instanceof CliError || error instanceof ConfigError)) throw error;
  process.stderr.write(`grp: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
