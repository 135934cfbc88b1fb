# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# lib: what the bench scripts share; sourced by each with $1 as the build directory (build/).
# Sets WORK, a private directory on the file system of the build directory ($BENCH_DIR: elsewhere),
# and removes it at the end, whatever happens, with all that was mounted and started.
#
#   start_nullfs, start_znodefs [OPTION,...]   mount on $WORK/nullfs, $WORK/znodefs
#   stop NAME                                  unmounts it, waits for it; its pid: ${PID_OF[NAME]}
#   field NAME LINE                            the value of NAME=VALUE in a line of results
#   calc EXPRESSION [FORMAT]                   awk's arithmetic
set -euo pipefail
export LC_ALL=C

BENCH_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=$(realpath "${1:-${BUILD:-$BENCH_SOURCE/../../build}}")
BIN=${BENCH_BIN:-$BUILD/bench-bin}
ZNODEFS=${ZNODEFS:-$BUILD/znodefs}
declare -A PID_OF=() MOUNT_OF=()

die() {
	printf 'bench: %s\n' "$*" >&2
	[ "$BASH_SUBSHELL" = 0 ] || kill -TERM "$$" # not only the $(...) that we are in
	exit 1
}

field() {
	[[ " $2 " =~ [[:space:]]"$1"=([^[:space:]]+) ]] || die "no $1 in: $2"
	printf '%s\n' "${BASH_REMATCH[1]}"
}

calc() {
	awk -v format="${2:-%.2f}" "BEGIN { printf format \"\\n\", ($1) }"
}

# NAME COMMAND...: its output in $WORK/NAME.log; done when the mount answers.
start() {
	local name=$1 mnt=$WORK/$1 i
	shift
	mkdir "$mnt"
	"$@" "$mnt" >"$WORK/$name.log" 2>&1 &
	PID_OF[$name]=$!
	MOUNT_OF[$name]=$mnt
	for ((i = 0; i < 500; i++)); do
		if mountpoint -q "$mnt" && stat -f "$mnt" >/dev/null 2>&1; then
			return
		fi
		kill -0 "${PID_OF[$name]}" 2>/dev/null || break
		sleep 0.02
	done
	cat "$WORK/$name.log" >&2
	die "$name does not mount"
}

# Time-outs and readers as the daemon has them.
start_nullfs() {
	start nullfs "$BIN/nullfs" -t "${BENCH_READERS:-3}" -T 1
}

start_znodefs() {
	mkdir -p "$WORK/state"
	start znodefs "$ZNODEFS" -f ${1:+-o "$1"} "$WORK/state"
}

stop() {
	local name=$1 pid=${PID_OF[$1]:-} mnt=${MOUNT_OF[$1]:-} status=0 i
	[ -n "$pid" ] || return 0
	unset "PID_OF[$name]" "MOUNT_OF[$name]"
	fusermount3 -u "$mnt" 2>/dev/null || kill "$pid" 2>/dev/null || true # SIGTERM unmounts too
	for ((i = 0; i < 1000; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.02
	done
	kill -KILL "$pid" 2>/dev/null && printf 'bench: %s did not end\n' "$name" >&2
	wait "$pid" || status=$?
	[ "$status" = 0 ] || printf 'bench: %s ended with status %d\n' "$name" "$status" >&2
	! mountpoint -q "$mnt" || umount -l "$mnt"
	rmdir "$mnt"
}

clean_up() {
	local status=$? name
	trap - EXIT INT TERM
	set +e
	for name in "${!PID_OF[@]}"; do
		[ "$status" = 0 ] || sed "s/^/$name: /" "$WORK/$name.log" | tail -n 20 >&2
		stop "$name"
	done
	rm -rf --one-file-system "$WORK"
	exit "$status"
}

mkdir -p "${BENCH_DIR:-$BUILD}"
WORK=$(mktemp -d "$(realpath "${BENCH_DIR:-$BUILD}")/bench-work.XXXXXX")
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
