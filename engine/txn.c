/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn: one function for each kind of operation. Each finds its nodes (and so notes what its answer
 * depends on), checks everything, then changes the tree with an undo step before each change.
 *
 * What counts as a change for whom:
 *   data written or cut      version, mzxid, data_ns; mtime and ctime
 *   an entry comes or goes   the directory's cversion, pzxid; its mtime and ctime
 *   mode or owner            aversion; ctime
 *   a name comes or goes     nlink and ctime of the node
 */
#include "txn.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* The most steps that one operation notes: EXCHANGE of two directories. */
#define OP_STEPS_MAX 16
static_assert(OP_STEPS_MAX <= UNDO_RESERVE_MAX, "reserved per operation");

struct apply {
	struct tree *tree;
	struct undo *undo;
	const struct txn *txn;
	uint64_t undo_zxid;
	uint64_t seen;
};

static void see(struct apply *a, const struct node *node)
{
	/* A node that this transaction changed already says nothing about the state before. */
	if (node->changed_zxid < a->txn->zxid)
		a->seen = zn_max_u64(a->seen, node->changed_zxid);
}

static int find_node(struct apply *a, uint64_t id, struct node **ret_node)
{
	struct node *node = tree_find(a->tree, id);

	if (!node)
		return -ENOENT;
	see(a, node);
	/* Replay, where nobody has a reference, would not find it. */
	if (node->nlink == 0 && !a->txn->is_volatile)
		return -ENOENT;
	*ret_node = node;
	return 0;
}

static int find_dir(struct apply *a, uint64_t id, struct node **ret_dir)
{
	struct node *dir;
	int r = find_node(a, id, &dir);

	if (r < 0)
		return r;
	if (!node_is_dir(dir))
		return -ENOTDIR;
	*ret_dir = dir;
	return 0;
}

static int check_name(struct zn_bytes name)
{
	const char *p = name.data;

	if (name.bytes > ZN_NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	if (name.bytes == 0)
		return -ENOENT;
	if (memchr(p, '/', name.bytes) || memchr(p, '\0', name.bytes))
		return -EINVAL;
	if (p[0] == '.' && (name.bytes == 1 || (name.bytes == 2 && p[1] == '.')))
		return -EINVAL;
	return 0;
}

static int find_dentry(struct apply *a, const struct node *dir, struct zn_bytes name,
		       struct dentry **ret_dentry)
{
	struct dentry *d;

	if (name.bytes > ZN_NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	d = tree_lookup(a->tree, dir, name);
	if (!d)
		return -ENOENT;
	see(a, d->node);
	*ret_dentry = d;
	return 0;
}

static int check_room(const struct apply *a, uint64_t bytes)
{
	return a->tree->memory + bytes > a->tree->memory_max ? -ENOSPC : 0;
}

static int check_version(const struct zn_op *op, const struct node *node)
{
	return op->version == ZN_ANY_VERSION || op->version == node->version ? 0 : -ESTALE;
}

static void changing(struct apply *a, struct node *node)
{
	undo_change(a->undo, a->undo_zxid, node);
	node->changed_zxid = a->txn->zxid;
	node->ctime_ns = a->txn->time_ns;
}

/* The list of children of @dir is about to change. */
static void changing_children(struct apply *a, struct node *dir, int nlink_change)
{
	changing(a, dir);
	dir->mtime_ns = a->txn->time_ns;
	dir->dir->pzxid = a->txn->zxid;
	dir->dir->cversion = (int32_t)((uint32_t)dir->dir->cversion + 1);
	dir->nlink += (uint32_t)nlink_change;
}

static void changing_data(struct apply *a, struct node *node, uint32_t flags)
{
	changing(a, node);
	node->mzxid = a->txn->zxid;
	node->version = (int32_t)((uint32_t)node->version + 1);
	node->data_ns = a->txn->time_ns;
	if (!node_is_dir(node))
		node->mtime_ns = a->txn->time_ns;
	if (flags & ZN_CLEAR_SETID && !node_is_dir(node)) {
		node->mode &= ~(uint32_t)S_ISUID;
		if (node->mode & S_IXGRP)
			node->mode &= ~(uint32_t)S_ISGID;
	}
}

static int link_new(struct apply *a, struct node *dir, struct zn_bytes name, struct node *node)
{
	struct dentry *d = dentry_new(dir, name, node);
	int r;

	if (!d)
		return -ENOMEM;
	r = tree_link(a->tree, d);
	if (r < 0) {
		dentry_free(d);
		return r;
	}
	undo_linked(a->undo, a->undo_zxid, d);
	return 0;
}

/* A node whose last name is gone stays only while somebody has looked it up. */
static void drop_if_unused(struct apply *a, struct node *node)
{
	if (node->nlink == 0 && node->refs == 0)
		undo_remove(a->undo, a->undo_zxid, a->tree, node);
}

static int check_create(struct apply *a, const struct zn_op *op, struct node **ret_dir)
{
	struct dentry *d;
	int r = check_name(op->name);

	if (r == 0)
		r = find_dir(a, op->parent, ret_dir);
	if (r < 0)
		return r;
	if (find_dentry(a, *ret_dir, op->name, &d) == 0)
		return -EEXIST;
	switch (op->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		break;
	case S_IFLNK:
		if (op->data.bytes == 0)
			return -ENOENT;
		if (op->data.bytes > ZN_SYMLINK_BYTES_MAX)
			return -ENAMETOOLONG;
		break;
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		if (op->data.bytes > 0 || op->rdev > UINT32_MAX)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	if (op->data.bytes > a->tree->data_max)
		return -EFBIG;
	if (op->id != 0 && (op->id > ZN_ID_MAX || tree_find(a->tree, op->id)))
		return -EINVAL;
	return check_room(a, sizeof(struct node) + sizeof(struct dentry) + op->data.bytes);
}

static int apply_create(struct apply *a, struct zn_op *op)
{
	int64_t now = a->txn->time_ns;
	struct node *dir, *node;
	bool is_dir = S_ISDIR(op->mode);
	uint64_t id;
	int r = check_create(a, op, &dir);

	if (r < 0)
		return r;
	id = op->id ? op->id : a->tree->next_id;
	node = tree_new_node(a->tree, id, op->mode & (S_IFMT | 07777));
	if (!node)
		return -ENOMEM;
	node->czxid = node->mzxid = node->changed_zxid = a->txn->zxid;
	node->birth_ns = node->data_ns = now;
	node->atime_ns = node->mtime_ns = node->ctime_ns = now;
	node->uid = op->uid;
	node->gid = op->gid;
	node->nlink = is_dir ? 2 : 1;
	if (is_dir)
		node->dir->pzxid = a->txn->zxid;
	if (dir->mode & S_ISGID) {
		node->gid = dir->gid;
		if (is_dir)
			node->mode |= S_ISGID;
	}
	if (S_ISCHR(op->mode) || S_ISBLK(op->mode))
		node->rdev = (uint32_t)op->rdev;
	tree_add_node(a->tree, node);
	undo_added(a->undo, a->undo_zxid, node);
	if (op->data.bytes > 0) {
		r = tree_set_data(a->tree, node, op->data.data, op->data.bytes);
		if (r < 0)
			return r;
	}
	r = link_new(a, dir, op->name, node);
	if (r < 0)
		return r;
	changing_children(a, dir, is_dir ? 1 : 0);
	a->tree->next_id = zn_max_u64(a->tree->next_id, id + 1);
	op->id = id;
	node_stat(node, &op->stat);
	return 0;
}

/* What SET, WRITE and TRUNCATE act on: files and the data of directories. */
static int find_for_data(struct apply *a, const struct zn_op *op, struct node **ret_node)
{
	int r = find_node(a, op->id, ret_node);

	if (r < 0)
		return r;
	if (!S_ISREG((*ret_node)->mode) && !node_is_dir(*ret_node))
		return -EINVAL;
	return check_version(op, *ret_node);
}

static int check_size(const struct apply *a, const struct node *node, uint64_t bytes)
{
	uint64_t now = node_data(node).bytes;

	if (bytes <= now)
		return 0;
	if (bytes > a->tree->data_max)
		return -EFBIG;
	return check_room(a, bytes - now);
}

/* The node's data have changed; what was copied for that stays twice until the change is durable. */
static void changed_data(struct apply *a, const struct node *node, const struct value *old,
			 uint64_t bytes)
{
	/* With undo off nothing holds the old value any more. */
	if (!a->undo->off && node_data(node).value != old)
		undo_holds(a->undo, zn_min_u64(value_memory(old), bytes + 2 * VALUE_CHUNK_BYTES));
}

static int apply_set(struct apply *a, struct zn_op *op)
{
	struct node *node;
	struct data old;
	int r = find_for_data(a, op, &node);

	if (r == 0)
		r = check_size(a, node, op->data.bytes);
	if (r < 0)
		return r;
	old = node_data(node);
	changing_data(a, node, op->flags);
	r = tree_set_data(a->tree, node, op->data.data, op->data.bytes);
	if (r < 0)
		return r;
	changed_data(a, node, old.value, old.bytes);
	node_stat(node, &op->stat);
	return 0;
}

static int apply_write(struct apply *a, struct zn_op *op)
{
	struct node *node;
	struct data old;
	uint64_t end;
	int r = find_for_data(a, op, &node);

	if (r < 0)
		return r;
	if (op->flags & ZN_WRITE_APPEND)
		op->offset = node_data(node).bytes;
	if (__builtin_add_overflow(op->offset, op->data.bytes, &end))
		return -EFBIG;
	r = check_size(a, node, end);
	if (r < 0)
		return r;
	old = node_data(node);
	changing_data(a, node, op->flags);
	r = tree_write_data(a->tree, node, op->offset, op->data.data, op->data.bytes);
	if (r < 0)
		return r;
	changed_data(a, node, old.value, op->data.bytes);
	node_stat(node, &op->stat);
	return 0;
}

static int apply_truncate(struct apply *a, struct zn_op *op)
{
	struct node *node;
	struct data old;
	int r = find_for_data(a, op, &node);

	if (r == 0)
		r = check_size(a, node, op->offset);
	if (r < 0)
		return r;
	old = node_data(node);
	changing_data(a, node, op->flags);
	r = tree_truncate_data(a->tree, node, op->offset);
	if (r < 0)
		return r;
	changed_data(a, node, old.value, old.bytes);
	node_stat(node, &op->stat);
	return 0;
}

static int check_empty(const struct node *dir)
{
	return dir->dir->entries.count > 0 || node_data(dir).bytes > 0 ? -ENOTEMPTY : 0;
}

/* The node at @d loses this name; the directory's own change is the caller's. */
static void unlink_node(struct apply *a, struct dentry *d)
{
	struct node *node = d->node;

	changing(a, node);
	node->nlink = node_is_dir(node) ? 0 : node->nlink - 1;
	undo_unlink(a->undo, a->undo_zxid, a->tree, d);
	drop_if_unused(a, node);
}

static int apply_delete(struct apply *a, struct zn_op *op)
{
	struct node *dir;
	struct dentry *d;
	int r = find_dir(a, op->parent, &dir);

	if (r == 0)
		r = find_dentry(a, dir, op->name, &d);
	if (r < 0)
		return r;
	if (op->flags & ZN_DELETE_FILE && node_is_dir(d->node))
		return -EISDIR;
	if (op->flags & ZN_DELETE_DIR && !node_is_dir(d->node))
		return -ENOTDIR;
	if (node_is_dir(d->node) && check_empty(d->node) < 0)
		return -ENOTEMPTY;
	r = check_version(op, d->node);
	if (r < 0)
		return r;
	changing_children(a, dir, node_is_dir(d->node) ? -1 : 0);
	dir->dir->removed_zxid = a->txn->zxid;
	unlink_node(a, d);
	return 0;
}

/* May the node at @target be replaced by @node? */
static int check_replace(const struct node *node, const struct node *target)
{
	if (node_is_dir(node))
		return node_is_dir(target) ? check_empty(target) : -ENOTDIR;
	return node_is_dir(target) ? -EISDIR : 0;
}

/* Give the name @from's node the name @name in @dir instead. */
static int move_dentry(struct apply *a, struct dentry *from, struct node *dir, struct zn_bytes name)
{
	struct node *node = from->node;

	undo_unlink(a->undo, a->undo_zxid, a->tree, from);
	return link_new(a, dir, name, node);
}

/* Both names stay and swap their nodes. */
static int exchange(struct apply *a, struct node *dir, struct dentry *from, struct node *new_dir,
		    struct dentry *to)
{
	struct node *node = from->node, *other = to->node;
	int moved = node_is_dir(node) - node_is_dir(other);
	char name[ZN_NAME_BYTES_MAX], new_name[ZN_NAME_BYTES_MAX];
	struct zn_bytes n = { name, from->name_bytes }, new_n = { new_name, to->name_bytes };
	int r;

	memcpy(name, from->name, n.bytes);
	memcpy(new_name, to->name, new_n.bytes);
	changing(a, node);
	changing(a, other);
	changing_children(a, dir, dir == new_dir ? 0 : -moved);
	if (dir != new_dir)
		changing_children(a, new_dir, moved);
	undo_unlink(a->undo, a->undo_zxid, a->tree, from);
	undo_unlink(a->undo, a->undo_zxid, a->tree, to);
	r = link_new(a, dir, n, other);
	return r < 0 ? r : link_new(a, new_dir, new_n, node);
}

static int rename_over(struct apply *a, const struct zn_op *op, struct node *dir,
		       struct dentry *from, struct node *new_dir, struct dentry *to)
{
	struct node *node = from->node;
	int subdir = node_is_dir(node) ? 1 : 0;
	int replaced = to && node_is_dir(to->node) ? 1 : 0;

	changing(a, node);
	changing_children(a, dir, dir == new_dir ? -replaced : -subdir);
	dir->dir->removed_zxid = a->txn->zxid;
	if (dir != new_dir)
		changing_children(a, new_dir, subdir - replaced);
	if (to)
		unlink_node(a, to);
	return move_dentry(a, from, new_dir, op->new_name);
}

/* Is @node the directory @dir, or below it? O(depth). */
static bool is_within(struct apply *a, const struct node *node, const struct node *dir)
{
	while (node != dir && node->names) {
		see(a, node);
		node = node->names->parent;
	}
	return node == dir;
}

static int apply_rename(struct apply *a, struct zn_op *op)
{
	bool swap = op->flags & ZN_RENAME_EXCHANGE;
	struct node *dir = NULL, *new_dir = NULL, *node;
	struct dentry *from = NULL, *to = NULL;
	int r = check_name(op->new_name);

	if (r == 0)
		r = find_dir(a, op->parent, &dir);
	if (r == 0)
		r = find_dir(a, op->new_parent, &new_dir);
	if (r == 0)
		r = find_dentry(a, dir, op->name, &from);
	if (r < 0)
		return r;
	node = from->node;
	(void)find_dentry(a, new_dir, op->new_name, &to);
	if (swap && op->flags & ZN_RENAME_NOREPLACE)
		return -EINVAL;
	if (swap && !to)
		return -ENOENT;
	if (to && op->flags & ZN_RENAME_NOREPLACE)
		return -EEXIST;
	if (node_is_dir(node) && is_within(a, new_dir, node))
		return -EINVAL;
	if (swap && node_is_dir(to->node) && is_within(a, dir, to->node))
		return -EINVAL;
	/* A directory below the other's name: POSIX wants ENOTEMPTY, which check_replace() says. */
	if (to && !swap && to->node != node) {
		r = check_replace(node, to->node);
		if (r < 0)
			return r;
	}
	/* Two names of one file: POSIX says that nothing happens. */
	if (to && to->node == node)
		r = 0;
	else if (swap)
		r = exchange(a, dir, from, new_dir, to);
	else
		r = rename_over(a, op, dir, from, new_dir, to);
	if (r == 0)
		node_stat(node, &op->stat);
	return r;
}

static int apply_link(struct apply *a, struct zn_op *op)
{
	struct node *dir = NULL, *node = NULL;
	struct dentry *d;
	int r = check_name(op->new_name);

	if (r == 0)
		r = find_dir(a, op->new_parent, &dir);
	if (r == 0)
		r = find_node(a, op->id, &node);
	if (r < 0)
		return r;
	if (find_dentry(a, dir, op->new_name, &d) == 0)
		return -EEXIST;
	if (node_is_dir(node))
		return -EPERM;
	if (node->nlink >= ZN_LINK_MAX)
		return -EMLINK;
	r = check_room(a, sizeof(struct dentry) + op->new_name.bytes);
	if (r < 0)
		return r;
	changing(a, node);
	node->nlink++;
	changing_children(a, dir, 0);
	r = link_new(a, dir, op->new_name, node);
	if (r == 0)
		node_stat(node, &op->stat);
	return r;
}

static int apply_setattr(struct apply *a, struct zn_op *op)
{
	int64_t now = a->txn->time_ns;
	struct node *node;
	int r = find_node(a, op->id, &node);

	if (r < 0)
		return r;
	changing(a, node);
	if (op->flags & ZN_SET_MODE)
		node->mode = (node->mode & S_IFMT) | (op->mode & 07777);
	if (op->flags & ZN_SET_UID)
		node->uid = op->uid;
	if (op->flags & ZN_SET_GID)
		node->gid = op->gid;
	if (op->flags & (ZN_SET_MODE | ZN_SET_UID | ZN_SET_GID))
		node->aversion = (int32_t)((uint32_t)node->aversion + 1);
	if (op->flags & (ZN_SET_ATIME | ZN_SET_ATIME_NOW))
		node->atime_ns = op->flags & ZN_SET_ATIME_NOW ? now : op->atime_ns;
	if (op->flags & (ZN_SET_MTIME | ZN_SET_MTIME_NOW))
		node->mtime_ns = op->flags & ZN_SET_MTIME_NOW ? now : op->mtime_ns;
	node_stat(node, &op->stat);
	return 0;
}

static int apply_setxattr(struct apply *a, struct zn_op *op)
{
	struct xattrs *list = NULL;
	struct zn_bytes old;
	struct node *node;
	bool exists;
	int r = find_node(a, op->id, &node);

	if (r < 0)
		return r;
	if (op->name.bytes == 0 || op->name.bytes > ZN_XATTR_NAME_BYTES_MAX)
		return -ERANGE;
	if (op->data.bytes > ZN_XATTR_VALUE_BYTES_MAX)
		return -E2BIG;
	exists = xattrs_find(node->xattrs, op->name, &old) == 0;
	if (exists && op->flags & ZN_XATTR_CREATE)
		return -EEXIST;
	if (!exists && op->flags & ZN_XATTR_REPLACE)
		return -ENODATA;
	r = check_room(a, op->data.bytes);
	if (r == 0)
		r = xattrs_with(node->xattrs, op->name, op->data, &list);
	if (r < 0)
		return r;
	changing(a, node);
	tree_replace_xattrs(a->tree, node, list);
	node_stat(node, &op->stat);
	return 0;
}

static int apply_removexattr(struct apply *a, struct zn_op *op)
{
	struct xattrs *list = NULL;
	struct node *node;
	int r = find_node(a, op->id, &node);

	if (r == 0)
		r = xattrs_without(node->xattrs, op->name, &list);
	if (r < 0)
		return r;
	changing(a, node);
	tree_replace_xattrs(a->tree, node, list);
	node_stat(node, &op->stat);
	return 0;
}

static int apply_op(struct apply *a, struct zn_op *op)
{
	switch (op->type) {
	case ZN_OP_CREATE:
		return apply_create(a, op);
	case ZN_OP_SET:
		return apply_set(a, op);
	case ZN_OP_WRITE:
		return apply_write(a, op);
	case ZN_OP_TRUNCATE:
		return apply_truncate(a, op);
	case ZN_OP_DELETE:
		return apply_delete(a, op);
	case ZN_OP_RENAME:
		return apply_rename(a, op);
	case ZN_OP_LINK:
		return apply_link(a, op);
	case ZN_OP_SETATTR:
		return apply_setattr(a, op);
	case ZN_OP_SETXATTR:
		return apply_setxattr(a, op);
	case ZN_OP_REMOVEXATTR:
		return apply_removexattr(a, op);
	}
	return -EINVAL;
}

int txn_check_shape(const struct txn *txn)
{
	for (unsigned i = 0; i < txn->ops_count; i++) {
		const struct zn_op *op = &txn->ops[i];

		switch (op->type) {
		case ZN_OP_CREATE:
		case ZN_OP_DELETE:
		case ZN_OP_RENAME:
		case ZN_OP_LINK:
			if (op->type != ZN_OP_LINK && op->name.bytes > ZN_NAME_BYTES_MAX)
				return -ENAMETOOLONG;
			if ((op->type == ZN_OP_RENAME || op->type == ZN_OP_LINK) &&
			    op->new_name.bytes > ZN_NAME_BYTES_MAX)
				return -ENAMETOOLONG;
			break;
		case ZN_OP_SETXATTR:
		case ZN_OP_REMOVEXATTR:
			if (op->name.bytes == 0 || op->name.bytes > ZN_XATTR_NAME_BYTES_MAX)
				return -ERANGE;
			break;
		case ZN_OP_SET:
		case ZN_OP_WRITE:
		case ZN_OP_TRUNCATE:
		case ZN_OP_SETATTR:
			break;
		default:
			return -EINVAL;
		}
	}
	return txn->ops_count <= TXN_OPS_MAX ? 0 : -EINVAL;
}

int txn_apply(struct tree *tree, const struct txn *txn, struct undo *undo, uint64_t undo_zxid,
	      uint64_t *ret_seen)
{
	struct apply a = { .tree = tree, .undo = undo, .txn = txn, .undo_zxid = undo_zxid };
	struct undo_mark mark = undo_mark(undo);
	uint64_t next_id = tree->next_id;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < txn->ops_count; i++) {
		r = undo_reserve(undo, OP_STEPS_MAX);
		if (r == 0)
			r = apply_op(&a, &txn->ops[i]);
	}
	if (r < 0) {
		undo_revert_to(undo, tree, mark);
		tree->next_id = next_id;
	}
	*ret_seen = a.seen;
	return r;
}

struct node *txn_volatile_node(const struct tree *tree, const struct txn *txn)
{
	struct node *node;

	for (unsigned i = 0; i < txn->ops_count; i++) {
		switch (txn->ops[i].type) {
		case ZN_OP_SET:
		case ZN_OP_WRITE:
		case ZN_OP_TRUNCATE:
		case ZN_OP_SETATTR:
		case ZN_OP_SETXATTR:
		case ZN_OP_REMOVEXATTR:
			if (txn->ops[i].id == txn->ops[0].id)
				break;
			return NULL;
		default:
			return NULL;
		}
	}
	node = txn->ops_count > 0 ? tree_find(tree, txn->ops[0].id) : NULL;
	return node && node->nlink == 0 ? node : NULL;
}

bool txn_may_grow(const struct txn *txn)
{
	for (unsigned i = 0; i < txn->ops_count; i++) {
		const struct zn_op *op = &txn->ops[i];

		switch (op->type) {
		case ZN_OP_CREATE:
		case ZN_OP_LINK:
		case ZN_OP_SET:
		case ZN_OP_WRITE:
		case ZN_OP_SETXATTR:
			return true;
		case ZN_OP_TRUNCATE:
			if (op->offset > 0)
				return true;
			break;
		case ZN_OP_DELETE:
		case ZN_OP_RENAME:
		case ZN_OP_SETATTR:
		case ZN_OP_REMOVEXATTR:
			break;
		}
	}
	return false;
}

void txn_forget(struct tree *tree, struct undo *undo, uint64_t zxid, struct node *node,
		uint64_t count)
{
	ZN_ASSERT(count <= node->refs);
	if (node->refs == UINT32_MAX)
		return;
	node->refs -= (uint32_t)count;
	if (node->nlink > 0 || node->refs > 0)
		return;
	if (undo_is_empty(undo)) {
		tree_remove_node(tree, node);
		tree_free_node(tree, node);
	} else if (undo_reserve(undo, 1) == 0) {
		undo_remove(undo, zxid, tree, node); /* earlier steps may still name it */
	} else {
		node->refs++; /* without memory it stays until the end; it was unlinked anyway */
	}
}
