# SPDX-License-Identifier: Apache-2.0
"""tear.py STATE: writes noise where the next batch of the log would begin, as a torn write may.

The place is found without knowing the format: the segments are zero-filled ahead, so it is the first
4 KiB block after the last one that holds anything, in the last segment that holds more than a head.
"""
import os
import sys

BLOCK = 4096


def last_block_used(path):
    last = -1
    with open(path, "rb") as f:
        index = 0
        while True:
            block = f.read(BLOCK)
            if not block:
                return last, index
            if block.strip(b"\0"):
                last = index
            index += 1


def main():
    log = sys.argv[1] + "/log"
    for name in sorted(os.listdir(log), reverse=True):
        path = os.path.join(log, name)
        last, count = last_block_used(path)
        if last >= 1 and last + 1 < count:
            with open(path, "r+b") as f:
                f.seek((last + 1) * BLOCK)
                f.write(os.urandom(1536))
            print(name, (last + 1) * BLOCK)
            return
    print("no place found")


main()
