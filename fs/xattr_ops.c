/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xattr_ops: `user.*` is stored; `znode.*` shows the znode's stat, by name only, so that copying
 * tools do not carry it along; there is nothing else.
 */
#include <errno.h>
#include <linux/xattr.h>
#include <string.h>

#include "ops.h"
#include "request.h"
#include "virtual_xattr.h"

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool name_is_stored(const char *name)
{
	return has_prefix(name, XATTR_USER_PREFIX);
}

/* The protocol of getxattr and listxattr: with size 0 the length is asked for. */
static int check_size(const struct request *r, size_t bytes)
{
	return r->size != 0 && bytes > r->size ? -ERANGE : 0;
}

static void get_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);
	int e = zn->result;

	if (e == -ENOENT && zn->type == ZN_PATH)
		e = -ENODATA; /* open, but without a name */
	if (e == 0)
		e = check_size(r, zn->bytes);
	if (e < 0) {
		request_reply_node_error(r, e);
	} else if (r->size == 0) {
		(void)fuse_reply_xattr(r->fuse, zn->bytes);
		request_end(r);
	} else {
		request_reply_data(r);
	}
}

static void virtual_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);
	const char *name = r->zn.name.data;
	char text[VIRTUAL_XATTR_BYTES_MAX];
	size_t bytes = 0;
	int e = zn->result;

	if (e == 0) {
		bytes = virtual_xattr_print(name, &zn->stat, text);
		e = check_size(r, bytes);
	}
	if (e < 0) {
		request_reply_node_error(r, e);
		return;
	}
	if (r->size == 0)
		(void)fuse_reply_xattr(r->fuse, bytes);
	else
		(void)fuse_reply_buf(r->fuse, text, bytes);
	request_end(r);
}

/* @data answers with its directory's. */
static void get_virtual(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	bool path = strcmp(name, VIRTUAL_XATTR_PATH) == 0;
	struct request *r;

	if (id_is_control(ino) || !(path || virtual_xattr_known(name))) {
		(void)fuse_reply_err(req, ENODATA);
		return;
	}
	r = request_begin(req);
	r->size = size;
	r->zn.type = path ? ZN_PATH : ZN_STAT;
	r->zn.id = id_znode(ino);
	r->zn.name = request_string(name);
	request_submit(r, path ? get_done : virtual_done);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct request *r;

	if (has_prefix(name, VIRTUAL_XATTR_PREFIX)) {
		get_virtual(req, ino, name, size);
		return;
	}
	if (!name_is_stored(name) || ino > ZN_ID_MAX) {
		(void)fuse_reply_err(req, name_is_stored(name) ? ENODATA : EOPNOTSUPP);
		return;
	}
	r = request_begin(req);
	r->size = size;
	r->zn.type = ZN_GETXATTR;
	r->zn.id = ino;
	r->zn.name = request_string(name);
	request_submit(r, get_done);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct request *r;

	if (ino > ZN_ID_MAX) { /* @data and control files have none */
		if (size == 0)
			(void)fuse_reply_xattr(req, 0);
		else
			(void)fuse_reply_buf(req, NULL, 0);
		return;
	}
	r = request_begin(req);
	r->size = size;
	r->zn.type = ZN_LISTXATTR;
	r->zn.id = ino;
	request_submit(r, get_done);
}

/* May the attribute be set or removed? 0 or -errno. */
static int check_change(fuse_ino_t ino, const char *name)
{
	if (!name_is_stored(name))
		return -EOPNOTSUPP;
	return ino > ZN_ID_MAX ? -EPERM : 0;
}

static void change(fuse_req_t req, fuse_ino_t ino, const char *name, const struct zn_op *op)
{
	struct request *r;
	int e = check_change(ino, name);

	if (e < 0) {
		(void)fuse_reply_err(req, -e);
		return;
	}
	r = request_begin(req);
	r->op[0] = *op;
	request_txn(r, 1, 0, request_node_done);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags)
{
	const struct zn_op op = {
		.type = ZN_OP_SETXATTR,
		.flags = (flags & XATTR_CREATE ? ZN_XATTR_CREATE : 0u) |
			 (flags & XATTR_REPLACE ? ZN_XATTR_REPLACE : 0u),
		.id = ino,
		.name = request_string(name),
		.data = { value, size },
		.version = ZN_ANY_VERSION,
	};

	change(req, ino, name, &op);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	const struct zn_op op = {
		.type = ZN_OP_REMOVEXATTR,
		.id = ino,
		.name = request_string(name),
		.version = ZN_ANY_VERSION,
	};

	change(req, ino, name, &op);
}
