#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ten shells take turns at a lock, made by exclusive creation and by mkdir: never two holders.
# limit: 120
. "$(dirname "$0")/lib.sh"
mount_znodefs || exit 1
SHELLS=10
TURNS=${ZN_LOCK_TURNS:-15}

# The witness lies outside the mount: a holder that finds another's mark there says so.
cat >"$WORK/turns" <<'END'
#!/bin/bash
# turns HOW LOCK WITNESS TURNS
how=$1 lock=$2 witness=$3
take_file() { (set -C; echo "$$" >"$lock") 2>/dev/null; }
take_dir() { mkdir "$lock" 2>/dev/null; }
take_link() { echo "$$" >"$lock.$$" && ln "$lock.$$" "$lock" 2>/dev/null; }
drop_file() { rm "$lock"; }
drop_dir() { rmdir "$lock"; }
drop_link() { rm "$lock" "$lock.$$"; }
for ((i = 0; i < $4; i++)); do
	until "take_$how"; do :; done
	if ! ln -s $$ "$witness/holder"; then
		echo "two holders: $$ and $(readlink "$witness/holder")" >>"$witness/log"
	fi
	[ "$how" = dir ] || [ "$(cat "$lock")" = $$ ] || echo "$$ reads another's pid" >>"$witness/log"
	echo "turn $$" >>"$witness/log"
	rm "$witness/holder"
	"drop_$how" || echo "$$ could not release" >>"$witness/log"
done
END
chmod +x "$WORK/turns"
for how in file dir link; do
	witness=$WORK/witness.$how
	mkdir "$witness" "$MNT/$how"
	: >"$witness/log"
	pids=()
	for ((i = 0; i < SHELLS; i++)); do
		"$WORK/turns" $how "$MNT/$how/lock" "$witness" "$TURNS" &
		pids+=($!)
		started $!
	done
	wait "${pids[@]}"
	equal "$how: never two holders" "" "$(grep -v '^turn' "$witness/log")"
	equal "$how: everyone gets all its turns" "$SHELLS x $TURNS" \
		"$(grep '^turn' "$witness/log" | sort | uniq -c | awk -v n="$TURNS" '$1 == n { c++ } END { print c " x " n }')"
	equal "$how: nothing stays behind" "" "$(ls -A "$MNT/$how")"
done
