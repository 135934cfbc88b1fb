/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_ops: everything that finds, makes, moves or removes a name. Two names are ours: `@data` in
 * every directory (data_file.c) and `.znodefs` in the root (control.c); they are always taken.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>

#include "attr.h"
#include "control.h"
#include "data_file.h"
#include "names.h"
#include "ops.h"
#include "request.h"

static void reply_negative(fuse_req_t req)
{
	const struct fuse_entry_param none = { .entry_timeout = NEGATIVE_TIMEOUT_S };

	(void)fuse_reply_entry(req, &none);
}

/* Sends the node with the look-up reference that the store has taken for it. */
static void reply_node(struct request *r, const struct zn_stat *st)
{
	struct fuse_entry_param entry;

	attr_fill_entry(st, true, &entry);
	if (fuse_reply_entry(r->fuse, &entry) < 0)
		request_forget(r->fs, st->id, 1); /* the kernel never received it */
	request_end(r);
}

static void lookup_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result == 0) {
		reply_node(r, &zn->stat);
	} else if (zn->result == -ENOENT) {
		reply_negative(r->fuse);
		request_end(r);
	} else {
		request_reply_error(r, zn->result);
	}
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct request *r;

	if (id_is_control(parent) || name_is_control(parent, name)) {
		control_lookup(req, parent, name);
		return;
	}
	if (id_is_data(parent)) {
		(void)fuse_reply_err(req, ENOTDIR);
		return;
	}
	if (strlen(name) > ZN_NAME_BYTES_MAX) {
		(void)fuse_reply_err(req, ENAMETOOLONG);
		return;
	}
	if (name_is_data(name)) {
		data_file_lookup(req, parent);
		return;
	}
	r = request_begin(req);
	r->zn.type = ZN_LOOKUP;
	r->zn.flags = ZN_REQ_REF;
	r->zn.id = parent;
	r->zn.name = request_string(name);
	request_submit(r, lookup_done);
}

static void forget(struct fs *fs, fuse_ino_t ino, uint64_t count)
{
	/* The store has references only on its own nodes. */
	if (ino <= ZN_ID_MAX)
		request_forget(fs, ino, count);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	forget(fuse_req_userdata(req), ino, count);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(fuse_req_userdata(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void make_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result < 0)
		request_reply_error(r, zn->result);
	else
		reply_node(r, &r->op[0].stat);
}

static void make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev,
		 const char *target)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct request *r;
	int e = name_check_new(parent, name);

	if (e < 0) {
		(void)fuse_reply_err(req, -e);
		return;
	}
	r = request_begin(req);
	r->op[0] = (struct zn_op){
		.type = ZN_OP_CREATE,
		.parent = parent,
		.name = request_string(name),
		.mode = mode,
		.uid = ctx->uid,
		.gid = ctx->gid,
		.rdev = rdev,
		.version = ZN_ANY_VERSION,
	};
	if (target)
		r->op[0].data = request_string(target);
	request_txn(r, 1, ZN_REQ_REF, make_done);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make(req, parent, name, mode, rdev, NULL);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make(req, parent, name, S_IFDIR | (mode & 07777), 0, NULL);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	if (strlen(target) > ZN_SYMLINK_BYTES_MAX)
		(void)fuse_reply_err(req, ENAMETOOLONG);
	else
		make(req, parent, name, S_IFLNK | 0777, 0, target);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct request *r;
	int e = name_check_new(parent, name);

	if (e == 0 && (id_is_control(ino) || id_is_data(ino)))
		e = -EPERM;
	if (e < 0) {
		(void)fuse_reply_err(req, -e);
		return;
	}
	r = request_begin(req);
	r->op[0] = (struct zn_op){
		.type = ZN_OP_LINK,
		.id = ino,
		.new_parent = parent,
		.new_name = request_string(name),
		.version = ZN_ANY_VERSION,
	};
	request_txn(r, 1, ZN_REQ_REF, make_done);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name, uint32_t flags)
{
	struct request *r;
	int e = name_check_old(parent, name);

	if (e < 0) {
		(void)fuse_reply_err(req, -e);
		return;
	}
	r = request_begin(req);
	r->op[0] = (struct zn_op){
		.type = ZN_OP_DELETE,
		.flags = flags,
		.parent = parent,
		.name = request_string(name),
		.version = ZN_ANY_VERSION,
	};
	request_txn(r, 1, 0, request_done);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (!id_is_control(parent) && name_is_data(name))
		data_file_unlink(req, parent);
	else
		remove_name(req, parent, name, ZN_DELETE_FILE);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (!id_is_control(parent) && name_is_data(name))
		(void)fuse_reply_err(req, ENOTDIR);
	else
		remove_name(req, parent, name, ZN_DELETE_DIR);
}

/* Renames that our own names take part in: 0 if there is none, 1 for FILE over DIR/@data. */
static int rename_check(fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
			const char *new_name, unsigned flags)
{
	int r;

	if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r = name_check_old(parent, name);
	if (r == 0)
		r = name_check_old(new_parent, new_name);
	if (r < 0)
		return r;
	if (name_is_data(name))
		return -EXDEV; /* mv copies it then, and empties it */
	if (!name_is_data(new_name))
		return 0;
	if (flags == RENAME_NOREPLACE)
		return -EEXIST;
	return flags == 0 ? 1 : -EINVAL;
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags)
{
	struct request *r;
	int e = rename_check(parent, name, new_parent, new_name, flags);

	if (e < 0) {
		(void)fuse_reply_err(req, -e);
		return;
	}
	if (e == 1) {
		data_file_replace(req, parent, name, new_parent);
		return;
	}
	r = request_begin(req);
	r->op[0] = (struct zn_op){
		.type = ZN_OP_RENAME,
		.parent = parent,
		.name = request_string(name),
		.new_parent = new_parent,
		.new_name = request_string(new_name),
		.version = ZN_ANY_VERSION,
	};
	if (flags == RENAME_NOREPLACE)
		r->op[0].flags = ZN_RENAME_NOREPLACE;
	else if (flags == RENAME_EXCHANGE)
		r->op[0].flags = ZN_RENAME_EXCHANGE;
	request_txn(r, 1, 0, request_done);
}
