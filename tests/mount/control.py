# SPDX-License-Identifier: Apache-2.0
"""76-control: MOUNT/.znodefs is found by name, never listed; stats can be read and parsed."""
import errno
import os
import stat
import zn
from zn import equal, check, raises

# What issue after issue may extend, but not take away.
FIELDS = ("uptime", "zxid_applied", "zxid_durable", "batches", "mean_batch", "sync_p50", "sync_p99",
          "sync_max", "nodes", "bytes", "open_handles")


def main(m, _work):
    zn.write(m + "/f", b"1")
    equal("not listed", ["f"], os.listdir(m))
    check("found by name", stat.S_ISDIR(os.stat(m + "/.znodefs").st_mode))
    check("its content is listed", "stats" in os.listdir(m + "/.znodefs"))
    text = zn.read(m + "/.znodefs/stats").decode()
    check("every line is a name and a value", all(len(line.split()) >= 2 for line in text.splitlines()), text)
    s = zn.stats(m)
    equal("stats has what was promised", [], [f for f in FIELDS if not any(k.startswith(f) for k in s)])
    before = zn.stats(m)
    for i in range(50):
        zn.write(m + "/n%d" % i, b"x" * 100)
    after = zn.stats(m)
    equal("nodes counts", before["nodes"] + 50, after["nodes"])
    check("zxids and batches grow", after["zxid_applied"] >= before["zxid_applied"] + 50 and
          after["batches"] > before["batches"], before, after)
    check("all is durable when all calls have returned", after["zxid_durable"] == after["zxid_applied"], after)
    check("bytes grow", after["bytes"] > before["bytes"])
    check("sync latencies are in order", after_value(after, "sync_p50") <= after_value(after, "sync_p99") <=
          after_value(after, "sync_max"), after)
    equal("stat gives it a size that readers accept", True, os.stat(m + "/.znodefs/stats").st_size >= 0)
    equal("cat reads it whole", True, os.popen("cat '%s/.znodefs/stats'" % m).read().endswith("\n"))
    refusing = (errno.EPERM, errno.EACCES, errno.EROFS, errno.EBUSY, errno.EOPNOTSUPP, errno.EEXIST,
                errno.ENOTEMPTY, errno.EINVAL, errno.EISDIR)
    raises("rmdir of it is refused", refusing, os.rmdir, m + "/.znodefs")
    raises("rename of it is refused", refusing, os.rename, m + "/.znodefs", m + "/x")
    raises("rename over it is refused", refusing, os.rename, m + "/f", m + "/.znodefs")
    raises("mkdir of it: EEXIST", errno.EEXIST, os.mkdir, m + "/.znodefs")
    raises("a file in it is refused", refusing, zn.write, m + "/.znodefs/x", b"")
    raises("removing stats is refused", refusing, os.unlink, m + "/.znodefs/stats")
    raises("writing stats is refused", refusing, zn.write, m + "/.znodefs/stats", b"x", os.O_WRONLY)
    raises("an unknown name: ENOENT", errno.ENOENT, os.stat, m + "/.znodefs/none")
    os.mkdir(m + "/d")
    raises("only in the root", errno.ENOENT, os.stat, m + "/d/.znodefs")
    equal("rm -rf * leaves it", 0, os.system("cd '%s' && rm -rf -- * && grep -q . .znodefs/stats" % m))
    zn.write(m + "/f", b"1")
    equal("cp -a does not meet it", ["f"], sorted(copied(m, _work)))

    v = os.statvfs(m)
    check("statvfs: size, free, files", v.f_blocks > 0 and 0 < v.f_bfree <= v.f_blocks and v.f_files > 0, v)
    equal("statvfs: name length", 255, v.f_namemax)
    equal("df works", 0, os.system("df '%s' >/dev/null && df -i '%s' >/dev/null" % (m, m)))


def after_value(s, prefix):
    return next(v for k, v in s.items() if k.startswith(prefix))


def copied(m, work):
    os.system("cp -a '%s/.' '%s/copy'" % (m, work))
    return os.listdir(work + "/copy")


zn.main(main)
