#!/bin/sh
# The lockfile must work with whatever registry its reader uses: no address in it, nor in any .npmrc.
set -eu
cd "$(dirname "$0")/.."

found=$(git ls-files --cached --others --exclude-standard -- pnpm-lock.yaml '*.npmrc' |
  while read -r file; do [ ! -f "$file" ] || grep -nHE '(https?|git\+ssh)://|tarball:' "$file" || true; done)
if [ -n "$found" ]; then
  printf 'Addresses in the lockfile or an .npmrc:\n%s\n' "$found" | head -n 20 >&2
  exit 1
fi
