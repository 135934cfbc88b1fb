#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disk of the log is full: growing changes get ENOSPC when the next segment is needed, reads and
# deletes go on; with room again everything does; nothing acknowledged is lost.
# limit: 120
. "$(dirname "$0")/lib.sh"
need_root
need python3 losetup mkfs.ext4
expect_log 'segment|space|ENOSPC|full|room'
IMAGE=$ZN_DIR/disk
DISK=$ZN_DIR/disk.mnt
mkdir "$DISK"
truncate -s 64M "$IMAGE"
PATH=$PATH:/usr/sbin:/sbin
mkfs.ext4 -q -m 0 -F "$IMAGE" || skip "mkfs.ext4 does not work here"
mount -o loop "$IMAGE" "$DISK" 2>/dev/null || skip "no loop device to be had"
drop_disk() {
	local status=$?
	trap - EXIT
	if [ -n "$DAEMON" ]; then
		umount_znodefs || umount -l "$MNT"
	fi
	umount "$DISK" || umount -l "$DISK"
	(exit $status)
	finish
}
trap drop_disk EXIT
STATE=$DISK/state

mount_znodefs || exit 1
mkdir "$MNT/d"
echo known >"$MNT/d/value"
# What is left of the disk but for a little goes to somebody else.
free=$(($(stat -f -c '%a * %S' "$DISK")))
fallocate -l $((free - 9000000)) "$DISK/ballast"
cat >"$WORK/fill.py" <<'END'
import errno
import os
import sys
sys.path.insert(0, os.environ["CASES"])
import zn
m, first = sys.argv[1], int(sys.argv[2])
for i in range(first, first + 400):
    try:
        zn.write("%s/d/f%d" % (m, i), b"%d " % i * 20000)
    except OSError as e:
        zn.equal("a full disk says ENOSPC, after %d values" % (i - first), errno.ENOSPC, e.errno)
        break
else:
    zn.fail("the disk became full")
with open(sys.argv[3], "w") as f:
    f.write(str(i))
zn.raises("mkdir says ENOSPC", errno.ENOSPC, lambda: [os.mkdir("%s/m%d" % (m, k)) for k in range(30000)])
zn.equal("reads go on", b"known\n", zn.read(m + "/d/value"))
zn.check("lists go on", "value" in os.listdir(m + "/d"))
zn.check("stats say so", zn.stats(m)["full"] == 1, zn.stats(m))
zn.equal("the log has not failed", 0, zn.stats(m)["failed"])
try:
    for k in range(first, min(i, first + 20)):
        os.unlink("%s/d/f%d" % (m, k))
    zn.ok("deletes go on")
except OSError as e:
    zn.fail("deletes go on", zn.name_of(e.errno))
END
python3 "$WORK/fill.py" "$MNT" 0 "$WORK/count"
count=$(cat "$WORK/count")
rm "$DISK/ballast"
room() { echo room >"$MNT/d/room"; }
check "with room again the daemon goes on by itself" wait_for 20 room
python3 - "$MNT" "$count" <<'END'
import os
import sys
sys.path.insert(0, os.environ["CASES"])
import zn
m, count = sys.argv[1], int(sys.argv[2])
wrong = [i for i in range(20, count) if zn.read("%s/d/f%d" % (m, i)) != b"%d " % i * 20000]
zn.equal("every acknowledged value is there", [], wrong)
END
kill_znodefs
mount_znodefs || exit 1
equal "and after kill -9" "known room" "$(cat "$MNT/d/value" "$MNT/d/room" | tr '\n' ' ' | sed 's/ $//')"
umount_znodefs

# --- full at the start
free=$(($(stat -f -c '%a * %S' "$DISK")))
fallocate -l $((free - 100000)) "$DISK/ballast"
if mount_znodefs; then
	equal "a start on a full disk shows what is there" known "$(cat "$MNT/d/value")"
	umount_znodefs
else
	echo "  (refused instead)"
fi
