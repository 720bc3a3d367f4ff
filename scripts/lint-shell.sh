#!/bin/sh
# Lints every shell script that git knows or would add.
set -eu
cd "$(dirname "$0")/.."

if ! command -v shellcheck >/dev/null 2>&1; then
  if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y shellcheck; } >/dev/null
  else
    echo "shellcheck is not on PATH. Install it (apt install shellcheck, brew install shellcheck) and run this again." >&2
    exit 1
  fi
fi

list() {
  git ls-files --cached --others --exclude-standard -- "$@" |
    while read -r file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done
}

# The parts of the boot scripts are put together by packages/providers: what one sets another uses.
parts=packages/providers/src/boot/
list '*.sh' .ci/run ":!$parts" | xargs -0 shellcheck
list "$parts*.sh" | xargs -0 shellcheck --exclude=SC2034
