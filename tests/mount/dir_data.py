# SPDX-License-Identifier: Apache-2.0
"""75-dir-data: DIR/@data is the value of the directory's own znode."""
import errno
import os
import zn
from zn import attr, equal, check, raises, succeeds


def main(m, _work):
    d = m + "/d"
    os.mkdir(d)
    equal("@data of a new directory is not listed", [], os.listdir(d))
    equal("but found by name, and empty", b"", zn.read(d + "/@data"))
    version, cversion, pzxid = attr(d, "version"), attr(d, "cversion"), attr(d, "pzxid")
    succeeds("it can be written", zn.write, d + "/@data", b"value of d", os.O_WRONLY | os.O_TRUNC)
    equal("and read", b"value of d", zn.read(d + "/@data"))
    equal("then it is listed", ["@data"], os.listdir(d))
    equal("its size is stat's", 10, os.stat(d + "/@data").st_size)
    equal("and znode.dataLength of the directory", 10, attr(d, "dataLength"))
    check("it is a change of the directory's data", attr(d, "version") > version)
    equal("not of its children", (cversion, pzxid, 0), (attr(d, "cversion"), attr(d, "pzxid"), attr(d, "numChildren")))
    succeeds("with O_CREAT as a shell opens it", zn.write, d + "/@data", b"again")
    equal("it is rewritten", b"again", zn.read(d + "/@data"))
    fd = os.open(d + "/@data", os.O_WRONLY | os.O_APPEND)
    os.write(fd, b" and more")
    os.close(fd)
    equal("appended to", b"again and more", zn.read(d + "/@data"))
    os.truncate(d + "/@data", 5)
    equal("truncated", b"again", zn.read(d + "/@data"))
    raises("a directory with data is not empty: ENOTEMPTY", errno.ENOTEMPTY, os.rmdir, d)
    raises("mkdir of @data: EEXIST", errno.EEXIST, os.mkdir, d + "/@data")
    raises("O_EXCL of @data: EEXIST", errno.EEXIST, os.open, d + "/@data", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    raises("symlink over @data: EEXIST", errno.EEXIST, os.symlink, "x", d + "/@data")
    raises("a hard link of @data is refused", (errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.EACCES,
                                                errno.EMLINK), os.link, d + "/@data", m + "/l")
    zn.write(m + "/new", b"by rename")
    succeeds("a file renamed over it sets it", os.rename, m + "/new", d + "/@data")
    equal("to its content", b"by rename", zn.read(d + "/@data"))
    raises("and the file is gone", errno.ENOENT, os.stat, m + "/new")
    zn.write(d + "/child", b"c")
    equal("children and data are listed", ["@data", "child"], sorted(os.listdir(d)))
    equal("numChildren counts only children", 1, attr(d, "numChildren"))
    os.rename(d, m + "/moved")
    d = m + "/moved"
    equal("the data move with the directory", b"by rename", zn.read(d + "/@data"))
    succeeds("unlink empties it", os.unlink, d + "/@data")
    equal("it is not listed any more", ["child"], os.listdir(d))
    equal("still found", b"", zn.read(d + "/@data"))
    os.unlink(d + "/child")
    succeeds("and the directory can be removed", os.rmdir, d)
    zn.write(m + "/@data", b"root", os.O_WRONLY | os.O_TRUNC)
    equal("the root has data too", b"root", zn.read(m + "/@data"))
    equal("cp -r into an existing directory takes it along", 0, copy(m))
    equal("as the copy's data", b"of a", zn.read(m + "/b/@data"))
    equal("rm -r removes a directory with data", 0, os.system("rm -r '%s/b'" % m))
    os.makedirs(m + "/p/q")
    zn.write(m + "/p/q/@data", b"deep", os.O_WRONLY)
    equal("grep -r finds it", 0, os.system("grep -rq deep '%s/p'" % m))
    replaced_beside_others(m)


def replaced_beside_others(m):
    """A file is renamed over @data while others look its name up: @data is the directory's at once."""
    pollers = []
    for look in (os.stat, lambda path: list(os.scandir(os.path.dirname(path)))):
        pid = os.fork()
        while pid == 0:
            try:
                look(m + "/source")
            except OSError:
                pass
        pollers.append(pid)
    missed, wrong = 0, 0
    os.mkdir(m + "/r")
    for i in range(100):
        zn.write(m + "/source", b"renamed %d" % i, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.rename(m + "/source", m + "/r/@data")
        wrong += zn.read(m + "/r/@data") != b"renamed %d" % i
        version = attr(m + "/r", "version")
        zn.write(m + "/r/@data", b"written", os.O_WRONLY)
        missed += attr(m + "/r", "version") == version
    for pid in pollers:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    equal("after a rename over @data it is read there", 0, wrong)
    equal("and no write to it misses the directory", 0, missed)
    zn.write(m + "/source", b"two names", os.O_WRONLY | os.O_CREAT)
    os.link(m + "/source", m + "/kept")
    raises("a file with two names is not taken", errno.EXDEV, os.rename, m + "/source", m + "/r/@data")


def copy(m):
    os.mkdir(m + "/a")
    zn.write(m + "/a/@data", b"of a", os.O_WRONLY | os.O_TRUNC)
    zn.write(m + "/a/f", b"f")
    # Into a directory that cp itself has just made it opens every file with O_EXCL, and @data is
    # always there: that fails, with a message.
    os.mkdir(m + "/b")
    return os.system("cp -r '%s/a/.' '%s/b'" % (m, m))


zn.main(main)
