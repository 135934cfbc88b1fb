/* SPDX-License-Identifier: Apache-2.0 */
/* virtual_xattr: the stat of a znode as extended attributes `znode.NAME`. */
#ifndef FS_VIRTUAL_XATTR_H
#define FS_VIRTUAL_XATTR_H

#include "znodefs/store.h"

#define VIRTUAL_XATTR_PREFIX "znode."
#define VIRTUAL_XATTR_PATH VIRTUAL_XATTR_PREFIX "path" /* not of the stat; answered by ZN_PATH */
#define VIRTUAL_XATTR_BYTES_MAX 1024

bool virtual_xattr_known(const char *name);

/*
 * Writes the value of @name, which must be a known one, into @ret_text (VIRTUAL_XATTR_BYTES_MAX).
 * Returns its length; it is not terminated by a newline, but for znode.stat, which has lines.
 */
size_t virtual_xattr_print(const char *name, const struct zn_stat *st, char *ret_text);

#endif
