# SPDX-License-Identifier: Apache-2.0
"""70-errors: each call that must fail, and the errno that POSIX (or design) gives for it."""
import errno
import os
import socket
import zn
from zn import raises, succeeds, equal


def files_and_directories(m):
    os.mkdir(m + "/d")
    zn.write(m + "/f", b"1")
    raises("mkdir of an existing directory: EEXIST", errno.EEXIST, os.mkdir, m + "/d")
    raises("mkdir of an existing file: EEXIST", errno.EEXIST, os.mkdir, m + "/f")
    raises("mkdir of the root: EEXIST", errno.EEXIST, os.mkdir, m)
    raises("O_EXCL on an existing file: EEXIST", errno.EEXIST, os.open, m + "/f",
           os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    raises("symlink over a file: EEXIST", errno.EEXIST, os.symlink, "x", m + "/f")
    raises("mknod over a file: EEXIST", errno.EEXIST, os.mkfifo, m + "/f")
    raises("link over a file: EEXIST", errno.EEXIST, os.link, m + "/f", m + "/f")
    raises("open of nothing: ENOENT", errno.ENOENT, os.open, m + "/none", os.O_RDONLY)
    raises("stat of nothing: ENOENT", errno.ENOENT, os.stat, m + "/none")
    raises("unlink of nothing: ENOENT", errno.ENOENT, os.unlink, m + "/none")
    raises("rmdir of nothing: ENOENT", errno.ENOENT, os.rmdir, m + "/none")
    raises("mkdir without a parent: ENOENT", errno.ENOENT, os.mkdir, m + "/none/d")
    raises("create without a parent: ENOENT", errno.ENOENT, zn.write, m + "/none/f", b"")
    raises("link of nothing: ENOENT", errno.ENOENT, os.link, m + "/none", m + "/l")
    raises("a path through a file: ENOTDIR", errno.ENOTDIR, os.open, m + "/f/x", os.O_RDONLY)
    raises("create below a file: ENOTDIR", errno.ENOTDIR, zn.write, m + "/f/x", b"")
    raises("rmdir of a file: ENOTDIR", errno.ENOTDIR, os.rmdir, m + "/f")
    raises("listing of a file: ENOTDIR", errno.ENOTDIR, os.listdir, m + "/f")
    raises("O_DIRECTORY on a file: ENOTDIR", errno.ENOTDIR, os.open, m + "/f", os.O_DIRECTORY)
    raises("open of a directory for writing: EISDIR", errno.EISDIR, os.open, m + "/d", os.O_WRONLY)
    raises("O_CREAT of a directory: EISDIR", errno.EISDIR, os.open, m + "/d", os.O_CREAT | os.O_RDWR)
    raises("unlink of a directory: EISDIR or EPERM", (errno.EISDIR, errno.EPERM), os.unlink, m + "/d")
    raises("truncate of a directory: EISDIR", errno.EISDIR, os.truncate, m + "/d", 0)
    fd = os.open(m + "/d", os.O_RDONLY)
    raises("read of a directory: EISDIR", errno.EISDIR, os.read, fd, 10)
    os.close(fd)
    zn.write(m + "/d/child", b"")
    raises("rmdir of a directory with children: ENOTEMPTY", errno.ENOTEMPTY, os.rmdir, m + "/d")
    os.unlink(m + "/d/child")
    raises("rmdir of .: EINVAL", errno.EINVAL, os.rmdir, m + "/d/.")
    succeeds("rmdir of an empty directory", os.rmdir, m + "/d")
    raises("and it is gone: ENOENT", errno.ENOENT, os.stat, m + "/d")
    raises("rmdir of the mount: EBUSY", errno.EBUSY, os.rmdir, m)
    raises("link of a directory: EPERM", errno.EPERM, os.link, m, m + "/l")
    raises("a hard link to elsewhere: EXDEV", errno.EXDEV, os.link, "/dev/null", m + "/l")
    os.unlink(m + "/f")


def names(m):
    for length, multi in ((255, "a"), (255, "ä")):
        name = multi * (length // len(multi.encode()))
        succeeds("a name of %d bytes" % len(name.encode()), zn.write, m + "/" + name, b"x")
        equal("is listed whole", [name], os.listdir(m))
        os.unlink(m + "/" + name)
    for call in (os.mkdir, os.stat, os.unlink, os.mkfifo):
        raises("%s with a name of 256 bytes: ENAMETOOLONG" % call.__name__, errno.ENAMETOOLONG, call,
               m + "/" + "a" * 256)
    zn.write(m + "/f", b"")
    raises("rename to a name of 256 bytes: ENAMETOOLONG", errno.ENAMETOOLONG, os.rename, m + "/f",
           m + "/" + "a" * 256)
    odd = ["with space", "-dash", "new\nline", "tab\t", "*?[", "\x01\x7f", "back\\slash", ". ", "...",
           "@dat", "@data2", "znodefs", "ünïcödé"]
    for name in odd:
        zn.write(m + "/" + name, name.encode())
    raw = os.fsencode(m) + b"/\xff\xfe"
    zn.write(raw, b"bytes")
    equal("any byte but / and 0 may be in a name", sorted([os.fsencode(n) for n in odd] + [b"\xff\xfe", b"f"]),
          sorted(os.listdir(os.fsencode(m))))
    equal("and finds its own file", [n.encode() for n in odd], [zn.read(m + "/" + n) for n in odd])
    for name in os.listdir(os.fsencode(m)):
        os.unlink(os.fsencode(m) + b"/" + name)


def symlinks(m):
    target = "t" * 4095
    succeeds("a symlink of 4095 bytes", os.symlink, target, m + "/long")
    equal("is read back", target, os.readlink(m + "/long"))
    equal("its size is its target's", 4095, os.lstat(m + "/long").st_size)
    os.symlink("loop", m + "/loop")
    raises("a loop: ELOOP", errno.ELOOP, os.open, m + "/loop", os.O_RDONLY)
    raises("O_NOFOLLOW: ELOOP", errno.ELOOP, os.open, m + "/loop", os.O_RDONLY | os.O_NOFOLLOW)
    os.symlink("nowhere", m + "/dangling")
    raises("a dangling symlink: ENOENT", errno.ENOENT, os.stat, m + "/dangling")
    raises("readlink of a directory: EINVAL", errno.EINVAL, os.readlink, m)
    for name in ("long", "loop", "dangling"):
        os.unlink(m + "/" + name)


def sizes(m):
    limit = 1 << 20
    succeeds("a value of max_data", zn.write, m + "/big", b"b" * limit)
    equal("has that size", limit, os.stat(m + "/big").st_size)
    equal("and content", b"b" * limit, zn.read(m + "/big"))
    fd = os.open(m + "/big", os.O_RDWR)
    raises("a byte more: EFBIG", errno.EFBIG, os.pwrite, fd, b"x", limit)
    raises("far past it: EFBIG", errno.EFBIG, os.pwrite, fd, b"x", 1 << 40)
    raises("ftruncate past it: EFBIG", errno.EFBIG, os.ftruncate, fd, limit + 1)
    equal("a write across it writes nothing or what fits", True,
          write_across(fd, limit) in (-errno.EFBIG, 10))
    os.close(fd)
    equal("the value is as it was", limit, os.stat(m + "/big").st_size)
    fd = os.open(m + "/big", os.O_WRONLY | os.O_APPEND)
    raises("an append past it: EFBIG", errno.EFBIG, os.write, fd, b"x")
    os.close(fd)
    raises("truncate past it: EFBIG", errno.EFBIG, os.truncate, m + "/big", limit + 1)
    succeeds("truncate shorter", os.truncate, m + "/big", 3)
    succeeds("and longer", os.truncate, m + "/big", 6)
    equal("fills with zeros", b"bbb\0\0\0", zn.read(m + "/big"))
    fd = os.open(m + "/big", os.O_RDWR)
    os.pwrite(fd, b"end", 10)
    equal("a write past the end leaves zeros between", b"bbb\0\0\0\0\0\0\0end", zn.read(m + "/big"))
    equal("a read past the end is empty", b"", os.pread(fd, 10, 100))
    equal("a read across the end is short", b"end", os.pread(fd, 100, 10))
    raises("SEEK_HOLE past the end: ENXIO", errno.ENXIO, os.lseek, fd, 100, os.SEEK_HOLE)
    os.close(fd)
    os.unlink(m + "/big")


def write_across(fd, limit):
    try:
        return os.pwrite(fd, b"y" * 20, limit - 10)
    except OSError as e:
        return -e.errno


def handles(m):
    zn.write(m + "/f", b"123")
    fd = os.open(m + "/f", os.O_RDONLY)
    raises("write through a handle for reading: EBADF", errno.EBADF, os.write, fd, b"x")
    raises("ftruncate through it: EINVAL", (errno.EINVAL, errno.EBADF), os.ftruncate, fd, 0)
    os.close(fd)
    fd = os.open(m + "/f", os.O_WRONLY)
    raises("read through a handle for writing: EBADF", errno.EBADF, os.read, fd, 1)
    os.close(fd)
    raises("truncate to a negative size: EINVAL", errno.EINVAL, os.truncate, m + "/f", -1)
    os.unlink(m + "/f")


def permissions(m):
    if os.getuid() != 0:
        return
    os.chmod(m, 0o755)
    os.mkdir(m + "/private", 0o700)
    os.mkdir(m + "/sticky")
    os.chmod(m + "/sticky", 0o1777)
    zn.write(m + "/secret", b"s", mode=0o600)
    zn.write(m + "/sticky/roots", b"s", mode=0o666)
    os.chmod(m + "/sticky/roots", 0o666)
    zn.write(m + "/group", b"g")
    os.chown(m + "/group", 0, 5000)
    os.chmod(m + "/group", 0o640)
    os.mkdir(m + "/setgid")
    os.chown(m + "/setgid", 0, 5000)
    os.chmod(m + "/setgid", 0o2777)

    def as_user():
        raises("a user cannot read 0600: EACCES", errno.EACCES, os.open, m + "/secret", os.O_RDONLY)
        raises("nor look into 0700: EACCES", errno.EACCES, os.listdir, m + "/private")
        raises("nor create where there is no w: EACCES", errno.EACCES, zn.write, m + "/mine", b"")
        raises("nor remove there: EACCES", errno.EACCES, os.unlink, m + "/secret")
        raises("nor chmod another's file: EPERM", errno.EPERM, os.chmod, m + "/secret", 0o666)
        raises("nor chown: EPERM", errno.EPERM, os.chown, m + "/secret", 1000, 1000)
        raises("nor remove another's file from a sticky directory: EPERM",
               (errno.EPERM, errno.EACCES), os.unlink, m + "/sticky/roots")
        succeeds("but write it if its mode allows", zn.write, m + "/sticky/roots", b"u",
                 os.O_WRONLY | os.O_TRUNC)
        succeeds("and make files of its own", zn.write, m + "/sticky/mine", b"")
        equal("owned by it", (1000, 1000), os.stat(m + "/sticky/mine")[4:6])
        equal("a supplementary group counts", b"g", zn.read(m + "/group"))
        zn.write(m + "/setgid/f", b"")
        os.mkdir(m + "/setgid/d")
        equal("setgid directories pass their group on", (5000, 5000),
              (os.stat(m + "/setgid/f").st_gid, os.stat(m + "/setgid/d").st_gid))
        equal("and directories the bit", 0o2000, os.stat(m + "/setgid/d").st_mode & 0o2000)
        raises("a user makes no device: EPERM", errno.EPERM, os.mknod, m + "/sticky/null", 0o20666,
               os.makedev(1, 3))

    as_other(as_user)
    os.chmod(m + "/sticky/roots", 0o6777)
    as_other(lambda: zn.write(m + "/sticky/roots", b"changed", os.O_WRONLY))
    equal("a user's write clears set-id bits", 0o777, os.stat(m + "/sticky/roots").st_mode & 0o7777)
    os.chmod(m + "/sticky/roots", 0o4755)
    zn.write(m + "/sticky/roots", b"again", os.O_WRONLY)
    equal("root's write may keep them", True, os.stat(m + "/sticky/roots").st_mode & 0o777 == 0o755)


def as_other(function):
    """Runs it in a child as uid and gid 1000 with group 5000."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([5000])
            os.setgid(1000)
            os.setuid(1000)
            function()
            os._exit(0)
        except BaseException as e:
            zn.fail("what a user does", repr(e))
            os._exit(1)
    os.waitpid(pid, 0)


def special(m):
    s = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(m)
    succeeds("a unix socket can be bound", s.bind, "sock")
    s.listen()
    c = socket.socket(socket.AF_UNIX)
    succeeds("and connected to", c.connect, "sock")
    os.chdir(here)
    os.mkfifo(m + "/fifo")
    r = os.open(m + "/fifo", os.O_RDONLY | os.O_NONBLOCK)
    w = os.open(m + "/fifo", os.O_WRONLY)
    os.write(w, b"through")
    equal("a fifo carries bytes", b"through", os.read(r, 100))
    for fd in (r, w):
        os.close(fd)
    os.unlink(m + "/sock")
    os.unlink(m + "/fifo")


def main(m, _work):
    names(m)
    files_and_directories(m)
    symlinks(m)
    sizes(m)
    handles(m)
    special(m)
    # The private directory of the case is on the path of the user.
    if os.getuid() == 0:
        os.chmod(os.path.dirname(m), 0o755)
        os.chmod(os.path.dirname(os.path.dirname(m)), 0o755)
    permissions(m)


zn.main(main)
