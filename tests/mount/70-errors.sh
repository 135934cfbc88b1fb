#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The errno of each call that must fail.
# limit: 60
. "$(dirname "$0")/lib.sh"
need python3
mount_znodefs max_data=1M,allow_other || exit 1
python3 "$CASES/errors.py" "$MNT" "$WORK"
