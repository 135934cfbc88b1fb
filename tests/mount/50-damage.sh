#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Damage from outside: each kind is refused by a message that names the file, with status 1, and the
# refusal changes nothing on disk. A torn tail, which was never acknowledged, is no damage.
# limit: 120
. "$(dirname "$0")/lib.sh"
need python3 sha256sum
mount_znodefs || exit 1
mkdir "$MNT/d"
# Enough for several segments of 4 MiB.
for i in {1..18}; do
	head -c 900000 /dev/urandom >"$MNT/d/$i"
done
echo known >"$MNT/d/value"
umount_znodefs
cp -a "$STATE" "$WORK/good"
mapfile -t segments < <(cd "$STATE" && find log -name '*.seg' -size +0 | sort)
if [ "${#segments[@]}" -lt 4 ]; then
	fail "the log has several segments: ${segments[*]}"
	exit 1
fi
old=${segments[1]}

sums() { (cd "$STATE" && find . \( -type f -o -type l -o -type d \) -printf '%y %p %s %m\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

# refused CLAIM WORDS...: the start ends with 1, the message has each of the words, nothing changed.
refused() {
	local claim=$1 status said word before
	shift
	before=$(sums)
	"$ZNODEFS" -f -o segment_size=4M "$STATE" "$MNT" </dev/null >"$WORK/said" 2>&1 &
	DAEMON=$!
	started $DAEMON
	wait_for 30 answers_or_ended
	if alive $DAEMON && mounted; then
		umount_znodefs
		fail "$claim: refused"
		cp "$WORK/said" "$WORK/accepted"
		sed 's/^/  /' "$WORK/said" | tail -n 5
		return
	fi
	wait $DAEMON
	status=$?
	DAEMON=
	equal "$claim: exit status" 1 $status
	said=$(grep -E '^<[0-3]>' "$WORK/said" || cat "$WORK/said")
	for word in "$@"; do
		check "$claim: the message names $word" grep -qF -e "$word" <<<"$said" || true
	done
	echo "  it says: $(head -n 3 <<<"$said")"
	refuse "$claim: no crash" grep -q -e Sanitizer -e 'runtime error' -e 'assert' "$WORK/said"
	equal "$claim: nothing changed on disk" "$before" "$(sums)"
}

restore() {
	rm -rf "$STATE"
	cp -a "$WORK/good" "$STATE"
}

# flip FILE OFFSET: one bit
flip() {
	python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); b = f.read(1)[0]
    f.seek(int(sys.argv[2])); f.write(bytes([b ^ 4]))' "$STATE/$1" "$2"
}

# The head of a segment and of its first batches: every byte of them is a field or checked padding.
for offset in 0 4 8 12 16 24 32 40 48 56; do
	flip "$old" $offset
	refused "a bit at byte $offset of an old segment" "$(basename "$old")"
	restore
done
for offset in 4096 4100 4104 4112 4120 4128 4136 4144 4160 4200 4300 5000 100000 2000000; do
	flip "$old" $offset
	refused "a bit at byte $offset of an old segment" "$(basename "$old")"
	case $(cat "$WORK/said") in
	*[0-9]*) ;;
	*) fail "an offset is named" ;;
	esac
	restore
done
flip "${segments[0]}" 4200
refused "a bit in the first batch of all" "$(basename "${segments[0]}")"
restore

rm "$STATE/$old"
refused "a missing segment" "$(basename "$old" .seg)"
restore
rm "$STATE/${segments[0]}"
refused "the first segment missing" "$(basename "${segments[0]}" .seg)"
restore
truncate -s 1000000 "$STATE/$old"
refused "a truncated segment" "$(basename "$old")"
restore
truncate -s 0 "$STATE/$old"
refused "an empty segment in the middle" "$(basename "$old")"
restore
cp "$STATE/${segments[0]}" "$STATE/$old"
refused "another segment's content" "$(basename "$old")"
restore
echo hello >"$STATE/log/notes.txt"
refused "a foreign file in the log directory" notes.txt
restore
mkdir "$STATE/log/subdir"
refused "a foreign directory in the log directory" subdir
restore
cp "$STATE/$old" "$STATE/log/00000000000000zz.seg"
refused "a name that is no segment's" 00000000000000zz.seg
restore

# Another log's segment: same number, written by another daemon.
mkdir "$WORK/other"
MNT2=$WORK/mnt2
mkdir "$MNT2"
"$ZNODEFS" -o segment_size=4M "$WORK/other" "$MNT2"
for i in {1..14}; do
	head -c 900000 /dev/urandom >"$MNT2/$i"
done
umount "$MNT2" 2>/dev/null || fusermount3 -u "$MNT2"
unlocked() { ! "$ZNODEFS" -o segment_size=4M "$WORK/other" "$WORK/nowhere" 2>&1 | grep -q 'pid'; }
wait_for 10 unlocked
if [ -f "$WORK/other/$old" ]; then
	cp "$WORK/other/$old" "$STATE/$old"
	refused "a segment of another log" "$(basename "$old")"
	restore
fi

# The format version of a segment is in its bytes 4 and 5 (docs/on-disk-format.md).
for file in "${segments[0]}" "$old"; do
	printf '\x02' | dd of="$STATE/$file" bs=1 seek=4 conv=notrunc status=none
	refused "a newer format version" "$(basename "$file")" version
	restore
done

# What was good still opens.
mount_znodefs || exit 1
equal "the undamaged copy opens" known "$(cat "$MNT/d/value")"
umount_znodefs

# Garbage after the last batch is what a write that was never acknowledged may leave: cut off.
restore
last=$(cd "$STATE" && find log -name '*.seg' | sort | tail -n 1)
python3 "$CASES/tear.py" "$STATE" >"$WORK/torn"
echo "  torn: $(cat "$WORK/torn")"
mount_znodefs || exit 1
equal "with a torn tail all that was acknowledged is there" known "$(cat "$MNT/d/value")"
check "and the daemon goes on" touch "$MNT/more" || echo "$last"
umount_znodefs
mount_znodefs || exit 1
check "over the next restart too" test -e "$MNT/more"
umount_znodefs
