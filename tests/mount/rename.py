# SPDX-License-Identifier: Apache-2.0
"""71-rename: every form of rename(2) and renameat2(2)."""
import errno
import os
import threading
import zn
from zn import raises, succeeds, equal, check


def plain(m):
    os.mkdir(m + "/a")
    os.mkdir(m + "/b")
    zn.write(m + "/a/f", b"f")
    zn.write(m + "/a/g", b"g")
    ino = os.stat(m + "/a/f").st_ino
    succeeds("into another directory", os.rename, m + "/a/f", m + "/b/f")
    equal("it is the same node", ino, os.stat(m + "/b/f").st_ino)
    succeeds("over an existing file", os.rename, m + "/b/f", m + "/a/g")
    equal("the target's content is the source's", b"f", zn.read(m + "/a/g"))
    raises("the source is gone", errno.ENOENT, os.stat, m + "/b/f")
    succeeds("onto itself", os.rename, m + "/a/g", m + "/a/g")
    os.link(m + "/a/g", m + "/a/h")
    succeeds("of one hard link onto another of the same node", os.rename, m + "/a/g", m + "/a/h")
    equal("does nothing, as POSIX says", ["g", "h"], sorted(os.listdir(m + "/a")))
    os.unlink(m + "/a/h")
    succeeds("a directory over an empty one", os.rename, m + "/a", m + "/b")
    equal("takes its content along", ["g"], os.listdir(m + "/b"))
    os.mkdir(m + "/c")
    raises("a directory over one with children: ENOTEMPTY", (errno.ENOTEMPTY, errno.EEXIST), os.rename,
           m + "/c", m + "/b")
    zn.write(m + "/f", b"")
    raises("a directory over a file: ENOTDIR", errno.ENOTDIR, os.rename, m + "/c", m + "/f")
    raises("a file over a directory: EISDIR", errno.EISDIR, os.rename, m + "/f", m + "/c")
    raises("of nothing: ENOENT", errno.ENOENT, os.rename, m + "/none", m + "/x")
    raises("into nothing: ENOENT", errno.ENOENT, os.rename, m + "/f", m + "/none/x")
    raises("below a file: ENOTDIR", errno.ENOTDIR, os.rename, m + "/f", m + "/b/g/x")
    raises("a directory into itself: EINVAL", errno.EINVAL, os.rename, m + "/c", m + "/c/x")
    os.makedirs(m + "/c/1/2/3")
    raises("a directory into its descendant: EINVAL", errno.EINVAL, os.rename, m + "/c", m + "/c/1/2/3/x")
    raises("a descendant over its ancestor: ENOTEMPTY", (errno.ENOTEMPTY, errno.EEXIST), os.rename,
           m + "/c/1/2/3", m + "/c")
    raises("to another file system: EXDEV", errno.EXDEV, os.rename, m + "/f", os.path.dirname(m) + "/f")
    os.symlink("f", m + "/link")
    succeeds("of a symlink moves the link", os.rename, m + "/link", m + "/c/link")
    equal("not its target", "f", os.readlink(m + "/c/link"))
    before = os.stat(m + "/c").st_nlink
    os.rename(m + "/c/1", m + "/one")
    equal("a directory that leaves takes its link", before - 1, os.stat(m + "/c").st_nlink)
    equal(".. of the moved directory is right", os.stat(m).st_ino, os.stat(m + "/one/..").st_ino)
    equal("znode.path follows a rename", "/one/2/3", os.getxattr(m + "/one/2/3", "znode.path").decode())


def flags(m):
    zn.write(m + "/x", b"x")
    zn.write(m + "/y", b"y")
    raises("NOREPLACE over a file: EEXIST", errno.EEXIST, zn.renameat2, m + "/x", m + "/y", zn.RENAME_NOREPLACE)
    succeeds("NOREPLACE to a free name", zn.renameat2, m + "/x", m + "/z", zn.RENAME_NOREPLACE)
    succeeds("EXCHANGE of two files", zn.renameat2, m + "/y", m + "/z", zn.RENAME_EXCHANGE)
    equal("swaps them", (b"x", b"y"), (zn.read(m + "/y"), zn.read(m + "/z")))
    raises("EXCHANGE with nothing: ENOENT", errno.ENOENT, zn.renameat2, m + "/y", m + "/none", zn.RENAME_EXCHANGE)
    os.makedirs(m + "/dir/sub")
    succeeds("EXCHANGE of a file with a directory", zn.renameat2, m + "/y", m + "/dir", zn.RENAME_EXCHANGE)
    equal("swaps them too", (b"x", ["sub"]), (zn.read(m + "/dir"), os.listdir(m + "/y")))
    os.mkdir(m + "/y/sub/deep")
    zn.write(m + "/y/file", b"1")
    links = os.stat(m).st_nlink, os.stat(m + "/y").st_nlink
    succeeds("EXCHANGE across directories", zn.renameat2, m + "/y/sub", m + "/dir", zn.RENAME_EXCHANGE)
    equal("moves the links of directories", (links[0] + 1, links[1] - 1),
          (os.stat(m).st_nlink, os.stat(m + "/y").st_nlink))
    raises("EXCHANGE of a directory with its descendant: EINVAL", errno.EINVAL, zn.renameat2, m + "/dir",
           m + "/dir/deep", zn.RENAME_EXCHANGE)
    raises("EXCHANGE of a descendant with its ancestor: EINVAL", errno.EINVAL, zn.renameat2,
           m + "/dir/deep", m + "/dir", zn.RENAME_EXCHANGE)
    raises("NOREPLACE|EXCHANGE: EINVAL", errno.EINVAL, zn.renameat2, m + "/z", m + "/w", 3)
    raises("WHITEOUT: EINVAL", (errno.EINVAL, errno.EPERM), zn.renameat2, m + "/z", m + "/w", zn.RENAME_WHITEOUT)
    raises("an unknown flag: EINVAL", errno.EINVAL, zn.renameat2, m + "/z", m + "/w", 1 << 10)


def atomic(m):
    """A name that is replaced by rename is never absent, and its content never half."""
    zn.write(m + "/config", b"0" * 1000)
    stop = threading.Event()
    wrong = []
    reads = [0]

    def reader():
        while not stop.is_set():
            try:
                data = zn.read(m + "/config")
            except OSError as e:
                wrong.append(zn.name_of(e.errno))
                continue
            reads[0] += 1
            if len(data) != 1000 or data != data[:1] * 1000:
                wrong.append(data[:20])

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for t in threads:
        t.start()
    for i in range(300):
        zn.write(m + "/config.new", b"%d" % (i % 10) * 1000)
        os.rename(m + "/config.new", m + "/config")
    stop.set()
    for t in threads:
        t.join()
    check("replaced by rename: in %d reads never absent, never half" % reads[0],
          not wrong and reads[0] > 0, wrong[:5])

    # Names that travel between two directories are always in exactly one.
    os.mkdir(m + "/left")
    os.mkdir(m + "/right")
    zn.write(m + "/left/ball", b"")
    stop.clear()

    def mover():
        here, there = "/left/ball", "/right/ball"
        while not stop.is_set():
            os.rename(m + here, m + there)
            here, there = there, here

    mover_thread = threading.Thread(target=mover)
    mover_thread.start()
    ino = None
    for _ in range(300):
        try:
            ino = os.stat(m + "/left/ball").st_ino
        except FileNotFoundError:
            pass
    stop.set()
    mover_thread.join()
    equal("after moving to and fro it is in one place", 1,
          len(os.listdir(m + "/left")) + len(os.listdir(m + "/right")))
    check("and was seen on the way", ino is not None)


def deep(m):
    """O(1) rename of a directory with many descendants, and a deep path."""
    path = m + "/deep"
    for i in range(60):
        path += "/level%d" % i
    os.makedirs(path)
    zn.write(path + "/bottom", b"here")
    os.rename(m + "/deep/level0", m + "/moved")
    found = m + "/moved" + path[len(m + "/deep/level0"):] + "/bottom"
    equal("a deep tree moves as one", b"here", zn.read(found))
    equal("and knows its path", found[len(m):], os.getxattr(found, "znode.path").decode())


def main(m, _work):
    plain(m)
    for name in os.listdir(m):
        os.system("rm -rf '%s/%s'" % (m, name))
    flags(m)
    atomic(m)
    deep(m)


zn.main(main)
