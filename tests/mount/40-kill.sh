#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of the daemon under load from 8 writers, many rounds (ZN_KILL_ROUNDS, 25): every
# acknowledged create, value, rename and delete is there, nothing half, zxids only grow.
# limit: 180
. "$(dirname "$0")/lib.sh"
need python3
ROUNDS=${ZN_KILL_ROUNDS:-25}
SEED=${ZN_KILL_SEED:-$RANDOM}
echo "seed $SEED, $ROUNDS rounds"
RANDOM=$SEED
mount_znodefs "$@" || exit 1
for ((round = 0; round < ROUNDS; round++)); do
	python3 "$CASES/killload.py" load "$MNT" "$WORK" "$round" "$SEED" &
	load=$!
	started $load
	check "round $round: the writers are at work" wait_for 20 test -s "$WORK/running"
	sleep "0.$((RANDOM % 600 + 200))"
	kill_znodefs
	wait $load
	rm -f "$WORK/running"
	mount_znodefs "$@" || exit 1
	python3 "$CASES/killload.py" verify "$MNT" "$WORK" "$round" "$SEED"
done
# The same after an orderly end.
restart "$@" || exit 1
python3 "$CASES/killload.py" verify "$MNT" "$WORK" "$ROUNDS" "$SEED"
