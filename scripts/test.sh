#!/usr/bin/env bash
# Runs the tests that the arguments name; all of them when there are none. The last line is always `N passed, N failed`,
# also when the tests could not even be loaded.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
# After the machine's own commands: what `make test-tools` unpacked for want of them.
export PATH="$PWD/node_modules/.bin:$PATH:$PWD/.grp/tools"
# A developer's own .env, with real credentials, is none of the tests' business.
export GRP_ENV_FILE=none
# Hundreds of processes are started; what Node compiled once it takes from here.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$PWD/.grp/compiled}"

[ $# -gt 0 ] || set -- 'packages/*/src/**/*.test.ts' 'apps/*/src/**/*.test.ts' 'bench/src/**/*.test.ts' 'test/**/*.test.ts'
if [ -t 1 ]; then colour=--color; else colour=--no-color; fi

output=$(mktemp)
trap 'rm -f "$output"' EXIT
mocha "$colour" "$@" 2>&1 | tee "$output"
status=${PIPESTATUS[0]}
if ! tail -n 1 "$output" | grep -Eq '^[0-9]+ passed, [0-9]+ failed$'; then
  [ "$status" -ne 0 ] || status=1
  echo "0 passed, 1 failed"
fi
exit "$status"
