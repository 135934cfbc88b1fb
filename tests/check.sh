#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# check: runs what `make check` has built and sums it up. Arguments: unit, sim, mount. The last line is
# "N passed, N failed"; the exit status is 0 if none failed.
# Environment: BUILD, VARIANT, ZNODEFS (the daemon), SIM_SEEDS.
set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=${BUILD:-build}
VARIANT=${VARIANT:-release}
OBJ=$BUILD/$VARIANT
LOGS=$OBJ/logs
passed=0
failed=0

. tests/sanitizers.sh

add() {
	passed=$((passed + $1))
	failed=$((failed + $2))
}

# report NAME PASSED FAILED SECONDS
report() {
	printf '%-28s %6d passed %4d failed  %5d s\n' "$1" "$2" "$3" "$4"
	add "$2" "$3"
}

# Sums the numbers that follow the pattern $1 in file $2.
sum() {
	sed -n "s/^$1 \([0-9][0-9]*\) test(s).*/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

unit() {
	local bin name log status p f began
	for bin in "$OBJ"/unit/test_*; do
		# Not a program whose source is gone.
		if [ ! -x "$bin" ] || [ ! -f "tests/unit/${bin##*/}.c" ]; then
			continue
		fi
		name=${bin##*/}
		log=$LOGS/$name.log
		began=$SECONDS
		timeout -k 5 300 "$bin" >"$log" 2>&1 </dev/null
		status=$?
		p=$(sum '\[  PASSED  \]' "$log")
		f=$(sum '\[  FAILED  \]' "$log")
		# A crash, a time-out, a sanitizer's report, or a program that ran nothing.
		if [ "$f" = 0 ] && { [ $status -ne 0 ] || [ "$p" = 0 ]; }; then
			echo "$name: ended with status $status" >>"$log"
			f=1
		fi
		report "$name" "$p" "$f" $((SECONDS - began))
		if [ "$f" -gt 0 ]; then
			grep -v -e '^\[ RUN  ' -e '^\[       OK' "$log" | tail -n 60 | sed 's/^/    /'
		fi
	done
}

# The simulation says "N passed, N failed" itself; if it does not, it counts as one test.
sim() {
	local log=$LOGS/sim.log status p f began=$SECONDS
	[ -x "$OBJ/sim" ] || return
	timeout -k 5 900 "$OBJ/sim" "${SIM_SEEDS:-3000}" >"$log" 2>&1 </dev/null
	status=$?
	p=$(sed -n 's/^\(.*[^0-9]\)\{0,1\}\([0-9][0-9]*\) passed.*/\2/p' "$log" | tail -n 1)
	f=$(sed -n 's/.*[^0-9]\([0-9][0-9]*\) failed.*/\1/p' "$log" | tail -n 1)
	if [ -z "$p" ]; then
		p=$((status == 0))
		f=$((status != 0))
	elif [ $status -ne 0 ] && [ "${f:-0}" = 0 ]; then
		f=1
	fi
	report sim "$p" "${f:-0}" $((SECONDS - began))
	if [ $status -ne 0 ]; then
		tail -n 40 "$log" | sed 's/^/    /'
		echo "    sim ended with status $status; whole log: $log"
	fi
}

mount() {
	local log=$LOGS/mount.log p f
	[ -x tests/mount/run ] || return 0
	tests/mount/run 2>&1 </dev/null | tee "$log"
	read -r p f < <(sed -n 's/^mount: \([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p' "$log")
	if [ -z "${f:-}" ]; then
		echo "mount: the runner did not finish"
		p=0
		f=1
	fi
	add "$p" "$f"
}

mkdir -p "$LOGS"
for part in "$@"; do
	case $part in
	unit | sim | mount) "$part" ;;
	*)
		echo "check: unknown part: $part" >&2
		exit 2
		;;
	esac
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
