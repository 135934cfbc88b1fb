#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The data of a directory: @data.
# limit: 60
. "$(dirname "$0")/lib.sh"
need python3
mount_znodefs  || exit 1
python3 "$CASES/dir_data.py" "$MNT" "$WORK"
