#!/usr/bin/env node
import { setTimeout as sleep } from "node:timers/promises";
import { loadEnvironment } from "@grp/runtime";
import type { CliContext } from "./cli/context.ts";
import { tellFailure } from "./cli/failure.ts";
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
  process.exitCode = tellFailure(error, (text) => void process.stderr.write(`${text}\n`));
}
