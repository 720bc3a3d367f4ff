#!/usr/bin/env bash
# real-machine.sh FOLDER: runs FOLDER/boot.sh as cloud-init would, as root with the system's own useradd, runuser and
# packet filter, in namespaces of its own, so that nothing of it reaches or outlives this test. Only what would end the
# machine is a stand-in. Run by real-machine.ts inside `unshare --mount --net --pid`.
set -euo pipefail
folder=$1

ip link set lo up
ip addr add 169.254.169.254/32 dev lo
# EC2's metadata service is a neighbour; here it is this very machine, whose own addresses come before every rule.
ip rule add pref 32800 lookup local
ip rule del pref 0 lookup local

mount -t tmpfs machine /opt
mount -t tmpfs machine /var/log
mkdir "$folder/etc"
mount -t tmpfs machine "$folder/etc"
mkdir "$folder/etc/upper" "$folder/etc/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$folder/etc/upper,workdir=$folder/etc/work" /etc

node "$folder/world.mjs" "$folder" &
until [ -e "$folder/listening" ]; do sleep 0.05; done

mkdir -p /opt/grp
install -m 0700 "$folder/boot.sh" /opt/grp/boot.sh
PATH="$folder/bin:$PATH" bash /opt/grp/boot.sh || true
