#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The data of a directory: @data.
# limit: 60
. "$(dirname "$0")/lib.sh"
need python3
mount_znodefs  || exit 1
python3 "$CASES/dir_data.py" "$MNT" "$WORK"
# A rename over @data makes the kernel forget one name, not what is mounted elsewhere in the tree.
mkdir "$MNT/covered" "$MNT/other"
if mount -t tmpfs none "$MNT/covered" 2>/dev/null; then
	echo one >"$MNT/other/file"
	mv "$MNT/other/file" "$MNT/other/@data"
	equal "a file renamed over @data is the directory's data" one "$(cat "$MNT/other/@data")"
	ls "$MNT/covered" >/dev/null
	check "and a file system mounted in the tree stays" mountpoint -q "$MNT/covered"
	umount "$MNT/covered"
fi
