import type { Rule } from "../rule.ts";
import { bootTimeout } from "./boot-timeout.ts";
import { catchUp } from "./catch-up.ts";
import { finished } from "./finished.ts";
import { ghost } from "./ghost.ts";
import { idle } from "./idle.ts";
import { interrupted } from "./interrupted.ts";
import { leakedPlace } from "./leaked-place.ts";
import { lost } from "./lost.ts";
import { maxRuntime } from "./max-runtime.ts";
import { missing } from "./missing.ts";
import { neverEnqueued } from "./never-enqueued.ts";
import { neverOnline } from "./never-online.ts";
import { notQueued } from "./not-queued.ts";
import { runnerVersion } from "./runner-version.ts";
import { staleCap } from "./stale-cap.ts";
import { stray } from "./stray.ts";
import { surplus } from "./surplus.ts";

/** All rules. Each judges the same world, so their order matters only for what is read in the log. */
export const RULES: readonly Rule[] = [
  catchUp,
  notQueued,
  bootTimeout,
  neverOnline,
  interrupted,
  lost,
  maxRuntime,
  idle,
  surplus,
  finished,
  stray,
  ghost,
  neverEnqueued,
  missing,
  leakedPlace,
  staleCap,
  runnerVersion,
];
