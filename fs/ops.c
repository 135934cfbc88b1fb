/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops: the table of operations. What is missing is missing on purpose: without lock handlers the
 * kernel does fcntl and flock locks by itself, which is right on one machine; without fallocate and
 * lseek it falls back to writes and to "all data"; access is decided by default_permissions; there
 * is no write_buf since nothing is spliced.
 */
#include "ops.h"

#include "session.h"

const struct fuse_lowlevel_ops fs_ops = {
	.init = session_init_op,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.create = op_create,
};
