#!/bin/sh
# Generated files must be what their generator gives now.
set -eu
cd "$(dirname "$0")/.."

kept=$(mktemp)
trap 'rm -f "$kept"' EXIT
[ ! -f runners.schema.json ] || cp runners.schema.json "$kept"
node scripts/write-schema.ts
if ! cmp -s runners.schema.json "$kept"; then
  echo "runners.schema.json was out of date. It is written anew: look at it and commit it." >&2
  exit 1
fi
