#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Virtual attributes and their meaning, stored attributes, what is hidden and refused.
# limit: 60
. "$(dirname "$0")/lib.sh"
need python3
mount_znodefs  || exit 1
python3 "$CASES/attributes.py" "$MNT" "$WORK"
