# SPDX-License-Identifier: Apache-2.0
"""74-attributes: znode.* and what changes them; user.*; what is hidden, and what is refused."""
import errno
import os
import zn
from zn import attr, equal, check, raises, succeeds

NUMBERS = ("czxid", "mzxid", "pzxid", "ctime", "mtime", "version", "cversion", "aversion",
           "ephemeralOwner", "dataLength", "numChildren")


def text(path, name):
    return os.getxattr(path, name, follow_symlinks=False).decode()


def form(m):
    zn.write(m + "/f", b"12345")
    for name in NUMBERS:
        value = text(m + "/f", "znode." + name)
        check("znode.%s is a number" % name, value == value.strip() and int(value, 0) >= 0, value)
    for name in ("czxid", "mzxid", "pzxid"):
        check("znode.%s is written 0x" % name, text(m + "/f", "znode." + name).startswith("0x"))
    equal("znode.path", "/f", text(m + "/f", "znode.path"))
    equal("znode.path of the root", "/", text(m, "znode.path"))
    lines = dict(line.split(" = ", 1) for line in text(m + "/f", "znode.stat").splitlines())
    equal("znode.stat has all of them", [], [n for n in NUMBERS if n not in lines])
    equal("with the same values", [text(m + "/f", "znode." + n) for n in NUMBERS], [lines.get(n) for n in NUMBERS])
    equal("znode.dataLength", 5, attr(m + "/f", "dataLength"))
    st = os.stat(m + "/f")
    check("znode.mtime is in milliseconds", abs(attr(m + "/f", "mtime") - st.st_mtime_ns // 1000000) <= 1)
    os.symlink("f", m + "/link")
    check("symlinks have them too", int(text(m + "/link", "znode.czxid"), 0) > attr(m + "/f", "czxid"))
    equal("none is listed", [], os.listxattr(m + "/f"))
    equal("nor on a directory", [], os.listxattr(m))


def meaning(m):
    f = m + "/v"
    zn.write(f, b"")
    created = attr(f, "czxid")
    equal("a new znode's version is 0", 0, attr(f, "version"))
    versions, zxids = [attr(f, "version")], [attr(f, "mzxid")]
    for i in range(5):
        fd = os.open(f, os.O_WRONLY)
        os.pwrite(fd, b"%d" % i, 0)
        os.close(fd)
        versions.append(attr(f, "version"))
        zxids.append(attr(f, "mzxid"))
    equal("each change of data is one version", [0, 1, 2, 3, 4, 5], versions)
    check("and a larger mzxid", zxids == sorted(set(zxids)), zxids)
    equal("czxid stays", created, attr(f, "czxid"))
    before = attr(f, "aversion"), attr(f, "version"), attr(f, "mzxid")
    os.chmod(f, 0o600)
    equal("chmod is one aversion, no version", (before[0] + 1, before[1], before[2]),
          (attr(f, "aversion"), attr(f, "version"), attr(f, "mzxid")))
    version = attr(f, "version")
    os.truncate(f, 0)
    equal("truncate is a version", version + 1, attr(f, "version"))

    d = m + "/dir"
    os.mkdir(d)
    states = [(attr(d, "cversion"), attr(d, "numChildren"), attr(d, "pzxid"))]
    for change in (lambda: zn.write(d + "/1", b""), lambda: os.mkdir(d + "/2"),
                   lambda: os.unlink(d + "/1"), lambda: os.rename(d + "/2", d + "/3"),
                   lambda: os.rmdir(d + "/3")):
        change()
        states.append((attr(d, "cversion"), attr(d, "numChildren"), attr(d, "pzxid")))
    check("cversion grows with each change of children",
          all(a[0] < b[0] for a, b in zip(states, states[1:])), states)
    equal("numChildren counts them", [0, 1, 2, 1, 1, 0], [s[1] for s in states])
    check("pzxid grows", all(a[2] < b[2] for a, b in zip(states, states[1:])), states)
    before = attr(d, "version"), attr(d, "mzxid")
    zn.write(d + "/x", b"")
    equal("children are no change of data", before, (attr(d, "version"), attr(d, "mzxid")))
    pzxid, cversion = attr(d, "pzxid"), attr(d, "cversion")
    fd = os.open(d + "/x", os.O_WRONLY)
    os.write(fd, b"value")
    os.close(fd)
    equal("a child's value is no change of children", (pzxid, cversion), (attr(d, "pzxid"), attr(d, "cversion")))
    equal("a child's czxid is its parent's pzxid", attr(d + "/x", "czxid"), attr(d, "pzxid"))

    # One total order over the whole tree.
    seen = []
    for i in range(20):
        zn.write("%s/o%d" % (m, i), b"")
        seen.append(attr("%s/o%d" % (m, i), "czxid"))
    check("czxids follow the order of creation", seen == sorted(set(seen)))
    equal("no ephemeral owner", 0, attr(f, "ephemeralOwner"))


def stored(m):
    f = m + "/s"
    zn.write(f, b"")
    os.setxattr(f, "user.color", b"blue\0\xff")
    equal("user.* is stored", b"blue\0\xff", os.getxattr(f, "user.color"))
    equal("and listed", ["user.color"], os.listxattr(f))
    raises("XATTR_CREATE of an existing one: EEXIST", errno.EEXIST, os.setxattr, f, "user.color", b"", os.XATTR_CREATE)
    raises("XATTR_REPLACE of a missing one: ENODATA", errno.ENODATA, os.setxattr, f, "user.none", b"", os.XATTR_REPLACE)
    succeeds("XATTR_REPLACE", os.setxattr, f, "user.color", b"red", os.XATTR_REPLACE)
    equal("replaces", b"red", os.getxattr(f, "user.color"))
    os.setxattr(f, "user.empty", b"")
    equal("an empty value", b"", os.getxattr(f, "user.empty"))
    big = os.urandom(65536)
    succeeds("a value of 64 KiB", os.setxattr, f, "user.big", big)
    equal("is kept", big, os.getxattr(f, "user.big"))
    equal("all are listed", ["user.big", "user.color", "user.empty"], sorted(os.listxattr(f)))
    os.removexattr(f, "user.big")
    raises("a removed one is gone: ENODATA", errno.ENODATA, os.getxattr, f, "user.big")
    raises("removing it again: ENODATA", errno.ENODATA, os.removexattr, f, "user.big")
    raises("a missing one: ENODATA", errno.ENODATA, os.getxattr, f, "user.none")
    version = attr(f, "version")
    os.setxattr(f, "user.color", b"green")
    equal("an attribute is no change of data", version, attr(f, "version"))
    for i in range(100):
        os.setxattr(f, "user.n%03d" % i, b"%d" % i)
    equal("a hundred of them", 102, len(os.listxattr(f)))
    equal("each with its value", [b"%d" % i for i in range(100)],
          [os.getxattr(f, "user.n%03d" % i) for i in range(100)])


def refused(m):
    f = m + "/r"
    zn.write(f, b"")
    for name in ("znode.czxid", "znode.version", "znode.stat", "znode.path"):
        raises("setting %s: EOPNOTSUPP" % name, errno.EOPNOTSUPP, os.setxattr, f, name, b"1")
    raises("an unknown znode.*: EOPNOTSUPP when set", errno.EOPNOTSUPP, os.setxattr, f, "znode.nonsense", b"1")
    raises("and ENODATA when read", (errno.ENODATA, errno.EOPNOTSUPP), os.getxattr, f, "znode.nonsense")
    raises("removing a virtual one is refused", (errno.EOPNOTSUPP, errno.EPERM), os.removexattr, f, "znode.czxid")
    raises("POSIX ACLs: EOPNOTSUPP", errno.EOPNOTSUPP, os.setxattr, f, "system.posix_acl_access",
           b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x04\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff")
    if os.getuid() == 0:
        raises("trusted.*: EOPNOTSUPP", errno.EOPNOTSUPP, os.setxattr, f, "trusted.x", b"1")
    raises("other namespaces: EOPNOTSUPP", errno.EOPNOTSUPP, os.setxattr, f, "com.example", b"1")


def main(m, _work):
    form(m)
    meaning(m)
    stored(m)
    refused(m)


zn.main(main)
