#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# max_memory: what grows the tree gets ENOSPC, reads and deletes go on, the room comes back.
# limit: 90
. "$(dirname "$0")/lib.sh"
need python3
# A full tree may be worth a warning.
expect_log 'max_memory|memory|ENOSPC|full'
mount_znodefs max_memory=8M || exit 1
cat >"$WORK/fill.py" <<'END'
import errno
import os
import sys
sys.path.insert(0, os.environ["CASES"])
import zn

m = sys.argv[1]
zn.equal("df shows max_memory", 8 << 20, (lambda v: v.f_blocks * v.f_frsize)(os.statvfs(m)))


def fill(prefix, data):
    """How many files fitted, and the errno of the one that did not."""
    for i in range(100000):
        try:
            zn.write("%s/%s%d" % (m, prefix, i), data)
        except OSError as e:
            return i, e.errno
    return i, 0


os.mkdir(m + "/keep")
zn.write(m + "/keep/value", b"kept")
count, error = fill("f", b"v" * 50000)
zn.equal("a full tree says ENOSPC", errno.ENOSPC, error)
zn.check("after about max_memory: %d values of 50000 bytes" % count, 100 <= count <= 168, count)
small, error = fill("s", b"")
zn.equal("small ones too", errno.ENOSPC, error)
zn.raises("mkdir: ENOSPC", errno.ENOSPC, lambda: [os.mkdir("%s/d%d" % (m, i)) for i in range(5000)])
zn.raises("symlink: ENOSPC", errno.ENOSPC, lambda: [os.symlink("t" * 4000, "%s/l%d" % (m, i)) for i in range(5000)])
zn.raises("setxattr: ENOSPC", errno.ENOSPC,
          lambda: [os.setxattr(m + "/keep/value", "user.a%d" % i, b"x" * 60000) for i in range(300)])
fd = os.open(m + "/f0", os.O_WRONLY)
zn.raises("a growing write: ENOSPC", errno.ENOSPC, os.pwrite, fd, b"w" * 500000, 50000)
os.close(fd)
zn.equal("which changed nothing", b"v" * 50000, zn.read(m + "/f0"))
zn.equal("reads go on", b"kept", zn.read(m + "/keep/value"))
zn.succeeds("renames go on", os.rename, m + "/keep/value", m + "/keep/other")
zn.succeeds("chmod goes on", os.chmod, m + "/keep/other", 0o600)
zn.succeeds("truncation goes on", os.truncate, m + "/f0", 10)
for i in range(1, count):
    os.unlink("%s/f%d" % (m, i))
zn.ok("deletes go on")
zn.succeeds("and then there is room again", zn.write, m + "/after", b"a" * 500000)
again, error = fill("g", b"v" * 50000)
zn.check("as much as before: %d" % again, again > count // 2, again)
END
python3 "$WORK/fill.py" "$MNT"
restart max_memory=8M || exit 1
equal "a restart with a full tree works" 500000 "$(stat -c %s "$MNT/after")"
check "and deletes" rm "$MNT/after"
