#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fuzz SECONDS CORPUS_DIR FUZZER...: runs each fuzzer for that long; found inputs stay in the corpus,
# crashes lie beside it and fail the run. Seeds: tests/fuzz/corpus/NAME/, if there.
set -u
seconds=$1
corpus=$2
shift 2
passed=0
failed=0
for fuzzer in "$@"; do
	name=${fuzzer##*/}
	mkdir -p "$corpus/$name"
	dirs=("$corpus/$name")
	[ -d "tests/fuzz/corpus/$name" ] && dirs+=("tests/fuzz/corpus/$name")
	if "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -close_fd_mask=1 \
		-artifact_prefix="$corpus/$name-" "${dirs[@]}" >"$corpus/$name.log" 2>&1 </dev/null; then
		passed=$((passed + 1))
		echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$corpus/$name.log") runs, nothing found"
	else
		failed=$((failed + 1))
		echo "$name: failed; see $corpus/$name.log"
		tail -n 30 "$corpus/$name.log" | sed 's/^/    /'
	fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
