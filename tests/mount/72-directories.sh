#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Listing while names change, big directories, link counts, times.
# limit: 90
. "$(dirname "$0")/lib.sh"
need python3
mount_znodefs  || exit 1
python3 "$CASES/directories.py" "$MNT" "$WORK"
