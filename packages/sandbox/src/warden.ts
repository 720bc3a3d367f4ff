import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";

/**
 * Reads `+<pid>` and `-<pid>` until this process is no more, however it ended, and kills what is left of them: the group,
 * the session (a script with job control makes groups of its own), or the process alone.
 */
const SCRIPT = `
kept=' '
while read -r line; do
  pid=\${line#?}
  case $line in
    +*) kept="$kept$pid " ;;
    -*)
      rest=' '
      for one in $kept; do [ "$one" = "$pid" ] || rest="$rest$one "; done
      kept=$rest
      ;;
  esac
done
for pid in $kept; do
  pkill -KILL -s "$pid" 2>/dev/null
  kill -KILL "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null
done
exit 0
`;

let warden: ChildProcessByStdio<Writable, null, null> | undefined;

/** Sees that a child does not outlive this process, be that killed with \`kill -9\`. Call what it gives once the child is gone. */
export function guard(pid: number): () => void {
  warden ??= start();
  const { stdin } = warden;
  stdin.write(`+${pid}\n`);
  return () => void stdin.write(`-${pid}\n`);
}

function start(): ChildProcessByStdio<Writable, null, null> {
  // In a session of its own: what ends our group must not end it.
  const child = spawn("sh", ["-c", SCRIPT], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  child.unref();
  (child.stdin as Socket).unref();
  // Without it, children are killed by this process's own end alone.
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  return child;
}
