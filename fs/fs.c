/* SPDX-License-Identifier: Apache-2.0 */
/* fs: the two invalidations that may be sent at any time, since they take no lock in the kernel. */
#include "fs.h"

#include <errno.h>
#include <linux/fuse.h>

/* From Linux 6.16 on; Debian 12's <linux/fuse.h> does not have it. */
#define NOTIFY_INC_EPOCH 8

int fs_expire_names(struct fs *fs)
{
	const struct fuse_out_header head = { .len = sizeof(head), .error = NOTIFY_INC_EPOCH };

	if (write(fuse_session_fd(fs->session), &head, sizeof(head)) < 0)
		return -errno;
	return 0;
}

void fs_expire_attributes(struct fs *fs, fuse_ino_t ino)
{
	/* -ENOENT: the kernel does not know the node, so it has nothing cached either. */
	(void)fuse_lowlevel_notify_inval_inode(fs->session, ino, -1, 0);
}
