#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# count-hops: what one durable rewrite and one durable create by a single client cost the daemon:
# system calls (strace), context switches and CPU time (/proc), beside the null file system, which
# also says how many requests the kernel sends for one operation. Prints Markdown.
#
#   tests/bench/count-hops.sh [BUILD]     the environment is that of tests/bench/run
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SECONDS_EACH=${BENCH_SECONDS:-1.5}

# PID: voluntary and involuntary context switches and ns on a CPU, of all its threads so far
switches() {
	cat /proc/"$1"/task/*/status /proc/"$1"/task/*/schedstat | awk '
		$1 == "voluntary_ctxt_switches:" { voluntary += $2 }
		$1 == "nonvoluntary_ctxt_switches:" { involuntary += $2 }
		NF == 3 && /^[0-9 ]+$/ { ns += $1 }
		END { printf "%d %d %d\n", voluntary, involuntary, ns }'
}

# WORKLOAD DIRECTORY: its line of results; the directory is new, nothing is cleaned up
client() {
	mkdir "$2"
	"$BIN/client" --seconds "$SECONDS_EACH" --keep "$1" "$2" || die "client $1 failed"
}

# NAME WORKLOAD
count_switches() {
	local name=$1 pid=${PID_OF[$1]} line before after
	local -a b a
	before=$(switches "$pid")
	line=$(client "$2" "${MOUNT_OF[$name]}/$2")
	after=$(switches "$pid")
	read -ra b <<<"$before"
	read -ra a <<<"$after"
	awk -v ops="$(field ops "$line")" -v p50="$(field p50_us "$line")" -v name="$name, $2" \
		-v v=$((a[0] - b[0])) -v i=$((a[1] - b[1])) -v ns=$((a[2] - b[2])) '
		BEGIN {
			printf "| %s | %d | %.2f | %.2f | %.1f | %s |\n",
				name, ops, v / ops, i / ops, ns / ops / 1000, p50
		}'
}

# NAME WORKLOAD: one line a system call
count_calls() {
	local name=$1 line tracer
	strace -q -c -f -o "$WORK/strace" -p "${PID_OF[$name]}" &
	tracer=$!
	sleep 0.5
	line=$(client "$2" "${MOUNT_OF[$name]}/$2-traced")
	kill -INT "$tracer"
	wait "$tracer" || true
	awk -v ops="$(field ops "$line")" -v name="$name" -v w="$2" '
		$1 ~ /^[0-9.]+$/ && $NF != "total" && $4 / ops >= 0.005 {
			printf "| %s, %s | %s | %.2f |\n", name, w, $NF, $4 / ops; sum += $4 }
		END { printf "| %s, %s | **all** | %.2f |\n", name, w, sum / ops }' "$WORK/strace"
}

both() {
	local name workload
	for name in nullfs znodefs; do
		for workload in rewrite create; do
			"$1" "$name" "$workload"
		done
	done
}

main() {
	start_nullfs
	start_znodefs "${BENCH_OPTIONS:-}"
	printf '## Hops of one client, per operation\n\n'
	printf '| | operations | voluntary switches | involuntary | CPU µs | p50 µs |\n'
	printf '|---|---|---|---|---|---|\n'
	both count_switches
	if command -v strace >/dev/null; then
		printf '\n| | system call of the daemon | calls |\n|---|---|---|\n'
		both count_calls
	else
		printf '\nNo strace here: system calls not counted.\n'
	fi
	stop znodefs
	stop nullfs
	printf '\nThe null file system, all of the above: %s\n' "$(cat "$WORK/nullfs.log")"
}

main
