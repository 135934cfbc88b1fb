#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every way to make a batch durable: log_sync, without io_uring, on tmpfs (no O_DIRECT), relaxed.
# limit: 120
. "$(dirname "$0")/lib.sh"
need python3
# What is missing is said once, and the daemon goes on.
expect_log 'io_uring|O_DIRECT|ring|direct'

# round_trip NAME [OPTIONS]: values, kill -9, all there; renames, an orderly restart, all there.
round_trip() {
	local name=$1 options=${2:-} lost
	mount_znodefs "$options" || return
	echo "  $name: log_sync is $(stat_of log_sync)"
	mkdir "$MNT/d"
	for i in {1..40}; do
		echo "value $i" >"$MNT/d/f$i"
	done
	(
		for i in {1..25}; do
			echo "left $i" >"$MNT/d/l$i"
		done
	) &
	started $!
	for i in {1..25}; do
		echo "right $i" >"$MNT/r$i"
	done
	wait $!
	rm "$MNT/d/f40"
	kill_znodefs
	mount_znodefs "$options" || return
	lost=0
	for i in {1..39}; do
		[ "$(cat "$MNT/d/f$i")" = "value $i" ] || lost=$((lost + 1))
	done
	for i in {1..25}; do
		[ "$(cat "$MNT/d/l$i" "$MNT/r$i")" = "$(printf 'left %d\nright %d' "$i" "$i")" ] || lost=$((lost + 1))
	done
	equal "$name: values lost by kill -9" 0 $lost
	refuse "$name: the deleted one is gone" test -e "$MNT/d/f40"
	head -c 6000000 /dev/zero | split -b 500000 - "$MNT/d/big."
	mv "$MNT/d" "$MNT/e"
	restart "$options" || return
	equal "$name: all there after a restart" "$((39 + 25 + 12))" "$(find "$MNT/e" -type f | wc -l)"
	equal "$name: with its content" 6000000 "$(cat "$MNT"/e/big.* | wc -c)"
	umount_znodefs
}

round_trip "log_sync=ring" log_sync=ring
rm -rf "$STATE"
round_trip "log_sync=direct" log_sync=direct
rm -rf "$STATE"
round_trip "log_sync=auto" log_sync=auto

# --- one log, written by one way after the other
mount_znodefs log_sync=direct && echo two >"$MNT/by_direct"
restart log_sync=ring && echo three >"$MNT/by_ring"
umount_znodefs
rm -rf "$WORK/mixed"
cp -a "$STATE" "$WORK/mixed"

# --- a kernel that forbids io_uring
"$MOUNT_BIN/no_io_uring" true
if [ $? = 77 ]; then
	echo "  without io_uring: not tried, no right to install a seccomp filter"
else
	WRAP=("$MOUNT_BIN/no_io_uring")
	mount_znodefs && equal "without io_uring the log of before opens" "two three" \
		"$(cat "$MNT/by_direct" "$MNT/by_ring" | tr '\n' ' ' | sed 's/ $//')"
	umount_znodefs
	rm -rf "$STATE"
	round_trip "without io_uring"
	equal "which is said once in each start" 4 "$(grep -c 'no io_uring' "$LOG")"
	rm -rf "$STATE"
	said=$("${WRAP[@]}" "$ZNODEFS" -o log_sync=ring "$STATE" "$MNT" 2>&1)
	equal "without io_uring log_sync=ring is refused" 1 $?
	check "by name" grep -q 'log_sync=ring.*io_uring' <<<"$said"
	WRAP=()
fi

# --- no O_DIRECT
if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] && [ -w /dev/shm ]; then
	shm=$(mktemp -d /dev/shm/znodefs-test.XXXXXX)
	disk=$STATE
	STATE=$shm/state
	round_trip "on tmpfs"
	rm -rf "$shm"
	STATE=$disk
else
	echo "  on tmpfs: not tried, /dev/shm is none"
fi

# --- strict: a plain creation and a write are answered early, close and O_EXCL wait
rm -rf "$STATE"
mount_znodefs commit_interval_ms=60000 || exit 1
cat >"$WORK/early.py" <<'END'
import os
import sys
sys.path.insert(0, os.environ["CASES"])
import zn
m = sys.argv[1]
# In directories of their own: the kernel asks for a directory's attributes before it looks for the
# next name there, and these wait for the name before.
for i in range(20):
    os.mkdir("%s/d%d" % (m, i))
os.chdir(m)
before = zn.stats(m)
fds = [os.open("d%d/f" % i, os.O_WRONLY | os.O_CREAT, 0o644) for i in range(20)]
for fd in fds:
    os.write(fd, b"early")
after = zn.stats(m)
zn.equal("a plain creation and a write do not wait for the disk", before["batches"], after["batches"])
os.close(fds[0])
last = zn.stats(m)
zn.equal("close does, once for all that is pending", after["batches"] + 1, last["batches"])
zn.equal("and then all of it is durable", last["zxid_applied"], last["zxid_durable"])
fd = os.open("x", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
zn.equal("an exclusive creation waits", last["batches"] + 1, zn.stats(m)["batches"])
os.write(fd, b"shown")
zn.check("a reading of what is pending waits", os.stat("x").st_size == 5 and
         zn.stats(m)["zxid_durable"] == zn.stats(m)["zxid_applied"])
END
python3 "$WORK/early.py" "$MNT"
umount_znodefs

# --- relaxed: answers at once; fsync waits
rm -rf "$STATE"
mount_znodefs durability=relaxed,commit_interval_ms=60000 || exit 1
cat >"$WORK/relaxed.py" <<'END'
import os
import sys
sys.path.insert(0, os.environ["CASES"])
import zn
m = sys.argv[1]
before = zn.stats(m)
for i in range(50):
    zn.write("%s/n%d" % (m, i), b"relaxed")
    os.mkdir("%s/d%d" % (m, i))
after = zn.stats(m)
zn.equal("relaxed: neither close nor mkdir waits for the disk", before["batches"], after["batches"])
zn.check("relaxed: they are applied", after["zxid_applied"] >= before["zxid_applied"] + 100, after)
fd = os.open(m + "/synced", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"this one is safe")
os.fsync(fd)
s = zn.stats(m)
zn.check("relaxed: after fsync it is durable", s["zxid_durable"] > 0, s)
zn.equal("relaxed: fsync made all that was before it durable", s["zxid_applied"], s["zxid_durable"])
END
python3 "$WORK/relaxed.py" "$MNT"
kill_znodefs
mount_znodefs durability=relaxed,commit_interval_ms=20 || exit 1
equal "relaxed: what was synced survives kill -9" "this one is safe" "$(cat "$MNT/synced")"
echo soon >"$MNT/soon"
caught_up() { [ "$(stat_of zxid_applied)" = "$(stat_of zxid_durable)" ]; }
check "relaxed: the rest follows within the interval" wait_for 3 caught_up
kill_znodefs
mount_znodefs durability=relaxed || exit 1
equal "relaxed: and survives then" soon "$(cat "$MNT/soon")"
echo last >"$MNT/last"
restart durability=strict || exit 1
equal "relaxed: an orderly end loses nothing" last "$(cat "$MNT/last")"
