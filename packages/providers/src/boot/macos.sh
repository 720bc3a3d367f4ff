# shellcheck shell=bash
# macOS on EC2, run as root by ec2-macos-init.

PLATFORM_OS=macos
PLATFORM_SPOT=0
RUNNER_USER=grp-runner
PREPARE_FAULT=''

# Each shutdown that is scheduled keeps its own time: the last one is to count.
platform_arm() {
  pkill -x shutdown
  shutdown -h "+$(((GRP_BOOT_TIMEOUT + GRP_IDLE_TIMEOUT + GRP_MAX_RUNTIME + ${1:-0}) / 60 + 5))" >>"$WORK/boot.log" 2>&1
}

platform_power_off() { shutdown -h now >/dev/null 2>&1 || halt -q; }

platform_identify() { identify_ec2; }

# Apple's pf.conf evaluates every anchor below com.apple/.
close_metadata() {
  [ "${GRP_EXPOSE_METADATA:-0}" != 1 ] || return 0
  {
    echo "block return out quick inet proto { tcp udp } from any to 169.254.169.254 user $RUNNER_USER"
    echo "block return out quick inet6 proto { tcp udp } from any to fd00:ec2::254 user $RUNNER_USER"
  } | pfctl -a com.apple/grp -f - >>"$WORK/boot.log" 2>&1 || return 1
  pfctl -E >>"$WORK/boot.log" 2>&1 || return 1
  [ -z "${AWS_EC2_METADATA_SERVICE_ENDPOINT:-}" ] || return 0
  ! sudo -n -u "$RUNNER_USER" curl --silent --max-time 3 --output /dev/null http://169.254.169.254/
}

# The password is random and kept nowhere: nobody logs in as this user.
platform_prepare() {
  PREPARE_FAULT='no user for the runner'
  id "$RUNNER_USER" >/dev/null 2>&1 ||
    sysadminctl -addUser "$RUNNER_USER" -shell /bin/bash -home "$GRP_ROOT/home" \
      -password "$(head -c 24 /dev/urandom | base64)" >>"$WORK/boot.log" 2>&1 || return 1
  mkdir -p "$GRP_ROOT/home" && chown "$RUNNER_USER" "$GRP_ROOT/home" || return 1
  PREPARE_FAULT='the metadata service could not be closed to the runner'
  close_metadata
}

platform_prepare_runner() { chown -R "$RUNNER_USER" "$RUNNER_DIR"; }

platform_run() {
  runner_env "$GRP_ROOT/home" "$RUNNER_USER"
  umask 022
  env -i "${RUNNER_ENV[@]}" sudo -n -E -u "$RUNNER_USER" -- "$@"
}
