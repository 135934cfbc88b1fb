#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line: what is wrong is named in one line; 2 for usage, 1 for the rest.
# limit: 60
. "$(dirname "$0")/lib.sh"

# says CLAIM STATUS WORD COMMAND...: exit status, and one line on stderr that has the word.
says() {
	local claim=$1 status=$2 word=$3 out got
	shift 3
	out=$(timeout 20 "$@" 2>&1 >/dev/null </dev/null)
	got=$?
	equal "$claim: exit status" "$status" $got
	equal "$claim: one line" 1 "$(wc -l <<<"$out")"
	check "$claim: names $word" grep -qF -e "$word" <<<"$out"
	mounted && umount -l "$MNT"
}

says "no arguments" 2 usage "$ZNODEFS"
says "one argument" 2 MOUNTPOINT "$ZNODEFS" "$STATE"
says "three arguments" 2 extra "$ZNODEFS" "$STATE" "$MNT" extra
says "an unknown switch" 2 -z "$ZNODEFS" -z "$STATE" "$MNT"
says "an unknown long switch" 2 --nonsense "$ZNODEFS" --nonsense "$STATE" "$MNT"
says "-o without a list" 2 -o "$ZNODEFS" -o
for word in nonsense nonsense=1 durabilty=strict; do
	says "unknown option $word" 2 "$word" "$ZNODEFS" -o "$word" "$STATE" "$MNT"
done
for word in durability=maybe commit_interval_ms=0 commit_interval_ms=x commit_interval_ms= \
	publish_delay_ms=-2 max_data=0 max_data=1X max_data=-1 max_data=1kk max_data=99999999999999999999 \
	max_memory=0 segment_size=1M segment_size=5000001 segment_size=100G log_sync=maybe \
	snapshot_bytes=no keep_snapshots=0 durability max_data; do
	says "bad value $word" 2 "${word%%=*}" "$ZNODEFS" -o "$word" "$STATE" "$MNT"
done
says "a bad option among good ones" 2 wrong "$ZNODEFS" -o ro,max_data=1M,wrong "$STATE" "$MNT"
refuse "none of these made a state directory" test -e "$STATE"

says "a missing mount point" 1 "$MNT.none" "$ZNODEFS" "$STATE" "$MNT.none"
echo >"$WORK/file"
says "a mount point that is a file" 1 "$WORK/file" "$ZNODEFS" "$STATE" "$WORK/file"
says "a state directory that is a file" 1 "$WORK/file" "$ZNODEFS" "$WORK/file" "$MNT"
says "a state directory without a parent" 1 "$WORK/none/state" "$ZNODEFS" "$WORK/none/state" "$MNT"
mkdir "$WORK/foreign" "$WORK/foreign/log"
echo hello >"$WORK/foreign/log/hello"
says "a directory that holds something else" 1 log "$ZNODEFS" "$WORK/foreign" "$MNT"
equal "which stays as it was" "log log/hello" "$(cd "$WORK/foreign" && echo * */*)"

check "--help" grep -q '^usage: znodefs' <("$ZNODEFS" --help)
"$ZNODEFS" --help >/dev/null 2>&1
equal "--help: exit status" 0 $?
for word in durability commit_interval_ms publish_delay_ms max_data max_memory segment_size log_sync \
	snapshot_bytes keep_snapshots allow_other ro; do
	check "--help names $word" grep -q -w -e "$word" <("$ZNODEFS" --help)
done
check "--version" grep -q '^znodefs [0-9]' <("$ZNODEFS" --version)

# Values at their limits and with suffixes are accepted.
for options in max_data=2G max_data=1 max_data=64k segment_size=8M durability=strict \
	log_sync=direct log_sync=ring log_sync=auto commit_interval_ms=60000 publish_delay_ms=-1 \
	publish_delay_ms=0 fsname=tree allow_other,nosuid,nodev,noexec,noatime defaults,_netdev,nofail; do
	if ! mount_znodefs "$options"; then
		fail "-o $options is accepted"
		continue
	fi
	ok "-o $options is accepted"
	umount_znodefs
done
equal "the state directory is private" 700 "$(stat -c %a "$STATE")"

mount_znodefs fsname=my_tree || exit 1
check "the mount has the type and name that mount shows" \
	grep -q "^my_tree $MNT fuse.znodefs " /proc/self/mounts
umount_znodefs
mount_znodefs max_data=4k,ro || exit 1
refuse "ro: no creation" touch "$MNT/x"
check "ro: listing works" ls "$MNT"
umount_znodefs
