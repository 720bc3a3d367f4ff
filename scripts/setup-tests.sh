#!/bin/sh
# What some tests use beyond what the product needs: shellcheck, iptables for the boot script's test, and cloud-init for
# its own check of user data. Got with apt-get where that may be used; elsewhere those tests are skipped, and this says
# why. Never fails.
set -u
cd "$(dirname "$0")/.." || exit

tools=.grp/tools

has() { command -v "$1" >/dev/null 2>&1; }

may_install() { has apt-get && [ "$(id -u)" = 0 ]; }

install() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=60 install -y --no-install-recommends "$@" >/dev/null 2>&1
}

# Unpacked beside the tests and never installed: its services would set up this very machine at its next boot.
unpack_cloud_init() {
  folder=$(mktemp -d)
  chmod 755 "$folder"
  (cd "$folder" && apt-get -qq download cloud-init >/dev/null 2>&1 && dpkg-deb -x cloud-init_*.deb root) &&
    install python3-yaml python3-jsonschema python3-jsonpatch python3-jinja2 python3-configobj python3-requests python3-oauthlib &&
    rm -rf "$tools/cloud-init-root" && mkdir -p "$tools" && mv "$folder/root" "$tools/cloud-init-root" &&
    cat >"$tools/cloud-init" <<'WRAPPER'
#!/bin/sh
root=$(dirname "$0")/cloud-init-root
PYTHONPATH=$root/usr/lib/python3/dist-packages exec /usr/bin/python3 "$root/usr/bin/cloud-init" "$@"
WRAPPER
  status=$?
  rm -rf "$folder"
  [ "$status" -eq 0 ] && chmod 755 "$tools/cloud-init" && "$tools/cloud-init" --version >/dev/null 2>&1
}

needs=
has shellcheck || needs="$needs shellcheck"
# A Linux machine's test only: macOS has no such thing.
[ "$(uname)" != Linux ] || has iptables || needs="$needs iptables"
has cloud-init || [ -x "$tools/cloud-init" ] || needs="$needs cloud-init"
[ -n "$needs" ] || exit 0

if may_install; then
  echo "setup: installing for the tests:$needs"
  apt-get -qq update >/dev/null 2>&1
  has shellcheck || install shellcheck
  has iptables || install iptables
  has cloud-init || unpack_cloud_init || rm -f "$tools/cloud-init"
fi
has shellcheck || echo "setup: no shellcheck here, so its tests are SKIPPED (apt install shellcheck, brew install shellcheck)"
[ "$(uname)" != Linux ] || has iptables || echo "setup: no iptables here, so its test is SKIPPED (apt install iptables)"
has cloud-init || [ -x "$tools/cloud-init" ] ||
  echo "setup: no cloud-init here, so its test is SKIPPED (it comes with Ubuntu, or by this script as root on Debian)"
exit 0
