#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rename in all its forms, its flags, its refusals, and its atomicity.
# limit: 60
. "$(dirname "$0")/lib.sh"
need python3
mount_znodefs  || exit 1
python3 "$CASES/rename.py" "$MNT" "$WORK"
