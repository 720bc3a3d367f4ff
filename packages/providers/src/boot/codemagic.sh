# shellcheck shell=bash
# A CodeMagic build: the machine is thrown away after it, already runs an unprivileged user, and has no metadata
# service. The build ends when this script does; `max_build_duration` of the workflow is the belt.

case $(uname -s) in Darwin) PLATFORM_OS=macos ;; *) PLATFORM_OS=linux ;; esac
PLATFORM_SPOT=0
PREPARE_FAULT=''
GRP_ROOT=${GRP_ROOT:-$HOME/grp}

platform_arm() { :; }

platform_power_off() { :; }

platform_identify() { INSTANCE_ID=$CM_BUILD_ID; }

platform_prepare() { :; }

platform_prepare_runner() { :; }

platform_run() {
  local name
  runner_env "$HOME" "$(id -un)"
  for name in TMPDIR DEVELOPER_DIR JAVA_HOME ANDROID_HOME ANDROID_SDK_ROOT FLUTTER_ROOT GEM_HOME NVM_DIR; do
    [ -z "${!name:-}" ] || RUNNER_ENV+=("$name=${!name}")
  done
  umask 022
  env -i "${RUNNER_ENV[@]}" "$@"
}
