#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The control directory: hidden, and what stats says.
# limit: 60
. "$(dirname "$0")/lib.sh"
need python3
mount_znodefs  || exit 1
python3 "$CASES/control.py" "$MNT" "$WORK"
