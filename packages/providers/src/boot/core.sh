# shellcheck shell=bash
# The part of the boot script that Linux, macOS and CodeMagic share: claim a registration, fetch the runner program,
# run one workflow job, report, end. Written for bash 3.2 (macOS). The platform's file, which comes before this one,
# gives the platform_* functions. Whole-line comments are stripped by the renderer.
#
# Secrets (ticket, report ticket, registration) are shell variables only: never exported, never an argument of a
# command (`ps` shows those), never on disk.

set -uo pipefail
umask 077
export -n GRP_TICKET GRP_URL GRP_LAUNCH 2>/dev/null

GRP_ROOT=${GRP_ROOT:-/opt/grp}
WORK=$GRP_ROOT/boot
RUNNER_DIR=$GRP_ROOT/runner
TOKEN=$GRP_TICKET
REPORT_TICKET='' JIT='' INSTANCE_ID='' IDENTITY='' GUARD='' GUARD_NAME='' STEP=start

log() { printf '%s grp: %s\n' "$(date -u +%FT%TZ)" "$*" | tee -a "$WORK/boot.log" >&3; }

is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

redact() {
  local text=$1 secret
  for secret in "$GRP_TICKET" "$REPORT_TICKET" "$JIT"; do
    [ -z "$secret" ] || text=${text//"$secret"/***}
  done
  printf '%s' "$text"
}

json_text() {
  printf '%s' "$1" | LC_ALL=C tr -cd '\11\12\40-\176' | LC_ALL=C tr '\11' ' ' |
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' | awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }'
}

# The last lines of a file; the first one is dropped when it may be the rest of a longer (perhaps secret) line.
last_lines() {
  [ -s "$1" ] || return 0
  printf -- '--- %s\n' "${1##*/}"
  if [ "$(wc -c <"$1")" -gt 65536 ]; then tail -c 65536 "$1" | sed 1d; else cat "$1"; fi | tail -n "$2"
}

log_tail() {
  local text newest
  newest=$(find "$RUNNER_DIR/_diag" -name '*.log' -exec ls -t {} + 2>/dev/null | head -n 1)
  text=$(redact "$(
    [ -z "$newest" ] || last_lines "$newest" 25
    last_lines "$WORK/runner.log" 40
    last_lines "$WORK/boot.log" 30
  )")
  [ "${#text}" -le 7000 ] || text=${text:$((${#text} - 7000))}
  printf '%s' "$text"
}

# post PATH BODY SECONDS: sets ANSWER and STATUS (000 without an answer). The token and the body go by stdin.
post() {
  local data
  data=${2//\\/\\\\}
  data=${data//\"/\\\"}
  ANSWER=$(
    printf 'header = "Authorization: Bearer %s"\ndata-binary = "%s"\n' "$TOKEN" "$data" |
      curl --config - --silent --show-error --connect-timeout 10 --max-time "$3" --request POST \
        --header 'Content-Type: application/json' --header 'Accept: text/plain' \
        --dump-header "$WORK/headers.${1##*/}" --write-out '\n%{http_code}' "$GRP_URL$1" 2>>"$WORK/boot.log"
  )
  STATUS=${ANSWER##*$'\n'}
  ANSWER=${ANSWER%$'\n'*}
}

# report PHASE DETAIL [EXIT_CODE [with-log]]: best effort, never longer than ten seconds.
report() {
  local body
  body="{\"instanceId\":\"$INSTANCE_ID\",\"phase\":\"$1\",\"detail\":\"$(json_text "$(redact "$2")")\""
  if [ -n "${3:-}" ]; then body="$body,\"exitCode\":$3"; fi
  if [ -n "${4:-}" ]; then body="$body,\"logTail\":\"$(json_text "$(log_tail)")\""; fi
  post /claims/report "$body}" 10
  log "$1: $2 (report answered $STATUS)"
}

# deadline SECONDS NAME: from now on the guard ends the machine then.
deadline() {
  printf '%s %s\n' "$((SECONDS + $1))" "$2" >"$WORK/deadline.new"
  mv -f "$WORK/deadline.new" "$WORK/deadline"
}

# A process of its own, so that nothing the main one waits for (a download, a package manager) can outlast a limit.
# Started anew after the claim to learn the report ticket: start_guard NAME. Who makes due.NAME first has the say: the
# guard to end the machine, or the main process to end that guard.
start_guard() {
  if [ -n "$GUARD" ] && ! mkdir "$WORK/due.$GUARD_NAME" 2>/dev/null; then
    wait "$GUARD"
    exit 1
  fi
  [ -z "$GUARD" ] || kill -KILL "$GUARD" 2>/dev/null
  GUARD_NAME=$1
  (
    trap '' HUP TERM
    trap - EXIT
    while sleep 1; do
      kill -0 $$ 2>/dev/null || {
        finish failed 'the boot script was killed'
        exit
      }
      read -r at name <"$WORK/deadline" || continue
      [ "$SECONDS" -ge "$at" ] || continue
      mkdir "$WORK/due.$GUARD_NAME" 2>/dev/null || exit
      finish failed "$name timeout"
      break
    done
    pkill -TERM -P $$ 2>/dev/null
    kill -TERM $$ 2>/dev/null
    sleep 5
    kill -KILL $$ 2>/dev/null
  ) &
  GUARD=$!
}

stop_runner() {
  local pid
  pid=$(cat "$WORK/runner.pid" 2>/dev/null) || return 0
  kill -TERM -- "-$pid" 2>/dev/null || return 0
  local i=0
  while [ "$i" -lt 50 ] && kill -0 -- "-$pid" 2>/dev/null; do
    sleep 0.1
    i=$((i + 1))
  done
  kill -KILL -- "-$pid" 2>/dev/null
}

# finish PHASE|quiet DETAIL [EXIT_CODE]: the one way out. The first caller wins; the machine goes down after it.
finish() {
  mkdir "$WORK/finish" 2>/dev/null || return 0
  case $1 in
    quiet) log "$2" ;;
    finished) report finished "$2" "${3:-0}" ;;
    *) report "$1" "$2" "${3:-1}" with-log ;;
  esac
  stop_runner
  platform_power_off
  mkdir "$WORK/finish/done"
}

# The guard must live until it has powered off, if the end was its doing.
leave() {
  finish failed "the boot script ended while at: $STEP"
  while [ ! -d "$WORK/finish/done" ] && kill -0 "$GUARD" 2>/dev/null; do sleep 0.1; done
  kill -KILL "$GUARD" 2>/dev/null
}

fail() {
  finish failed "$1" "${2:-1}"
  exit 1
}

# curl IMDS with the session token; the runner's user never gets here.
imds() {
  printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$IMDS_TOKEN" |
    curl --config - --silent --fail --max-time 3 "$IMDS/latest/$1"
}

imds_login() {
  IMDS_TOKEN=$(curl --silent --fail --max-time 3 --request PUT \
    --header 'X-aws-ec2-metadata-token-ttl-seconds: 21600' "$IMDS/latest/api/token")
}

# EC2: who this machine is, and AWS's signature on it (RSA-2048, PKCS#7). Asked for until it is there: a claim without it
# would be refused for good.
identify_ec2() {
  IMDS=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
  IMDS=${IMDS%/}
  local document signature
  until imds_login && INSTANCE_ID=$(imds meta-data/instance-id) && [ -n "$INSTANCE_ID" ] &&
    document=$(imds dynamic/instance-identity/document | base64 | tr -d '\n') &&
    signature=$(imds dynamic/instance-identity/rsa2048 | tr -d '\n'); do sleep 2; done
  IDENTITY=",\"identityDocument\":\"$document\",\"identitySignature\":\"$signature\""
}

# Prints the notice when AWS is about to take a spot instance back.
spot_notice() {
  local notice
  notice=$(imds meta-data/spot/instance-action) && printf '%s' "$notice" && return 0
  imds meta-data/instance-id >/dev/null || imds_login
  return 1
}

# The seconds that the last answer's Retry-After names, if it does.
retry_after() {
  local after
  after=$(tr -d '\r' <"$WORK/headers.claims" 2>/dev/null | awk -F': *' 'tolower($1) == "retry-after" { print $2; exit }')
  ! is_number "$after" || printf '%s' "$((10#$after))"
}

# Waits before try number $1: as long as Retry-After says and no more than a second longer, or, if the answer had none,
# up to an exponential time to 30 s, at random.
pause_before() {
  local wait=1 after i=1
  after=$(retry_after)
  if [ -n "$after" ]; then
    sleep "$after.$((RANDOM % 10))"
    return
  fi
  while [ "$i" -lt "$1" ] && [ "$wait" -lt 30 ]; do
    wait=$((wait * 2))
    i=$((i + 1))
  done
  [ "$wait" -le 30 ] || wait=30
  sleep "$((wait / 2)).$((RANDOM % 10))"
  sleep "$((RANDOM % (wait / 2 + 1)))"
}

# Takes the values out of ANSWER, one name=value a line.
read_claim() {
  local line
  RUNNER_NAME='' RUNNER_URL='' RUNNER_SHA256='' RUNNER_VERSION='' RUNNER_FILENAME=''
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    case $line in
      runner_name=*) RUNNER_NAME=${line#*=} ;;
      jit_config=*) JIT=${line#*=} ;;
      report_ticket=*) REPORT_TICKET=${line#*=} ;;
      runner_url=*) RUNNER_URL=${line#*=} ;;
      runner_sha256=*) RUNNER_SHA256=${line#*=} ;;
      runner_version=*) RUNNER_VERSION=${line#*=} ;;
      runner_filename=*) RUNNER_FILENAME=${line#*=} ;;
    esac
  done <<<"$ANSWER"
  ANSWER=''
  [ -n "$JIT" ] && [ -n "$REPORT_TICKET" ] && [ -n "$RUNNER_URL" ] || return 1
  case $RUNNER_FILENAME in '' | .* | *[!A-Za-z0-9._-]*) return 1 ;; esac
  case $RUNNER_SHA256 in *[!0-9a-f]*) return 1 ;; esac
  [ "${#RUNNER_SHA256}" -eq 64 ]
}

claim() {
  local try=1 arch notice after
  case $(uname -m) in arm64 | aarch64) arch=arm64 ;; *) arch=x64 ;; esac
  while :; do
    # A workflow job begun here would die with the machine.
    if [ "$PLATFORM_SPOT" = 1 ] && notice=$(spot_notice); then
      finish interrupted "$notice"
      exit 1
    fi
    rm -f "$WORK/headers.claims"
    post /claims "{\"instanceId\":\"$INSTANCE_ID\",\"os\":\"$PLATFORM_OS\",\"arch\":\"$arch\"$IDENTITY}" 30
    case $STATUS in
      200) read_claim && break ;;
      400 | 401 | 409 | 410)
        finish quiet "the claim was refused with $STATUS: ${ANSWER:0:200}"
        exit 0
        ;;
    esac
    log "claim $try answered $STATUS"
    # We are expected, and in line for what GitHub allows, or GitHub or the ledger is away: when we are to come again, the
    # time it takes to boot begins anew. It ends with the ticket.
    case $ANSWER in
      *claim_in_line* | *github_unavailable* | *redis_unavailable*)
        after=$(retry_after)
        deadline "$((GRP_BOOT_TIMEOUT + ${after:-0}))" boot
        platform_arm "${after:-0}"
        ;;
    esac
    pause_before "$try"
    try=$((try + 1))
  done
  TOKEN=$REPORT_TICKET
  deadline "$GRP_IDLE_TIMEOUT" idle
  start_guard claimed
  log "claimed as $RUNNER_NAME"
}

sha256_of() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# An image may carry the archive in /opt/actions-runner; it is used when its SHA-256 is the one asked for.
fetch_runner() {
  local archive=$WORK/$RUNNER_FILENAME try=1 stored=${GRP_STORED_RUNNERS:-/opt/actions-runner}/$RUNNER_FILENAME
  if [ -f "$stored" ] && [ "$(sha256_of "$stored")" = "$RUNNER_SHA256" ]; then
    archive=$stored
  else
    until curl --fail --silent --show-error --location --connect-timeout 10 --max-time 600 --output "$archive" "$RUNNER_URL" \
      2>>"$WORK/boot.log" && [ "$(sha256_of "$archive")" = "$RUNNER_SHA256" ]; do
      [ ! -f "$archive" ] || log "SHA-256 of the runner program is $(sha256_of "$archive"), expected $RUNNER_SHA256"
      rm -f "$archive"
      [ "$try" -lt 4 ] || fail 'the runner program could not be fetched with the right SHA-256'
      sleep "$((try * 2 - 1))"
      try=$((try + 1))
    done
  fi
  mkdir -p "$RUNNER_DIR"
  tar -xzf "$archive" -C "$RUNNER_DIR" --no-same-owner >>"$WORK/boot.log" 2>&1 ||
    fail 'the runner program could not be unpacked'
  case $archive in "$WORK"/*) rm -f "$archive" ;; esac
  [ -f "$RUNNER_DIR/run.sh" ] || fail 'the runner program has no run.sh'
  platform_prepare_runner || fail 'the runner program could not be prepared'
  report downloaded "runner $RUNNER_VERSION"
}

# Reads run.sh's output: the words are those of Runner.Listener.
watch_output() {
  local line
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$WORK/runner.log"
    case $line in
      *'Listening for Jobs'*)
        [ -f "$WORK/online" ] || report online "$RUNNER_NAME"
        : >"$WORK/online"
        ;;
      *'Running job'*)
        : >"$WORK/busy"
        deadline "$GRP_MAX_RUNTIME" 'max runtime'
        log 'a workflow job began'
        ;;
    esac
  done
}

# The registration goes by stdin into the runner's own environment, where `ps` of others can't see it.
# shellcheck disable=SC2016 # Expanded by the bash that runs it.
START='IFS= read -r jit; cd "$1" || exit 1; export ACTIONS_RUNNER_INPUT_JITCONFIG="$jit"; unset jit; exec ./run.sh </dev/null'

run_runner() {
  local code=1 ticks=0 notice noticed=''
  set -m
  (
    trap - EXIT TERM
    printf '%s\n' "$JIT" | platform_run bash -c "$START" start "$RUNNER_DIR" 2>&1 | watch_output
    echo "${PIPESTATUS[1]}" >"$WORK/exit-code"
  ) &
  echo $! >"$WORK/runner.pid"
  set +m
  while kill -0 "$(cat "$WORK/runner.pid")" 2>/dev/null; do
    if [ "$PLATFORM_SPOT" = 1 ] && [ -z "$noticed" ] && [ "$((ticks % 5))" -eq 0 ] && notice=$(spot_notice); then
      noticed=1
      report interrupted "$notice"
    fi
    ticks=$((ticks + 1))
    sleep 1
  done
  wait "$(cat "$WORK/runner.pid")" 2>/dev/null
  rm -f "$WORK/runner.pid"
  code=$(cat "$WORK/exit-code" 2>/dev/null || echo 1)
  [ -f "$WORK/online" ] || fail "the runner ended with $code before it was online" "$code"
  [ -f "$WORK/busy" ] || fail "the runner ended with $code without a workflow job" "$code"
  [ "$code" -eq 0 ] || fail "the runner ended with $code" "$code"
  finish finished 'the workflow job ended' 0
}

# What a runner's environment holds, and nothing else: no ticket, no address of ours.
runner_env() {
  RUNNER_ENV=(PATH="$PATH" HOME="$1" USER="$2" LOGNAME="$2" SHELL=/bin/bash LANG="${LANG:-C.UTF-8}"
    ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1)
}

main() {
  exec 3>&1
  if ! { mkdir -p "$GRP_ROOT" && chmod 755 "$GRP_ROOT" && rm -rf "$WORK" "$RUNNER_DIR" && mkdir "$WORK"; }; then
    platform_power_off
    exit 1
  fi
  trap leave EXIT
  trap 'finish interrupted "stopped from outside while at: $STEP"; exit 1' TERM INT HUP
  platform_arm || log 'no shutdown could be scheduled; the guard alone keeps the limits'
  deadline "$GRP_BOOT_TIMEOUT" boot
  start_guard booting
  STEP=identify
  platform_identify
  report booted "$PLATFORM_OS"
  STEP=prepare
  platform_prepare || fail "the machine could not be prepared: $PREPARE_FAULT"
  STEP=claim
  claim
  STEP=fetch
  fetch_runner
  STEP=run
  run_runner
}

main
