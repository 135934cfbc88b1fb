/* SPDX-License-Identifier: Apache-2.0 */
/* node_ops: attributes of a node, the target of a symlink, the size of the whole. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "attr.h"
#include "control.h"
#include "data_file.h"
#include "open_trunc.h"
#include "ops.h"
#include "request.h"

#define STATFS_BLOCK_BYTES 4096
#define SMALL_ZNODE_BYTES 256 /* what is left is shown as room for so many files */

static void reply_attr(struct request *r, const struct zn_stat *st, bool durable)
{
	struct stat attr;

	attr_fill(st, &attr);
	(void)fuse_reply_attr(r->fuse, &attr, attr_timeout(st, durable));
	request_end(r);
}

static void getattr_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result < 0)
		request_reply_node_error(r, zn->result);
	else if (id_is_data(r->ino))
		data_file_reply_attr(r, &zn->stat);
	else
		reply_attr(r, &zn->stat, true);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *r;

	(void)fi;
	if (id_is_control(ino)) {
		control_getattr(req, ino);
		return;
	}
	r = request_begin(req);
	r->ino = ino;
	r->zn.type = ZN_STAT;
	r->zn.id = id_znode(ino);
	request_submit(r, getattr_done);
}

static void setattr_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result < 0)
		request_reply_node_error(r, zn->result);
	else
		reply_attr(r, &r->op[zn->ops_count - 1].stat, (zn->flags & ZN_REQ_LAZY) == 0);
}

static int64_t ns_of(const struct timespec *ts)
{
	int64_t ns;

	/* Beyond the years 1677 and 2262: the nearest time that can be kept. */
	if (__builtin_mul_overflow((int64_t)ts->tv_sec, INT64_C(1000000000), &ns) ||
	    __builtin_add_overflow(ns, (int64_t)ts->tv_nsec, &ns))
		return ts->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

/* What SETATTR selects besides the size. */
static struct zn_op setattr_op(uint64_t id, const struct stat *attr, int to_set)
{
	static const struct {
		int fuse;
		uint32_t zn;
	} map[] = {
		{ FUSE_SET_ATTR_MODE, ZN_SET_MODE },
		{ FUSE_SET_ATTR_UID, ZN_SET_UID },
		{ FUSE_SET_ATTR_GID, ZN_SET_GID },
		{ FUSE_SET_ATTR_ATIME, ZN_SET_ATIME },
		{ FUSE_SET_ATTR_MTIME, ZN_SET_MTIME },
		{ FUSE_SET_ATTR_ATIME_NOW, ZN_SET_ATIME_NOW },
		{ FUSE_SET_ATTR_MTIME_NOW, ZN_SET_MTIME_NOW },
	};
	struct zn_op op = {
		.type = ZN_OP_SETATTR,
		.id = id,
		.mode = attr->st_mode,
		.uid = attr->st_uid,
		.gid = attr->st_gid,
		.atime_ns = ns_of(&attr->st_atim),
		.mtime_ns = ns_of(&attr->st_mtim),
		.version = ZN_ANY_VERSION,
	};

	/* The kernel sends ATIME along with ATIME_NOW; now is what counts. */
	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		to_set &= ~FUSE_SET_ATTR_ATIME;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		to_set &= ~FUSE_SET_ATTR_MTIME;
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		op.flags |= (to_set & map[i].fuse) ? map[i].zn : 0;
	return op;
}

/*
 * A truncation through a handle, or by open(O_TRUNC), is like a write: logged at once, waited for by
 * fsync and close. All other changes are durable when they return.
 */
static bool setattr_is_lazy(fuse_req_t req, fuse_ino_t ino, const struct stat *attr, int to_set,
			    const struct fuse_file_info *fi)
{
	if (to_set != FUSE_SET_ATTR_SIZE)
		return false;
	return fi || (attr->st_size == 0 && open_trunc_claim(ino, fuse_req_ctx(req)->pid));
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	bool lazy = setattr_is_lazy(req, ino, attr, to_set, fi);
	struct request *r;
	unsigned n = 0;

	if (id_is_control(ino)) {
		(void)fuse_reply_err(req, EPERM);
		return;
	}
	if (id_is_data(ino)) {
		data_file_setattr(req, ino, attr, to_set, lazy);
		return;
	}
	r = request_begin(req);
	if (to_set & FUSE_SET_ATTR_SIZE) {
		r->op[n++] = (struct zn_op){
			.type = ZN_OP_TRUNCATE,
			.id = ino,
			.offset = (uint64_t)attr->st_size,
			.version = ZN_ANY_VERSION,
		};
	}
	if (to_set & ~FUSE_SET_ATTR_SIZE || n == 0) {
		r->op[n] = setattr_op(ino, attr, to_set);
		if (r->op[n].flags == 0)
			r->op[n].flags = ZN_SET_CTIME; /* nothing that we know by name */
		n++;
	}
	request_txn(r, n, lazy ? ZN_REQ_LAZY : 0, setattr_done);
}

static void readlink_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result < 0)
		request_reply_node_error(r, zn->result);
	else
		request_reply_data(r);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct request *r = request_begin(req);

	r->zn.type = ZN_READ;
	r->zn.id = ino;
	r->zn.bytes = ZN_SYMLINK_BYTES_MAX;
	request_submit(r, readlink_done);
}

static void statfs_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);
	uint64_t left = zn->statfs.bytes_max - zn_min_u64(zn->statfs.bytes, zn->statfs.bytes_max);
	const struct statvfs st = {
		.f_bsize = STATFS_BLOCK_BYTES,
		.f_frsize = STATFS_BLOCK_BYTES,
		.f_blocks = zn->statfs.bytes_max / STATFS_BLOCK_BYTES,
		.f_bfree = left / STATFS_BLOCK_BYTES,
		.f_bavail = left / STATFS_BLOCK_BYTES,
		.f_files = zn->statfs.nodes + left / SMALL_ZNODE_BYTES,
		.f_ffree = left / SMALL_ZNODE_BYTES,
		.f_favail = left / SMALL_ZNODE_BYTES,
		.f_namemax = ZN_NAME_BYTES_MAX,
	};

	if (zn->result < 0) {
		request_reply_error(r, zn->result);
		return;
	}
	(void)fuse_reply_statfs(r->fuse, &st);
	request_end(r);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct request *r = request_begin(req);

	(void)ino;
	r->zn.type = ZN_STATFS;
	request_submit(r, statfs_done);
}
