# SPDX-License-Identifier: Apache-2.0
"""72-directories: listing while names come and go, 20000 entries, link counts and times."""
import os
import threading
import zn
from zn import equal, check

COUNT = 20000


def big(m):
    d = m + "/big"
    os.mkdir(d)

    def maker(first):
        for i in range(first, COUNT, 4):
            # Not written to and not exclusive: answered before it is durable.
            os.close(os.open("%s/n%05d" % (d, i), os.O_WRONLY | os.O_CREAT, 0o644))

    threads = [threading.Thread(target=maker, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    names = os.listdir(d)
    equal("%d entries are listed" % COUNT, COUNT, len(names))
    equal("each once", COUNT, len(set(names)))
    equal("znode.numChildren agrees", COUNT, zn.attr(d, "numChildren"))
    with os.scandir(d) as entries:
        kinds = {e.is_file(follow_symlinks=False) for e in entries}
    equal("their types come with the listing", {True}, kinds)
    equal("and their inode numbers are right", True,
          all(e.inode() == os.stat(e.path).st_ino for e in list(os.scandir(d))[::997]))


def changing(m):
    """Names that are there throughout are listed exactly once while others come and go."""
    d = m + "/changing"
    os.mkdir(d)
    stay = {"stay%04d" % i for i in range(2000)}
    for name in stay:
        os.close(os.open(d + "/" + name, os.O_WRONLY | os.O_CREAT))
    stop = threading.Event()

    def churn(k):
        i = 0
        while not stop.is_set():
            name = "%s/come%d.%d" % (d, k, i % 500)
            try:
                if i // 500 % 2 == 0:
                    os.close(os.open(name, os.O_WRONLY | os.O_CREAT))
                else:
                    os.unlink(name)
            except FileNotFoundError:
                pass
            i += 1

    threads = [threading.Thread(target=churn, args=(k,)) for k in range(2)]
    for t in threads:
        t.start()
    missing, twice = 0, 0
    for _ in range(15):
        names = os.listdir(d)
        seen = set(names)
        missing += len(stay - seen)
        twice += len(names) - len(seen)
    stop.set()
    for t in threads:
        t.join()
    equal("while names come and go none is missing", 0, missing)
    equal("and none is listed twice", 0, twice)

    # rm -r as find and python do it: remove while listing.
    with os.scandir(d) as entries:
        for e in entries:
            os.unlink(e.path)
    equal("removing what is being listed removes all", [], os.listdir(d))
    os.rmdir(d)


def positions(m):
    """telldir and seekdir (through a second read of the same descriptor), rewind, and an empty one."""
    d = m + "/pos"
    os.mkdir(d)
    fd = os.open(d, os.O_RDONLY)
    equal("an empty directory has no entries", [], os.listdir(fd))
    zn.write(d + "/new", b"")
    os.lseek(fd, 0, os.SEEK_SET)
    equal("after a rewind the new name is listed", ["new"], os.listdir(fd))
    os.unlink(d + "/new")
    os.rmdir(d)
    os.lseek(fd, 0, os.SEEK_SET)
    equal("a removed directory lists nothing", [], list_or_none(fd))
    os.close(fd)


def list_or_none(fd):
    try:
        return os.listdir(fd)
    except FileNotFoundError:
        return []


def links_and_times(m):
    d = m + "/links"
    os.mkdir(d)
    equal("an empty directory has two links", 2, os.stat(d).st_nlink)
    for i in range(3):
        os.mkdir("%s/%d" % (d, i))
    zn.write(d + "/f", b"")
    equal("and one more for each subdirectory", 5, os.stat(d).st_nlink)
    os.rmdir(d + "/0")
    equal("less when one goes", 4, os.stat(d).st_nlink)
    before = os.stat(d)
    zn.write(d + "/g", b"")
    after = os.stat(d)
    check("a new child changes mtime and ctime", after.st_mtime_ns > before.st_mtime_ns and
          after.st_ctime_ns > before.st_ctime_ns)
    before = os.stat(d)
    zn.write(d + "/g", b"rewritten")
    equal("a child's new value does not", before.st_mtime_ns, os.stat(d).st_mtime_ns)
    f_before = os.stat(d + "/g")
    os.link(d + "/g", d + "/h")
    check("a link changes the file's ctime", os.stat(d + "/g").st_ctime_ns > f_before.st_ctime_ns)
    equal("but not its mtime", f_before.st_mtime_ns, os.stat(d + "/g").st_mtime_ns)
    equal("three names, one node", 3, (os.link(d + "/g", d + "/i"), os.stat(d + "/h").st_nlink)[1])
    os.utime(d + "/g", ns=(1, 2))
    st = os.stat(d + "/g")
    equal("utimensat sets ns", (1, 2), (st.st_atime_ns, st.st_mtime_ns))
    zn.read(d + "/g")
    equal("reads do not change atime", 1, os.stat(d + "/g").st_atime_ns)
    equal("a value before 1970", -5, (os.utime(d + "/g", ns=(-5, -5)), os.stat(d + "/g").st_mtime_ns)[1])


def main(m, _work):
    links_and_times(m)
    positions(m)
    changing(m)
    big(m)


zn.main(main)
