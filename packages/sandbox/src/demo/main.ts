import { once } from "node:events";
import { type Stack, startStack } from "../stack/index.ts";
import { showRound } from "./round.ts";
import { createScreen } from "./screen.ts";

const screen = createScreen(process.stdout, Boolean(process.env.NO_COLOR));
const isOnce = !["", "0", "false"].includes(process.env.ONCE ?? "");
const stopping = new AbortController();
// A second Ctrl-C changes nothing: what was started is always ended.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stopping.abort());

process.exitCode = await main();

async function main(): Promise<number> {
  const begunAt = Date.now();
  screen.banner();
  const stack = await orFault(() =>
    startStack({
      ops: {},
      env: { GRP_INSTALLATION: "demo", OPS_USER: "demo" },
      sandbox: { bootMs: 500 },
      signal: stopping.signal,
      onReady: (name, what) => screen.ready(name, what),
    }),
  );
  if (!stack) return endCode(false);
  const isWhole = await orFault(() => show(stack, begunAt));
  screen.note("\nstopping every process …");
  const { unclean } = await stack.stop();
  for (const name of unclean) screen.fault(`${name} did not end cleanly`);
  return unclean.length > 0 ? 1 : endCode(isWhole === true);
}

/** Ctrl-C is no fault. */
async function orFault<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!stopping.signal.aborted) screen.fault(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

/** `ONCE` asks for a verdict, so there an interrupted demo has none to give; otherwise Ctrl-C is the way to end it. */
function endCode(isGood: boolean): number {
  if (isGood) return 0;
  if (!stopping.signal.aborted) return 1;
  return isOnce ? 130 : 0;
}

async function show(stack: Stack, begunAt: number): Promise<boolean> {
  const address = screen.paint("bold", stack.ops?.url ?? "");
  const { OPS_USER: user, OPS_PASSWORD: password } = stack.settings;
  screen.line(`\ndashboard  ${address}  user ${user}  password ${password}`);
  screen.note(`logs       ${stack.folder}\n`);
  const isWhole = await showRound({ stack, screen, begunAt, signal: stopping.signal });
  if (isOnce) return isWhole;
  screen.line(`\nThe dashboard stays up at ${address}; Ctrl-C ends everything.`);
  if (!stopping.signal.aborted) await once(stopping.signal, "abort");
  return true;
}
