# SPDX-License-Identifier: Apache-2.0
"""The load of 40-kill.sh and its check.

killload.py load MOUNT WORK ROUND SEED     8 writers until the daemon is killed
killload.py verify MOUNT WORK ROUND SEED   compares the mount with what the writers were told

Each writer has a directory of its own and a journal outside the mount: a line before each operation
and one after it was acknowledged. So after a crash at most its last operation is open, and the
directory must be exactly what the acknowledged ones made of it, or that with the open one done, or,
for an operation of several calls, with its first calls done.
"""
import json
import os
import pickle
import random
import sys
import zn

WRITERS = 8
DIR = None  # the value of a directory in a model


def value(rng, writer, seq):
    size = rng.choice((0, 7, 100, 100, 700, 3000, 4096, 20000))
    return ("%d %d " % (writer, seq)).encode() + rng.randbytes(size)


def moved(model, old, new):
    """The model after rename(old, new): a directory takes its content along."""
    result = {}
    for path, v in model.items():
        if path == new:
            continue
        if path == old or path.startswith(old + "/"):
            path = new + path[len(old):]
        result[path] = v
    return result


def without(model, path):
    return {p: v for p, v in model.items() if p != path}


def states(model, op):
    """The states that an operation passes through: first the one before it, last the one after."""
    kind, path, data = op["op"], op["path"], bytes.fromhex(op.get("data", ""))
    if kind in ("create", "rewrite"):
        return [model, {**model, path: b""}, {**model, path: data}]
    if kind == "overwrite":
        return [model, {**model, path: data + model[path][len(data):]}]
    if kind == "append":
        return [model, {**model, path: model[path] + data}]
    if kind == "delete" or kind == "rmdir":
        return [model, without(model, path)]
    if kind == "mkdir":
        return [model, {**model, path: DIR}]
    if kind == "rename":
        return [model, moved(model, path, op["to"])]
    raise ValueError(kind)


def choose(rng, model, writer, seq):
    files = sorted(p for p, v in model.items() if v is not DIR)
    dirs = sorted(p for p, v in model.items() if v is DIR)
    empty = [d for d in dirs if not any(p.startswith(d + "/") for p in model)]
    fresh = "%s%d" % (rng.choice([""] + [d + "/" for d in dirs if "/" not in d]), seq)
    kind = rng.choice(["create"] * 4 + ["rewrite"] * 4 + ["overwrite", "append", "delete", "delete",
                       "rename", "rename", "replace", "mkdir", "rmdir", "movedir"])
    data = value(rng, writer, seq).hex()
    if kind == "create" and len(files) < 60:
        return {"op": "create", "path": fresh + "f", "data": data}
    if kind in ("rewrite", "overwrite", "append") and files:
        path = rng.choice(files)
        if kind == "append" and len(model[path]) > 60000:
            kind = "rewrite"
        return {"op": kind, "path": path, "data": data}
    if kind == "delete" and len(files) > 20:
        return {"op": "delete", "path": rng.choice(files)}
    if kind == "rename" and files:
        return {"op": "rename", "path": rng.choice(files), "to": fresh + "r"}
    if kind == "replace" and len(files) > 1:
        old, new = rng.sample(files, 2)
        return {"op": "rename", "path": old, "to": new}
    if kind == "rmdir" and empty:
        return {"op": "rmdir", "path": rng.choice(empty)}
    if kind == "movedir" and dirs:
        return {"op": "rename", "path": rng.choice(dirs), "to": "%dd" % seq}
    if len(dirs) < 8:
        return {"op": "mkdir", "path": "%dd" % seq}
    return {"op": "create", "path": "%df" % seq, "data": data}


def perform(base, op, named):
    """Returns when the operation has been acknowledged. @named is called when an exclusive creation was."""
    path, data = base + "/" + op["path"], bytes.fromhex(op.get("data", ""))
    kind = op["op"]
    if kind == "create":
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        named()
        os.write(fd, data)
        os.close(fd)
    elif kind == "rewrite":
        zn.write(path, data)
    elif kind == "overwrite":
        fd = os.open(path, os.O_RDWR)
        os.pwrite(fd, data, 0)
        os.fsync(fd)
        os.close(fd)
    elif kind == "append":
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(fd, data)
        os.fsync(fd)
        os.close(fd)
    elif kind == "delete":
        os.unlink(path)
    elif kind == "mkdir":
        os.mkdir(path)
    elif kind == "rmdir":
        os.rmdir(path)
    elif kind == "rename":
        os.rename(path, base + "/" + op["to"])


def journal_path(work, writer):
    return "%s/journal.%d" % (work, writer)


def load_model(work, writer):
    try:
        with open("%s/model.%d" % (work, writer), "rb") as f:
            return pickle.load(f)
    except FileNotFoundError:
        return {}


def write_until_killed(mount, work, writer, round_number, seed):
    rng = random.Random("%s/%s/%d" % (seed, round_number, writer))
    base = "%s/w%d" % (mount, writer)
    os.makedirs(base, exist_ok=True)
    # From within: once the dead mount is detached, a path from outside would miss it (ENOENT).
    os.chdir(base)
    base = "."
    model = load_model(work, writer)
    fd = os.open(journal_path(work, writer), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    seq = int(round_number) * 1000000
    while True:
        seq += 1
        op = choose(rng, model, writer, seq)
        os.write(fd, (json.dumps(op) + "\n").encode())
        try:
            perform(base, op, lambda: os.write(fd, b'"named"\n'))
        except OSError as e:
            os.write(fd, (json.dumps({"error": e.errno}) + "\n").encode())
            return
        os.write(fd, b'"done"\n')
        model = states(model, op)[-1]
        if seq % 1000000 == 3:
            with open(work + "/running", "a") as f:
                f.write("%d\n" % writer)


def load(mount, work, round_number, seed):
    children = []
    for writer in range(WRITERS):
        pid = os.fork()
        if pid == 0:
            try:
                write_until_killed(mount, work, writer, round_number, seed)
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


def replay(model, journal):
    """Returns (the states that are allowed now, number of acknowledged operations, last error)."""
    op, named, done, error = None, False, 0, None
    for line in journal:
        entry = json.loads(line)
        if entry == "named":
            named = True
        elif entry == "done":
            model, op, done = states(model, op)[-1], None, done + 1
        elif "error" in entry:
            error = entry["error"]
        else:
            op, named = entry, False
    if op is None:
        return [model], done, error
    return states(model, op)[1 if named else 0:], done, error


def actual(base):
    """The directory as a model, and the mzxid of each node by its inode number."""
    model, zxids = {}, {}
    for top, dirs, files in os.walk(base):
        for name in dirs + files:
            path = os.path.join(top, name)
            model[os.path.relpath(path, base)] = DIR if name in dirs else zn.read(path)
            zxids[os.stat(path).st_ino] = zn.attr(path, "mzxid")
    return model, zxids


def difference(expected, found):
    lines = []
    for path in sorted(set(expected) | set(found)):
        e, f = expected.get(path, "absent"), found.get(path, "absent")
        if e != f:
            lines.append("%s: expected %.40r (%s), found %.40r (%s)" % (
                path, e, e and len(e), f, f and len(f)))
    return lines[:10]


def verify(mount, work, round_number, _seed):
    seen_path = work + "/zxids"
    seen = {}
    if os.path.exists(seen_path):
        with open(seen_path, "rb") as f:
            seen = pickle.load(f)
    total, wrong, shrunk = 0, [], []
    for writer in range(WRITERS):
        base = "%s/w%d" % (mount, writer)
        try:
            with open(journal_path(work, writer)) as f:
                journal = f.readlines()
            os.unlink(journal_path(work, writer))
        except FileNotFoundError:
            journal = []
        allowed, done, error = replay(load_model(work, writer), journal)
        total += done
        if error not in (None, 103, 107, 5):  # ECONNABORTED, ENOTCONN, EIO: what a dead mount says
            wrong.append("writer %d ended with %s" % (writer, zn.name_of(error)))
        found, zxids = actual(base) if os.path.isdir(base) else ({}, {})
        if found not in allowed:
            wrong.append("writer %d, %d states allowed, differs from the last:" % (writer, len(allowed)))
            wrong += difference(allowed[-1], found)
        for ino, zxid in zxids.items():
            if zxid < seen.get(ino, 0):
                shrunk.append("node %d: mzxid %#x after %#x" % (ino, zxid, seen[ino]))
        seen.update(zxids)
        with open("%s/model.%d" % (work, writer), "wb") as f:
            pickle.dump(found, f)
    with open(seen_path, "wb") as f:
        pickle.dump(seen, f)
    zn.check("round %s: %d acknowledged operations are there, nothing half" % (round_number, total),
             not wrong, *wrong)
    zn.check("round %s: zxids only grow" % round_number, not shrunk, *shrunk[:10])


if __name__ == "__main__":
    zn.main({"load": load, "verify": verify}[sys.argv.pop(1)])
