/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read: what a request sees is copied (stat, names) or held by reference (data, attributes), so that
 * the answer can leave later, from another thread, without the lock.
 */
#include "read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "txn.h"

static void value_release(void *hold)
{
	value_put(hold);
}

static void xattrs_release(void *hold)
{
	xattrs_put(hold);
}

/* One piece of output, kept alive by @hold until @release. */
static void output(struct zn_request *req, const void *data, size_t bytes, void *hold,
		   void (*release)(void *hold))
{
	req->iov[0] = (struct iovec){ (void *)(uintptr_t)data, bytes };
	req->iov_count = bytes > 0 ? 1 : 0;
	req->bytes = bytes;
	req->priv.hold = hold;
	req->priv.release = release;
}

static int read_lookup(const struct tree *tree, const struct node *dir, struct zn_request *req,
		       uint64_t *seen)
{
	struct dentry *d;

	if (!node_is_dir(dir))
		return -ENOTDIR;
	if (req->name.bytes > ZN_NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	d = tree_lookup(tree, dir, req->name);
	if (!d) {
		/* Only taking names away could have made it so: who creates files one by one need not wait. */
		*seen = zn_max_u64(dir->czxid, dir->dir->removed_zxid);
		return -ENOENT;
	}
	/* Whatever made this name point to this node changed the node too. */
	*seen = d->node->changed_zxid;
	node_stat(d->node, &req->stat);
	if (req->flags & ZN_REQ_REF)
		node_ref(d->node);
	return 0;
}

static int read_data(const struct node *node, struct zn_request *req)
{
	struct data data = node_data(node);

	if (req->bytes > (UINT64_C(1) << 20))
		return -EINVAL;
	req->iov_count = data_iov(&data, req->offset, req->bytes, req->iov, &req->bytes);
	req->priv.hold = value_get(data.value);
	req->priv.release = value_release;
	node_stat(node, &req->stat);
	return 0;
}

static size_t dirent_bytes(const struct dentry *d)
{
	return zn_align_up(sizeof(struct zn_dirent) + d->name_bytes + 1U, 8);
}

static void put_dirent(const struct dentry *d, unsigned flags, struct zn_dirent *to)
{
	to->cookie = dentry_cookie(d);
	to->id = node_id(d->node);
	/* Permissions may be those of a change that is not durable; the type never changes. */
	to->mode = flags & ZN_REQ_READDIR_STAT ? d->node->mode : d->node->mode & S_IFMT;
	to->name_bytes = d->name_bytes;
	to->bytes = (uint16_t)dirent_bytes(d);
	if (flags & ZN_REQ_READDIR_STAT)
		node_stat(d->node, &to->stat);
	if (flags & ZN_REQ_REF)
		node_ref(d->node);
	memcpy(to->name, d->name, d->name_bytes + 1U);
}

static int read_dir(const struct node *dir, struct zn_request *req, uint64_t *seen)
{
	unsigned flags = req->flags;
	char *to = req->buffer;
	size_t cost = 0, used = 0;
	const struct dentry *d;

	req->entries_bytes = 0;
	if (!node_is_dir(dir))
		return -ENOTDIR;
	if (!(flags & ZN_REQ_READDIR_STAT))
		flags &= ~(unsigned)ZN_REQ_REF;
	node_stat(dir, &req->stat);
	for (d = tree_next(dir, req->cookie); d; d = tree_next(dir, dentry_cookie(d))) {
		cost += zn_align_up(req->cost_fixed + d->name_bytes, 8);
		if (cost > req->cost_max || used + dirent_bytes(d) > req->buffer_bytes)
			break;
		put_dirent(d, flags, (struct zn_dirent *)(void *)(to + used));
		if (flags & ZN_REQ_READDIR_STAT)
			*seen = zn_max_u64(*seen, d->node->changed_zxid);
		used += dirent_bytes(d);
	}
	req->entries_bytes = used;
	return d && used == 0 ? -EINVAL : 0;
}

static int read_xattr(const struct node *node, struct zn_request *req)
{
	struct zn_bytes value;
	int r = xattrs_find(node->xattrs, req->name, &value);

	if (r == 0)
		output(req, value.data, value.bytes, xattrs_get(node->xattrs), xattrs_release);
	return r;
}

static int read_xattr_names(const struct node *node, struct zn_request *req)
{
	size_t bytes = xattrs_names(node->xattrs, NULL);
	char *names = bytes > 0 ? malloc(bytes) : NULL;

	if (bytes > 0 && !names)
		return -ENOMEM;
	(void)xattrs_names(node->xattrs, names);
	output(req, names, bytes, names, free);
	return 0;
}

static int read_path(const struct node *node, struct zn_request *req, uint64_t *seen)
{
	size_t bytes = tree_path(node, NULL, 0);
	char *path;

	if (bytes == 0)
		return -ENOENT;
	path = malloc(bytes);
	if (!path)
		return -ENOMEM;
	(void)tree_path(node, path, bytes);
	for (; node->names; node = node->names->parent)
		*seen = zn_max_u64(*seen, node->changed_zxid);
	output(req, path, bytes, path, free);
	return 0;
}

uint64_t read_tree(struct tree *tree, struct zn_request *req)
{
	struct node *node = tree_find(tree, req->id);
	uint64_t seen;

	if (!node) {
		req->result = -ENOENT;
		return 0;
	}
	seen = node->changed_zxid;
	switch (req->type) {
	case ZN_LOOKUP:
		req->result = read_lookup(tree, node, req, &seen);
		break;
	case ZN_STAT:
		node_stat(node, &req->stat);
		req->result = 0;
		break;
	case ZN_READ:
		req->result = read_data(node, req);
		break;
	case ZN_READDIR:
		req->result = read_dir(node, req, &seen);
		break;
	case ZN_GETXATTR:
		req->result = read_xattr(node, req);
		break;
	case ZN_LISTXATTR:
		req->result = read_xattr_names(node, req);
		break;
	case ZN_PATH:
		req->result = read_path(node, req, &seen);
		break;
	default:
		req->result = -EINVAL;
		break;
	}
	return seen;
}

static void drop_ref(struct tree *tree, struct undo *undo, uint64_t id)
{
	struct node *node = tree_find(tree, id);

	if (node && node->refs > 0)
		txn_forget(tree, undo, 0, node, 1);
}

void read_drop_refs(struct tree *tree, struct undo *undo, const struct zn_request *req)
{
	if (!(req->flags & ZN_REQ_REF) || req->result < 0)
		return;
	switch (req->type) {
	case ZN_LOOKUP:
		drop_ref(tree, undo, req->stat.id);
		break;
	case ZN_TXN:
		for (unsigned i = 0; i < req->ops_count; i++) {
			if (req->ops[i].type == ZN_OP_CREATE || req->ops[i].type == ZN_OP_LINK)
				drop_ref(tree, undo, req->ops[i].stat.id);
		}
		break;
	case ZN_READDIR:
		for (size_t at = 0; req->flags & ZN_REQ_READDIR_STAT && at < req->entries_bytes;) {
			const struct zn_dirent *e = (const void *)((const char *)req->buffer + at);

			drop_ref(tree, undo, e->id);
			at += e->bytes;
		}
		break;
	default:
		break;
	}
}
