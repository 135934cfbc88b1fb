#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Open files: unlinked, appended to, truncated, left behind by kill -9 of the client.
# limit: 60
. "$(dirname "$0")/lib.sh"
need python3
mount_znodefs  || exit 1
python3 "$CASES/open_files.py" "$MNT" "$WORK"
