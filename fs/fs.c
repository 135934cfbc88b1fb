/* SPDX-License-Identifier: Apache-2.0 */
/* fs: the one invalidation that may be sent at any time, since it takes no lock in the kernel. */
#include "fs.h"

void fs_expire_attributes(struct fs *fs, fuse_ino_t ino)
{
	/* -ENOENT: the kernel does not know the node, so it has nothing cached either. */
	(void)fuse_lowlevel_notify_inval_inode(fs->session, ino, -1, 0);
}
