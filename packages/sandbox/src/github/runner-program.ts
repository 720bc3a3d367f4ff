import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const RUNNER_VERSION = "2.337.0";

/** The stand-in's runner program: a tarball like GitHub's, whose `run.sh` speaks the sandbox's own protocol. */
export interface RunnerPackage {
  readonly tarball: Buffer;
  readonly sha256: string;
  readonly version: string;
}

/** The parameters and words of the real `run.sh`; needs bash, curl, sed and base64, as a bare machine has them. */
const RUN_SCRIPT = `#!/usr/bin/env bash
# Stand-in for GitHub's runner: takes one job from the sandbox's GitHub and ends.
set -u
cd "$(dirname "$0")" || exit 1
config="\${ACTIONS_RUNNER_INPUT_JITCONFIG:-}"
while [ $# -gt 0 ]; do
  case "$1" in
    --jitconfig) config="$2"; shift 2 ;;
    *) shift ;;
  esac
done
if [ "\${GRP_SANDBOX_USER:-$(id -un)}" = root ] && [ -z "\${RUNNER_ALLOW_RUNASROOT:-}" ]; then
  echo "Must not run interactively with sudo"
  exit 1
fi
if [ -z "$config" ]; then echo "Not configured. Run config.(sh/cmd) to configure the runner."; exit 1; fi
field() { sed -n "s/.*\\"$1\\":\\"\\([^\\"]*\\)\\".*/\\1/p"; }
decoded=$(printf %s "$config" | base64 -d) || { echo "The JIT config can't be read"; exit 1; }
for file in .runner .credentials .credentials_rsaparams; do
  printf %s "$decoded" | field "$file" | base64 -d > "$file"
done
url=$(field serverUrl < .runner)
token=$(field token < .credentials)
mkdir -p _diag _work
log="_diag/Runner_$(date -u +%Y%m%d-%H%M%S)-utc.log"
stamp() { date -u "+%Y-%m-%d %H:%M:%SZ: $1"; echo "$(date -u) $1" >> "$log"; }
ask() { curl --silent --show-error --max-time 60 --header "Authorization: Bearer $token" "$@"; }
trap 'ask --request DELETE "$url/session" > /dev/null 2>&1; echo "Exiting..."; exit 0' INT TERM

status=$(ask --output /dev/null --write-out '%{http_code}' --request POST "$url/session?version=${RUNNER_VERSION}")
if [ "$status" != 204 ]; then
  echo "Failed to create a session. The runner registration has been deleted from the server, please re-configure."
  exit 0
fi
echo
echo "√ Connected to GitHub"
echo
echo "Current runner version: '${RUNNER_VERSION}'"
stamp "Listening for Jobs"
while true; do
  # In the background, or a signal would wait for the answer.
  ask --output _job --write-out '%{http_code}' "$url/message" > _status 2>> "$log" & wait $!
  case "$(cat _status)" in
    200) break ;;
    204) ;;
    404) echo "The runner no longer exists on the server"; exit 0 ;;
    403)
      echo "An error occurred: $(cat _job)"
      [ "\${ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE:-}" = 1 ] || exit 0
      exit 7
      ;;
    *) sleep 0.2 ;;
  esac
done
name=$(sed -n 's/^name=//p' _job)
stamp "Running job: $name"
result=
while [ -z "$result" ]; do
  ask --output _result "$url/job" 2>> "$log" & wait $!
  result=$(cat _result 2> /dev/null)
  [ -n "$result" ] || sleep 0.2
done
stamp "Job $name completed with result: $result"
exit 0
`;

const run = promisify(execFile);

export async function buildRunnerPackage(): Promise<RunnerPackage> {
  const folder = await mkdtemp(join(tmpdir(), "grp-runner-"));
  try {
    const content = join(folder, "content");
    await mkdir(join(content, "bin"), { recursive: true });
    await writeFile(join(content, "run.sh"), RUN_SCRIPT);
    await writeFile(join(content, "bin", "installdependencies.sh"), "#!/bin/sh\nexit 0\n");
    await chmod(join(content, "run.sh"), 0o755);
    await chmod(join(content, "bin", "installdependencies.sh"), 0o755);
    const file = join(folder, "runner.tar.gz");
    await run("tar", ["-czf", file, "-C", content, "."]);
    const tarball = await readFile(file);
    return { tarball, sha256: createHash("sha256").update(tarball).digest("hex"), version: RUNNER_VERSION };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
