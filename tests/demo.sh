#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# demo: start ZNODEFS mounts a tree to try things in, stop unmounts it. Run by `make run`.
set -u

uid=$(id -u)
# On a disk, and kept over a restart of the machine, which /tmp and $XDG_RUNTIME_DIR need not be.
base=${ZNODEFS_DEMO:-/var/tmp/znodefs-demo-$uid}
mnt=$base/mnt
state=$base/state

mounted() { awk -v m="$mnt" '$2 == m { found = 1 } END { exit !found }' /proc/self/mounts; }

start() {
	local znodefs
	znodefs=$(realpath "$1") || return
	# /var/tmp belongs to everybody: not into a directory that somebody else has prepared.
	mkdir -m 700 "$base" 2>/dev/null
	if [ ! -d "$base" ] || [ -L "$base" ] || [ "$(stat -c %u "$base")" != "$uid" ]; then
		echo "demo: $base is not a directory of ours; set ZNODEFS_DEMO to another" >&2
		return 1
	fi
	if mounted && ! stat -f "$mnt" >/dev/null 2>&1; then
		echo "Removing the dead mount at $mnt"
		stop_mount -z || return
	fi
	if mounted; then
		echo "Already mounted: $mnt"
	else
		mkdir -p "$mnt" || return
		"$znodefs" "$state" "$mnt" </dev/null || return
		echo "Mounted: $mnt"
	fi
	cat <<END
State:   $state

Try:
  cd $mnt
  mkdir -p app/db && echo 10.0.0.7 >app/db/host && grep -r 10.0 .
  getfattr --only-values -n znode.stat app/db/host
  (set -C; echo \$\$ >lock) && echo 'the lock is mine' || echo 'somebody has it'
  cat .znodefs/stats

Stop it:           fusermount3 -u $mnt     (from another directory)
Start it again:    make run                (everything is still there)
Remove all traces: rm -r $base             (after stopping it)
END
}

stop_mount() { fusermount3 -u "$@" "$mnt" 2>/dev/null || umount ${1:+-l} "$mnt"; }

case ${1:-} in
start) start "${2:?the daemon}" ;;
stop) mounted && stop_mount ;;
*)
	echo "usage: demo.sh start ZNODEFS | stop" >&2
	exit 2
	;;
esac
