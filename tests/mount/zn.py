# SPDX-License-Identifier: Apache-2.0
"""What the cases written in Python share: checks that the runner counts, and a few system calls."""
import ctypes
import errno
import os
import sys
import traceback

LIBC = ctypes.CDLL(None, use_errno=True)
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4
AT_FDCWD = -100


def ok(claim):
    print("ok -", claim, flush=True)


def fail(claim, *details):
    print("not ok -", claim, flush=True)
    for d in details:
        print("  %s" % (d,), flush=True)


def check(claim, value, *details):
    if value:
        ok(claim)
    else:
        fail(claim, *details)


def equal(claim, expected, actual):
    if expected == actual:
        ok(claim)
    else:
        fail(claim, "expected: %.300r" % (expected,), "actual:   %.300r" % (actual,))


def name_of(number):
    return errno.errorcode.get(number, str(number))


def raises(claim, expected, function, *args, **kwargs):
    """One check: function(*args) fails with the errno (or one of them)."""
    if isinstance(expected, int):
        expected = (expected,)
    try:
        result = function(*args, **kwargs)
    except OSError as e:
        if e.errno in expected:
            ok(claim)
        else:
            fail(claim, "expected %s, got %s" % ("/".join(map(name_of, expected)), name_of(e.errno)))
        return
    fail(claim, "expected %s, but it succeeded: %r" % ("/".join(map(name_of, expected)), result))


def succeeds(claim, function, *args, **kwargs):
    """One check; returns what the function returns, or None."""
    try:
        result = function(*args, **kwargs)
    except OSError as e:
        fail(claim, "%s: %s" % (name_of(e.errno), e))
        return None
    ok(claim)
    return result


def renameat2(old, new, flags):
    r = LIBC.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags)
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e), old)


def write(path, data, flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode=0o644):
    """Opens, writes in one call, closes: what is acknowledged when this returns is durable."""
    fd = os.open(path, flags, mode)
    try:
        while data:
            data = data[os.write(fd, data):]
    finally:
        os.close(fd)


def read(path):
    with open(path, "rb", buffering=0) as f:
        parts = []
        while True:
            part = f.read(1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)


def attr(path, name):
    """A znode.* attribute as a number; zxids are written 0x..."""
    return int(os.getxattr(path, "znode." + name, follow_symlinks=False), 0)


def stats(mount):
    """The control file as a dictionary; numbers where they are numbers."""
    result = {}
    for line in read(mount + "/.znodefs/stats").decode().splitlines():
        parts = line.replace("=", " ").replace(":", " ").split()
        if len(parts) < 2:
            continue
        try:
            result[parts[0]] = int(parts[1], 0)
        except ValueError:
            try:
                result[parts[0]] = float(parts[1])
            except ValueError:
                result[parts[0]] = " ".join(parts[1:])
    return result


def main(function):
    """Runs a case; what it did not expect counts as one failed check."""
    try:
        function(*sys.argv[1:])
    except Exception:
        fail("the case runs to its end")
        traceback.print_exc(file=sys.stdout)
        sys.exit(1)
