/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open_trunc: tells open(O_TRUNC) from truncate(2). Both reach us as SETATTR of size 0 without a
 * handle; only that of an open comes from a thread whose last request on the node was an OPEN for
 * writing.
 */
#ifndef FS_OPEN_TRUNC_H
#define FS_OPEN_TRUNC_H

#include <stdbool.h>
#include <sys/types.h>

#include "fuse.h"

/* @pid's thread opens @ino for writing. Any thread. */
void open_trunc_note(fuse_ino_t ino, pid_t pid);

/* True if a truncation of @ino by @pid follows such an open; true once. Any thread. */
bool open_trunc_claim(fuse_ino_t ino, pid_t pid);

#endif
