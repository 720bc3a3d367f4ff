import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Commands that would touch the real machine: they only leave a line in `commands.log` and succeed. */
const NOTED = [
  ...[
    "useradd",
    "usermod",
    "userdel",
    "groupadd",
    "adduser",
    "sysadminctl",
    "dscl",
    "createhomedir",
    "passwd",
  ],
  ...["iptables", "ip6tables", "nft", "pfctl", "route", "ip"],
  ...["systemctl", "launchctl", "loginctl", "hostnamectl", "mount", "umount", "growpart", "resize2fs"],
  ...["apt-get", "apt", "dnf", "yum", "brew", "snap", "chown", "chgrp", "killall", "softwareupdate"],
];

const ENDING = ["shutdown", "poweroff", "halt", "reboot"];

export interface CommandsOptions {
  readonly folder: string;
  /** A line for each call. */
  readonly log: string;
  /** Where `shutdown` rings. */
  readonly controlUrl: string;
  /** Who the machine's scripts run as. */
  readonly user: string;
  readonly uname: { readonly system: string; readonly machine: string };
}

// Everything is written into the scripts: `env -i` takes variables away.
const note = ({ log }: CommandsOptions) => `printf '%s %s\\n' "\${0##*/}" "$*" >> '${log}'`;

/** A shutdown in some minutes is only noted: no sandbox lasts that long. */
const shutdown = (options: CommandsOptions) => `#!/bin/sh
${note(options)}
case " $* " in *" +"[1-9]* | *" -c "*) exit 0 ;; esac
curl --silent --max-time 5 --request POST '${options.controlUrl}/_sandbox/shutdown' > /dev/null
exit 0
`;

/** Knows the machine's own user, who `runuser` or `sudo -u` says is running, and users that were added. */
const id = ({ user, log }: CommandsOptions) => `#!/bin/sh
for last; do :; done
me="\${GRP_SANDBOX_USER:-${user}}"
case "\${last:-}" in
  "" | -*) ;;
  root | "$me") me="$last" ;;
  *) grep -Eq "^(useradd|adduser|sysadminctl) .*$last" '${log}' 2> /dev/null || { echo "id: $last: no such user" >&2; exit 1; }
     me="$last" ;;
esac
case " $* " in
  *" -un "* | *" -gn "* | *" -nu "*) echo "$me" ;;
  *) if [ "$me" = root ]; then echo 0; else echo 1001; fi ;;
esac
`;

/** runuser, sudo and su in one: finds user and command among their options, and runs it as the pretended user. */
const switchUser = (options: CommandsOptions) => `#!/usr/bin/env bash
${note(options)}
user=
command=
while [ $# -gt 0 ]; do
  case "$1" in
    -u | --user) user="$2"; shift 2 ;;
    --user=*) user="\${1#*=}"; shift ;;
    -c | --command) command="$2"; shift 2 ;;
    --) shift; break ;;
    -g | --group | -s | --shell | -w | --whitelist-environment | -C | -D | --chdir) shift 2 ;;
    -*) shift ;;
    *=*) export "\${1?}"; shift ;;
    *) if [ "\${0##*/}" != sudo ] && [ -z "$user" ]; then user="$1"; shift; else break; fi ;;
  esac
done
export GRP_SANDBOX_USER="\${user:-root}"
if [ -n "$command" ]; then exec bash -c "$command" "$@"; fi
if [ "\${1:-}" = env ] && [ "\${2:-}" = -i ]; then
  shift 2
  set -- env -i "GRP_SANDBOX_USER=$GRP_SANDBOX_USER" "$@"
fi
exec "$@"
`;

const uname = ({ uname: { system, machine } }: CommandsOptions) => `#!/bin/sh
case "\${1:-}" in
  -m | -p) echo '${machine}' ;;
  -a) echo '${system} sandbox ${machine}' ;;
  *) echo '${system}' ;;
esac
`;

/** Among the children of one process alone; anything wider could hit the real machine. */
const pkill = (options: CommandsOptions) => `#!/bin/sh
${note(options)}
case " $* " in *" -P "[1-9]*) PATH="\${PATH#*:}"; export PATH; exec pkill "$@" ;; esac
exit 1
`;

const shasum = () => `#!/bin/sh
while [ $# -gt 0 ]; do case "$1" in -a) shift 2 ;; *) break ;; esac; done
if [ -x /usr/bin/sha256sum ]; then exec /usr/bin/sha256sum "$@"; fi
exec /usr/bin/shasum -a 256 "$@"
`;

const noted = (options: CommandsOptions) => `#!/bin/sh\n${note(options)}\nexit 0\n`;

const SCRIPTS: Readonly<Record<string, (options: CommandsOptions) => string>> = {
  ...Object.fromEntries(NOTED.map((name) => [name, noted])),
  ...Object.fromEntries(ENDING.map((name) => [name, shutdown])),
  ...Object.fromEntries(["runuser", "sudo", "su"].map((name) => [name, switchUser])),
  id,
  whoami: () => "#!/bin/sh\nexec id -un\n",
  uname,
  pkill,
  shasum,
};

/** Fills a folder that goes first on a machine's PATH, so that its scripts can do no harm outside of it. */
export async function writeCommands(options: CommandsOptions): Promise<void> {
  await mkdir(options.folder, { recursive: true });
  await Promise.all(
    Object.entries(SCRIPTS).map(async ([name, render]) => {
      const file = join(options.folder, name);
      await writeFile(file, render(options));
      await chmod(file, 0o755);
    }),
  );
}

/** What would slip past the stand-ins above. */
const ESCAPES = [
  /(?:^|[\s;&|(])\/(?:usr\/)?s?bin\/(?:shutdown|poweroff|halt|reboot|iptables|useradd|systemctl)\b/m,
  /^\s*(?:export\s+)?PATH=(?!.*\$\{?PATH)/m,
];

/** Throws when a script would reach the real machine's commands: by an absolute path, or by a PATH of its own. */
export function refuseEscapes(script: string): void {
  const found = ESCAPES.map((pattern) => pattern.exec(script)?.[0]).find((text) => text !== undefined);
  if (found) throw new Error(`The sandbox runs no script that leaves its PATH: ${found.trim()}`);
}
