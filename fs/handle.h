/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handle: an open file, from OPEN to RELEASE; fuse_file_info.fh points to it. The kernel sends no
 * RELEASE before everything else on the handle has been answered, so whoever completes a request may
 * use the handle until it sends the reply, and not after.
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include "fs.h"

struct fs_handle {
	uint64_t id;   /* the znode; for @data the directory. Set once, by OPEN or CREATE's end */
	bool writable; /* immutable */
	bool data;     /* immutable; the file is a directory's @data */
	char *content; /* immutable; a control file's, made at open; NULL for all others */
	size_t content_bytes; /* immutable */
};

/* @flags are those of open(2). Returns NULL if there is no memory. */
struct fs_handle *handle_new(struct fs *fs, fuse_ino_t ino, int flags);
void handle_free(struct fs *fs, struct fs_handle *h);

static inline struct fs_handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct fs_handle *)(uintptr_t)fi->fh;
}

/* Sets what all our open files have: direct I/O, and no FLUSH if nothing can be written. */
void handle_fill(struct fs_handle *h, struct fuse_file_info *fi);

#endif
