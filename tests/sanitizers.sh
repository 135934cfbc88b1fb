# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# sanitizers: how sanitized programs behave in tests; sourced by check.sh and mount/run. Nothing here
# matters to others. Call from the top of the tree.
export ASAN_OPTIONS=${ASAN_OPTIONS:-suppressions=$PWD/tests/asan.supp:detect_leaks=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$PWD/tests/lsan.supp:print_suppressions=0}
export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$PWD/tests/tsan.supp:exitcode=66:second_deadlock_stack=1}
