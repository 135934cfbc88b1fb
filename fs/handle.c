/* SPDX-License-Identifier: Apache-2.0 */
/* handle: kept small; what a staged rewrite or a pinned version needs will hang here. */
#include "handle.h"

#include <fcntl.h>
#include <stdlib.h>

struct fs_handle *handle_new(struct fs *fs, fuse_ino_t ino, int flags)
{
	struct fs_handle *h = malloc(sizeof(*h));

	if (!h)
		return NULL;
	*h = (struct fs_handle){
		.id = id_znode(ino),
		.writable = (flags & O_ACCMODE) != O_RDONLY,
		.data = id_is_data(ino),
	};
	(void)atomic_fetch_add_explicit(&fs->handles_count, 1, memory_order_relaxed);
	return h;
}

void handle_free(struct fs *fs, struct fs_handle *h)
{
	if (!h)
		return;
	(void)atomic_fetch_sub_explicit(&fs->handles_count, 1, memory_order_relaxed);
	free(h->content);
	free(h);
}

void handle_fill(struct fs_handle *h, struct fuse_file_info *fi)
{
	fi->fh = (uintptr_t)h;
	fi->direct_io = 1;
	fi->noflush = !h->writable;
}
