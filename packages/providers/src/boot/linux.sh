# shellcheck shell=bash
# Ubuntu and Amazon Linux on EC2, run as root by cloud-init.

PLATFORM_OS=linux
PLATFORM_SPOT=1
RUNNER_USER=grp-runner
PREPARE_FAULT=''

# The belt: the system's own timer takes the machine down even if every process of ours is dead. platform_arm [SECONDS]:
# so much later, for the machine is to wait before it goes on.
platform_arm() {
  shutdown -h "+$(((GRP_BOOT_TIMEOUT + GRP_IDLE_TIMEOUT + GRP_MAX_RUNTIME + ${1:-0}) / 60 + 5))" >>"$WORK/boot.log" 2>&1
}

platform_power_off() { shutdown -h now >/dev/null 2>&1 || poweroff -f; }

platform_identify() { identify_ec2; }

# close_address IPTABLES IP_VERSION ADDRESS: by the packet filter, or, where an image has none, by a routing rule.
close_address() {
  local uid
  "$1" -w -I OUTPUT -d "$3" -m owner --uid-owner "$RUNNER_USER" -j REJECT >>"$WORK/boot.log" 2>&1 && return 0
  uid=$(id -u "$RUNNER_USER") && ip "-$2" rule add to "$3" uidrange "$uid-$uid" prohibit >>"$WORK/boot.log" 2>&1
}

# The runner's user must not reach the instance's credentials. Proved by a try, except where a stand-in serves them.
close_metadata() {
  [ "${GRP_EXPOSE_METADATA:-0}" != 1 ] || return 0
  close_address iptables 4 169.254.169.254 || return 1
  if [ -s /proc/net/if_inet6 ]; then close_address ip6tables 6 fd00:ec2::254 || return 1; fi
  [ -z "${AWS_EC2_METADATA_SERVICE_ENDPOINT:-}" ] || return 0
  ! runuser -u "$RUNNER_USER" -- curl --silent --max-time 3 --output /dev/null http://169.254.169.254/
}

platform_prepare() {
  PREPARE_FAULT='no user for the runner'
  id "$RUNNER_USER" >/dev/null 2>&1 ||
    useradd --create-home --home-dir "$GRP_ROOT/home" --shell /bin/bash "$RUNNER_USER" >>"$WORK/boot.log" 2>&1 || return 1
  PREPARE_FAULT='the metadata service could not be closed to the runner'
  close_metadata
}

# .NET needs ICU: best effort, and without it the runner works in .NET's invariant mode.
install_icu() {
  [ -x "$RUNNER_DIR/bin/Runner.Listener" ] || return 0
  ldconfig -p 2>/dev/null | grep -q libicuuc && return 0
  if command -v dnf >/dev/null; then
    timeout 180 dnf -y install libicu
  else
    timeout 180 bash "$RUNNER_DIR/bin/installdependencies.sh"
  fi >>"$WORK/boot.log" 2>&1
  ldconfig -p 2>/dev/null | grep -q libicuuc || NO_ICU=1
}

platform_prepare_runner() {
  install_icu
  chown -R "$RUNNER_USER" "$RUNNER_DIR"
}

platform_run() {
  runner_env "$GRP_ROOT/home" "$RUNNER_USER"
  [ -z "${NO_ICU:-}" ] || RUNNER_ENV+=(DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1)
  umask 022
  env -i "${RUNNER_ENV[@]}" runuser -u "$RUNNER_USER" -- "$@"
}
