#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lint SOURCES HEADERS SCRIPTS MANUALS: looks at each with the tools of its kind; needs
# compile_commands.json. Each tool is one check; the last line is "N passed, N failed".
set -u
read -ra sources <<<"$1"
read -ra headers <<<"$2"
read -ra scripts <<<"$3"
read -ra manuals <<<"$4"
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run NAME COMMAND...: quiet if it passes.
run() {
	local name=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		passed=$((passed + 1))
		echo "$name: passed"
	else
		failed=$((failed + 1))
		echo "$name: failed"
		tail -n 200 "$work/out" | sed 's/^/    /'
	fi
}

# clang-format, but comments behind code may be aligned by hand over more lines than it would, so
# the space before them is not compared.
formatted() {
	local f bad=0
	for f in "${sources[@]}" "${headers[@]}"; do
		clang-format "$f" | sed -E 's,[ \t]+/\*, /*,' |
			diff -u --label "$f" --label "$f (clang-format)" <(sed -E 's,[ \t]+/\*, /*,' "$f") - || bad=1
	done
	return $bad
}

# clang-format breaks code at 100 columns where it can; a comment behind code may stand out a little.
narrow() {
	local f bad=0
	for f in "${sources[@]}" "${headers[@]}"; do
		expand -t 8 "$f" | awk -v f="$f" '
			length > 102 && !/\/\*|^ *\*/ || length > 116 { print f ":" NR ": " length " columns"; bad = 1 }
			END { exit bad }' || bad=1
	done
	return $bad
}

plain_text() {
	! grep -nP '[ \t]+$' "${sources[@]}" "${headers[@]}" "${scripts[@]}" Makefile
}

licensed() {
	! grep -L 'SPDX-License-Identifier: Apache-2.0' "${sources[@]}" "${headers[@]}" "${scripts[@]}" | grep .
}

# One file at a time: with more clang-tidy 14 mistakes every va_list for uninitialised.
tidy() {
	printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -n 1 clang-tidy --quiet -p . --warnings-as-errors='*'
}

# invalidFunctionArg: cppcheck 2.10 takes mmap(..., -1, 0) for wrong. readdirCalled: glibc's is safe for
# streams of one's own. resourceLeak: it does not know the cleanup attribute. It does not know either
# that cmocka's assertions end a test, so the tests are left to clang-tidy.
check_cpp() {
	local f ours=()
	for f in "${sources[@]}"; do
		[[ $f == tests/* ]] || ours+=("$f")
	done
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=invalidFunctionArg --suppress=readdirCalled --suppress=resourceLeak --library=posix -j "$(nproc)" -Iinclude -Iengine -Ifs -Itests/unit \
		-D_GNU_SOURCE -D__x86_64__ "${ours[@]}"
}

manual() {
	local out
	out=$(groff -man -Tutf8 -ww -z "${manuals[@]}" 2>&1)
	[ -z "$out" ] || { echo "$out"; return 1; }
}

# systemd-analyze wants the program to exist; the template needs an instance.
unit() {
	sed -e 's|@BINDIR@/znodefs|/bin/true|g' systemd/znodefs@.service >"$work/znodefs@.service"
	systemd-analyze verify --man=no "$work/znodefs@demo.service" 2>&1 | tee "$work/verify"
	! grep -q -e "$work" -e znodefs "$work/verify"
}

security() {
	ln -sf znodefs@.service "$work/znodefs@demo.service"
	systemd-analyze security --no-pager --offline=true --threshold=60 "$work/znodefs@demo.service"
}

run "clang-format" formatted
run "width" narrow
run "trailing blanks" plain_text
run "licence lines" licensed
run "clang-tidy" tidy
run "cppcheck" check_cpp
run "shellcheck" shellcheck -x -P SCRIPTDIR:. "${scripts[@]}"
if command -v python3 >/dev/null; then
	run "python" env PYTHONPYCACHEPREFIX="$work/py" python3 -m compileall -q tests
fi
[ ${#manuals[@]} = 0 ] || run "manual pages" manual
if command -v systemd-analyze >/dev/null; then
	run "systemd unit" unit
	run "systemd unit, exposure" security
else
	echo "systemd unit: skipped, no systemd-analyze"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
