# SPDX-License-Identifier: Apache-2.0
"""73-open-files: unlinked, appended to by many, and left behind by clients that were killed."""
import os
import signal
import subprocess
import sys
import time
import zn
from zn import equal, check, succeeds


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def unlinked(m):
    zn.write(m + "/f", b"before")
    fd = os.open(m + "/f", os.O_RDWR)
    nodes = zn.stats(m)["nodes"]
    os.unlink(m + "/f")
    equal("an unlinked open file can be read", b"before", os.pread(fd, 100, 0))
    succeeds("written", os.pwrite, fd, b"after!!", 0)
    equal("and read again", b"after!!", os.pread(fd, 100, 0))
    equal("it has no links", 0, os.fstat(fd).st_nlink)
    succeeds("its mode changed", os.fchmod, fd, 0o600)
    succeeds("truncated", os.ftruncate, fd, 2)
    equal("its size follows", 2, os.fstat(fd).st_size)
    succeeds("and synced", os.fsync, fd)
    zn.write(m + "/f", b"another")
    check("a new file of that name is another node", os.stat(m + "/f").st_ino != os.fstat(fd).st_ino)
    os.unlink(m + "/f")
    os.close(fd)
    check("after the close the node is gone", until(lambda: zn.stats(m)["nodes"] < nodes),
          zn.stats(m)["nodes"], nodes)

    zn.write(m + "/old", b"old")
    zn.write(m + "/new", b"new")
    fd = os.open(m + "/old", os.O_RDONLY)
    os.rename(m + "/new", m + "/old")
    equal("a replaced open file keeps its content", b"old", os.pread(fd, 10, 0))
    os.close(fd)
    os.mkdir(m + "/dir")
    fd = os.open(m + "/dir", os.O_RDONLY)
    os.rmdir(m + "/dir")
    equal("a removed open directory has no links", 0, os.fstat(fd).st_nlink)
    zn.raises("and takes no new file", 2, os.open, "x", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.close(fd)


APPENDER = """
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for i in range(int(sys.argv[3])):
    os.write(fd, ("%s %d\\n" % (sys.argv[2], i)).encode())
os.close(fd)
"""


def appenders(m):
    writers, lines = 8, 200
    children = [subprocess.Popen([sys.executable, "-c", APPENDER, m + "/log", str(w), str(lines)])
                for w in range(writers)]
    for c in children:
        c.wait()
    found = zn.read(m + "/log").decode().splitlines()
    equal("of %d lines appended by %d writers none is lost" % (writers * lines, writers),
          sorted("%d %d" % (w, i) for w in range(writers) for i in range(lines)), sorted(found))
    order = {}
    check("each writer's lines are in order",
          all(order.setdefault(w, -1) + 1 == int(i) and not order.update({w: int(i)})
              for w, i in (line.split() for line in found)))


def shells(m):
    sh = lambda command: subprocess.run(["bash", "-c", command], cwd=m, check=False, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT).stdout.decode()
    equal("{ a; b; } > f", "one\ntwo\n", sh("{ echo one; echo two; } >f; cat f"))
    equal("> f empties", "", sh(": >f; cat f"))
    equal(">> f appends", "a\nb\n", sh("echo a >>f; echo b >>f; cat f"))
    equal("tee", "x\nx\n", sh("echo x | tee f; cat f"))
    equal("dd conv=notrunc in place", "xYz\n", sh("printf 'xyz\\n' >f; printf Y | dd of=f bs=1 seek=1 conv=notrunc 2>/dev/null; cat f"))
    equal("dd appending with oflag", "xYz\nend", sh("printf end | dd of=f oflag=append conv=notrunc 2>/dev/null; cat f"))
    equal("sort -o f f", "a\nb\nc\n", sh("printf 'c\\na\\nb\\n' >f; sort -o f f; cat f"))
    equal("read and write <> f", "got 1\n2\n", sh("echo 1 >f; exec 5<>f; read -u 5 x; echo got $x; echo 2 >f; cat f"))
    equal("tail -f follows", "first\nsecond\n", sh(
        "echo first >log; timeout 20 tail -s 0.1 -n 5 -f log >tail.out & p=$!; "
        "for i in {1..200}; do grep -q first tail.out 2>/dev/null && break; sleep 0.05; done; "
        "echo second >>log; for i in {1..200}; do grep -q second tail.out && break; sleep 0.05; done; "
        "kill $p; wait $p 2>/dev/null; cat tail.out"))
    equal("flock works on this host", "locked\nbusy\n", sh(
        "touch l; exec 6>l; flock -n 6 && echo locked; flock -n l true || echo busy"))


HOLDER = """
import os, sys, signal
m = sys.argv[1]
fds = []
for i in range(50):
    fds.append(os.open("%s/h%d" % (m, i), os.O_RDWR | os.O_CREAT))
    os.write(fds[-1], b"held")
    fds.append(os.open(m, os.O_RDONLY))
for i in range(25):
    os.unlink("%s/h%d" % (m, i))
print("ready", flush=True)
signal.pause()
"""


def killed_clients(m):
    # The kernel's own caches hold look-up references, as a rule of every file system; handles are ours.
    before = zn.stats(m)
    names = os.listdir(m)
    for _ in range(3):
        p = subprocess.Popen([sys.executable, "-c", HOLDER, m], stdout=subprocess.PIPE)
        p.stdout.readline()
        check("handles are counted", zn.stats(m)["open_handles"] >= before["open_handles"] + 100,
              zn.stats(m)["open_handles"], before["open_handles"])
        p.send_signal(signal.SIGKILL)
        p.wait()
    check("kill -9 of clients leaves no handle",
          until(lambda: zn.stats(m)["open_handles"] <= before["open_handles"]),
          zn.stats(m)["open_handles"], before["open_handles"])
    for i in range(25, 50):
        os.unlink("%s/h%d" % (m, i))
    equal("and no name", sorted(names), sorted(os.listdir(m)))
    check("and no node that was unlinked", until(lambda: zn.stats(m)["nodes"] <= before["nodes"]),
          zn.stats(m)["nodes"], before["nodes"])


def killed_in_a_call(m):
    """Clients that are killed in the middle of calls, again and again; then all is as usual."""
    code = ("import os\nwhile True:\n f=os.open('%s/k%d'%(M,os.getpid()),os.O_CREAT|os.O_WRONLY)\n"
            " os.write(f,b'x'*5000)\n os.close(f)\n os.unlink('%s/k%d'%(M,os.getpid()))\n")
    for _ in range(20):
        p = subprocess.Popen([sys.executable, "-S", "-c", "M=%r\n%s" % (m, code)])
        time.sleep(0.06)
        p.send_signal(signal.SIGKILL)
        p.wait()
    for name in os.listdir(m):
        if name.startswith("k"):
            os.unlink(m + "/" + name)
    check("clients killed in their calls leave no handle", until(lambda: zn.stats(m)["open_handles"] <= 1),
          zn.stats(m)["open_handles"])
    zn.write(m + "/alive", b"yes")
    equal("and the mount goes on", b"yes", zn.read(m + "/alive"))


def main(m, _work):
    unlinked(m)
    appenders(m)
    shells(m)
    killed_clients(m)
    killed_in_a_call(m)


zn.main(main)
