# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# lib: what the cases share; sourced by each. Sets STATE, MNT, WORK, LOG, and DAEMON while mounted.
#
#   mount_znodefs [OPTION,...]   starts the daemon in the foreground, returns when the mount answers
#   umount_znodefs               unmounts, waits for the daemon, which must end with 0
#   restart [OPTION,...]         both
#   kill_znodefs                 kill -9 and removal of the dead mount
#   ok CLAIM, fail CLAIM         one check
#   check CLAIM COMMAND...       ok if the command succeeds
#   refuse CLAIM COMMAND...      ok if it fails
#   equal CLAIM EXPECTED ACTUAL
#   expect_log REGEX             warnings that match are part of the case
#   skip REASON                  ends the case
set -u

ZN_DIR=${ZN_DIR:?started by tests/mount/run}
STATE=$ZN_DIR/state
MNT=$ZN_DIR/mnt
WORK=$ZN_DIR/work
LOG=$ZN_DIR/daemon.log
DAEMON=
EXPECTED=('^$')
# A wrapper for the daemon, such as one that forbids io_uring.
WRAP=()
mkdir -p "$MNT" "$WORK"
: >>"$LOG"

ok() { echo "ok - $1"; }
fail() { echo "not ok - $1"; }

check() {
	local claim=$1 out
	shift
	if out=$("$@" 2>&1); then
		ok "$claim"
	else
		fail "$claim"
		printf '  command: %s\n  said: %s\n' "$*" "$out"
	fi
}

refuse() {
	local claim=$1 out
	shift
	if out=$("$@" 2>&1); then
		fail "$claim"
		printf '  succeeded: %s\n  said: %s\n' "$*" "$out"
	else
		ok "$claim"
	fi
}

equal() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		fail "$1"
		printf '  expected: %s\n  actual:   %s\n' "$2" "$3"
	fi
}

skip() {
	echo "skip: $1"
	exit 77
}

expect_log() { EXPECTED+=("$1"); }

# Writes down a process so that the runner can end it if this case cannot.
started() { echo "$1 $(awk '{ print $22 }' "/proc/$1/stat" 2>/dev/null)" >>"$ZN_DIR/pids"; }

need_fuse() {
	if [ ! -c /dev/fuse ] || [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then
		skip "no /dev/fuse that we may open"
	fi
}

need_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }

need() {
	local c
	for c in "$@"; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$c" >/dev/null || skip "no $c"
	done
}

# wait_for SECONDS COMMAND...: true as soon as the command succeeds.
wait_for() {
	local end=$((SECONDS + $1 * ${ZN_SLOW:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

mounted() { awk -v m="$MNT" '$2 == m { found = 1 } END { exit !found }' /proc/self/mounts; }
alive() { kill -0 "$1" 2>/dev/null; }
answers() { mounted && grep -q . "$MNT/.znodefs/stats"; }
answers_or_ended() { ! alive "$DAEMON" || answers; }

# The options that every case takes; small segments keep the disk's share of a test small.
mount_znodefs() {
	"${WRAP[@]}" "$ZNODEFS" -f -o "segment_size=4M${1:+,$1}" "$STATE" "$MNT" 2>>"$LOG" &
	DAEMON=$!
	started "$DAEMON"
	if wait_for 30 answers_or_ended && alive "$DAEMON"; then
		return 0
	fi
	fail "the daemon starts and its mount answers"
	tail -n 5 "$LOG" | sed 's/^/  /'
	return 1
}

unmount() { umount "$1" 2>/dev/null || fusermount3 -u "$1"; }

umount_znodefs() {
	local status tries=0
	# A process that has just been ended may still hold the mount for a moment.
	until unmount "$MNT" 2>/dev/null; do
		tries=$((tries + 1))
		if [ $tries -ge 100 ]; then
			fail "the mount can be unmounted"
			unmount "$MNT"
			umount -l "$MNT" 2>/dev/null
			break
		fi
		sleep 0.02
	done
	wait "$DAEMON"
	status=$?
	DAEMON=
	[ $status = 0 ] || fail "the daemon ends with status 0 after unmount, not $status"
	return $status
}

restart() {
	umount_znodefs
	mount_znodefs "$@"
}

kill_znodefs() {
	kill -9 "$DAEMON" 2>/dev/null
	wait "$DAEMON" 2>/dev/null
	DAEMON=
	umount -l "$MNT" 2>/dev/null || fusermount3 -uz "$MNT"
}

stat_of() { sed -n "s/^$1[ =:]*//p" "$MNT/.znodefs/stats" | head -n 1; }
attr_of() { getfattr --only-values -n "$1" "$2" 2>/dev/null; }

# What the daemon said at priority <0>..<4>, and any sanitizer's report.
log_complaints() {
	grep -E -e '^<[0-4]>' -e 'ERROR: AddressSanitizer' -e 'ERROR: LeakSanitizer' -e 'runtime error:' \
		-e 'WARNING: ThreadSanitizer' -e 'assert' "$LOG" |
		grep -v -E "$(IFS='|'; echo "${EXPECTED[*]}")"
}

finish() {
	local status=$? complaints
	trap - EXIT
	if [ -n "$DAEMON" ]; then
		if mounted; then
			umount_znodefs || status=1
		else
			kill "$DAEMON" 2>/dev/null
			wait "$DAEMON" 2>/dev/null
		fi
	fi
	mounted && { umount -l "$MNT" 2>/dev/null || fusermount3 -uz "$MNT"; }
	if [ $status != 77 ]; then
		complaints=$(log_complaints)
		if [ -n "$complaints" ]; then
			fail "the daemon's log holds no warning"
			echo "$complaints" | head -n 20 | sed 's/^/  /'
		fi
	fi
	exit $status
}

trap finish EXIT
trap 'exit 143' TERM INT
need_fuse
