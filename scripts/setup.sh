#!/bin/sh
# Makes a fresh checkout ready: dependencies at their locked versions (Node 24 is one of them), a Redis server and curl.
# Harmless when run again; costs next to nothing when there is nothing to do.
set -eu
cd "$(dirname "$0")/.."

pnpm_version=12.21.0
state=node_modules/.grp-setup

fail() {
  printf 'setup: %s\n' "$1" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

check_tools() {
  has npm || fail "npm is missing. Install Node.js 20 or newer (https://nodejs.org), which brings npm."
  has node || fail "node is missing. Install Node.js 20 or newer: https://nodejs.org"
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || fail "Node.js 20 or newer is needed to set up; this is $(node --version)."
  has git || fail "git is missing. Install it with your system's package manager."
}

# What the installed dependencies depend on.
fingerprint() {
  cat pnpm-lock.yaml pnpm-workspace.yaml package.json apps/*/package.json packages/*/package.json bench/package.json | cksum
}

install_dependencies() {
  wanted=$(fingerprint)
  if [ -x node_modules/.bin/node ] && [ "$(cat "$state" 2>/dev/null)" = "$wanted" ]; then return; fi
  check_tools
  echo "setup: installing dependencies at their locked versions"
  # CI=true: never ask. Standard input is closed for the same reason.
  CI=true npx --yes "pnpm@$pnpm_version" install --frozen-lockfile --reporter=append-only </dev/null ||
    fail "pnpm could not install the dependencies; see above."
  case "$(node_modules/.bin/node --version)" in
    v24.* | v2[5-9].*) ;;
    *) fail "node_modules/.bin/node is no Node.js 24. Remove node_modules and run \`make setup\` again." ;;
  esac
  echo "$wanted" >"$state"
}

# The words that make a command run as root without asking; fails where nothing does.
as_root() {
  if [ "$(id -u)" = 0 ]; then echo env; else has sudo && sudo -n true 2>/dev/null && echo sudo -n env; fi
}

# install PACKAGE BREW_FORMULA: as far as the system lets us; the caller looks whether it worked.
# RUNLEVEL=1 keeps a server's package from starting a service of its own: every part of grp starts the server it needs.
install() {
  if has apt-get && root=$(as_root); then
    echo "setup: installing $1 with apt-get"
    # Word splitting is meant: "sudo -n env" is three words.
    # shellcheck disable=SC2086
    {
      [ -n "$is_updated" ] || $root DEBIAN_FRONTEND=noninteractive apt-get -qq update
      $root DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install -y --no-install-recommends "$1"
    } >/dev/null || true
    is_updated=yes
  elif has brew; then
    echo "setup: installing $2 with brew"
    brew install "$2" || true
  fi
}
is_updated=

install_redis() {
  has redis-server || has valkey-server || install redis-server redis
  has redis-server || has valkey-server || install valkey-server valkey
  has redis-server || has valkey-server ||
    fail "no redis-server or valkey-server on PATH. Install one (apt install redis-server, brew install redis, dnf install valkey) and run this again."
}

# The sandbox's machines run the boot scripts, which need it as the images do that they are meant for.
install_curl() {
  has curl || install curl curl
  has curl || fail "curl is missing. Install it with your system's package manager and run this again."
}

install_dependencies
install_redis
install_curl
