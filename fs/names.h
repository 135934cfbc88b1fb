/* SPDX-License-Identifier: Apache-2.0 */
/* names: the names that are ours, and which of the others may be used. */
#ifndef FS_NAMES_H
#define FS_NAMES_H

#include "fuse.h"
#include "znodefs/base.h"

#define NAME_DATA "@data"
#define NAME_CONTROL ".znodefs"

bool name_is_data(const char *name);
bool name_is_control(fuse_ino_t parent, const char *name);

/* May @name be made in @parent? 0 or -errno. */
int name_check_new(fuse_ino_t parent, const char *name);

/*
 * May @name in @parent be removed, moved or replaced? 0 or -errno. @data passes: what can be done
 * with it is up to the caller.
 */
int name_check_old(fuse_ino_t parent, const char *name);

#endif
