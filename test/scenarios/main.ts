import { ingressDead, redisDown, workersDead } from "./outages.ts";
import { codemagicFull, noSpot } from "./room.ts";
import { tenThousand } from "./ten-thousand.ts";

/** `make scenarios`: each by itself, with the shipped settings; names as arguments choose some. */
const SCENARIOS = {
  "redis-down": redisDown,
  "workers-dead": workersDead,
  "ingress-dead": ingressDead,
  "no-spot": noSpot,
  "codemagic-full": codemagicFull,
  "ten-thousand": tenThousand,
} as const;

// Without a word of ours, Ctrl-C would end only this process.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

const [, , ...chosen] = process.argv;
for (const [name, play] of Object.entries(SCENARIOS)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  console.log(`\n${name}`);
  for (const [what, value] of await play()) console.log(`  ${what}: ${value}`);
}
