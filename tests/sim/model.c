/* SPDX-License-Identifier: Apache-2.0 */
/* model: see model.h. The order of the checks is part of what is modelled: it decides between errors. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct step {
	struct model *m;
	uint64_t zxid;
	int64_t now;
	bool on_unlinked; /* the transaction is for an unlinked node */
};

static struct model_bytes *bytes_new(size_t count)
{
	struct model_bytes *b = calloc(1, sizeof(*b) + count);

	ZN_ASSERT(b != NULL);
	b->refs = 1;
	b->count = count;
	return b;
}

static struct model_bytes *bytes_of(struct zn_bytes from)
{
	struct model_bytes *b = bytes_new(from.bytes);

	if (from.bytes > 0)
		memcpy(b->bytes, from.data, from.bytes);
	return b;
}

static void bytes_put(struct model_bytes *b)
{
	if (b && --b->refs == 0)
		free(b);
}

static struct model_bytes *bytes_get(struct model_bytes *b)
{
	if (b)
		b->refs++;
	return b;
}

static void node_fini(struct model_node *node)
{
	bytes_put(node->data);
	for (unsigned i = 0; i < node->xattrs_count; i++)
		bytes_put(node->xattrs[i].value);
}

void model_init(struct model *model, uint64_t data_max)
{
	*model = (struct model){ .data_max = data_max, .nodes_count = 1 };
	model->nodes[0].stat = (struct zn_stat){ .id = ZN_ROOT_ID,
						 .mode = S_IFDIR | 0755,
						 .nlink = 2 };
}

void model_fini(struct model *model)
{
	for (size_t i = 0; i < model->nodes_count; i++)
		node_fini(&model->nodes[i]);
	model->nodes_count = 0;
	model->names_count = 0;
}

void model_copy(struct model *to, const struct model *from)
{
	model_fini(to);
	to->zxid = from->zxid;
	to->data_max = from->data_max;
	to->nodes_count = from->nodes_count;
	to->names_count = from->names_count;
	memcpy(to->nodes, from->nodes, from->nodes_count * sizeof(from->nodes[0]));
	memcpy(to->names, from->names, from->names_count * sizeof(from->names[0]));
	for (size_t i = 0; i < to->nodes_count; i++) {
		(void)bytes_get(to->nodes[i].data);
		for (unsigned x = 0; x < to->nodes[i].xattrs_count; x++)
			(void)bytes_get(to->nodes[i].xattrs[x].value);
	}
}

struct model_node *model_find(const struct model *model, uint64_t id)
{
	for (size_t i = 0; i < model->nodes_count; i++) {
		if (model->nodes[i].stat.id == id)
			return (struct model_node *)&model->nodes[i];
	}
	return NULL;
}

struct model_name *model_lookup(const struct model *model, uint64_t parent, struct zn_bytes name)
{
	for (size_t i = 0; i < model->names_count; i++) {
		const struct model_name *n = &model->names[i];

		if (n->parent == parent && n->bytes == name.bytes &&
		    memcmp(n->name, name.data, name.bytes) == 0)
			return (struct model_name *)n;
	}
	return NULL;
}

bool model_is_dir(const struct model_node *node)
{
	ZN_ASSERT(node != NULL);
	return S_ISDIR(node->stat.mode);
}

size_t model_children(const struct model *model, uint64_t id)
{
	size_t count = 0;

	for (size_t i = 0; i < model->names_count; i++)
		count += model->names[i].parent == id;
	return count;
}

size_t model_data_bytes(const struct model_node *node)
{
	return node->data ? node->data->count : 0;
}

struct zn_stat model_stat(const struct model *model, const struct model_node *node)
{
	struct zn_stat stat = node->stat;

	stat.data_bytes = model_data_bytes(node);
	stat.children_count = model_children(model, stat.id);
	if (!model_is_dir(node))
		stat.pzxid = stat.czxid;
	return stat;
}

void model_remove(struct model *model, struct model_node *node)
{
	node_fini(node);
	*node = model->nodes[--model->nodes_count];
}

void model_drop_unused(struct model *model)
{
	for (size_t i = model->nodes_count; i-- > 0;) {
		struct model_node *n = &model->nodes[i];

		if (n->stat.nlink == 0 && n->refs == 0)
			model_remove(model, n);
	}
}

void model_ref(struct model *model, uint64_t id)
{
	struct model_node *n = model_find(model, id);

	ZN_ASSERT(n != NULL);
	n->refs++;
}

void model_forget(struct model *model, uint64_t id, uint64_t count)
{
	struct model_node *n = model_find(model, id);

	if (!n)
		return;
	n->refs -= zn_min_u64(count, n->refs);
	if (n->stat.nlink == 0 && n->refs == 0)
		model_remove(model, n);
}

/* --- the rules --------------------------------------------------------------------------------- */

static void touch(const struct step *s, struct model_node *n)
{
	n->stat.ctime_ns = s->now;
	n->changed = s->zxid;
}

static void touch_data(const struct step *s, struct model_node *n, uint32_t flags)
{
	touch(s, n);
	n->stat.version++;
	n->stat.mzxid = s->zxid;
	n->stat.data_ns = s->now;
	if (model_is_dir(n))
		return;
	n->stat.mtime_ns = s->now;
	if (flags & ZN_CLEAR_SETID) {
		n->stat.mode &= ~04000U;
		if (n->stat.mode & 010)
			n->stat.mode &= ~02000U;
	}
}

static void touch_children(const struct step *s, struct model_node *dir)
{
	touch(s, dir);
	dir->stat.mtime_ns = s->now;
	dir->stat.pzxid = s->zxid;
	dir->stat.cversion++;
}

static int bad_name(struct zn_bytes name)
{
	const char *p = name.data;

	if (name.bytes > 255)
		return -ENAMETOOLONG;
	if (name.bytes == 0)
		return -ENOENT;
	for (size_t i = 0; i < name.bytes; i++) {
		if (p[i] == '/' || p[i] == '\0')
			return -EINVAL;
	}
	if ((name.bytes == 1 && p[0] == '.') || (name.bytes == 2 && p[0] == '.' && p[1] == '.'))
		return -EINVAL;
	return 0;
}

static int get(const struct step *s, uint64_t id, struct model_node **ret)
{
	*ret = model_find(s->m, id);
	if (!*ret)
		return -ENOENT;
	/* References are not in the log, so nothing in the log can depend on them. */
	return (*ret)->stat.nlink == 0 && !s->on_unlinked ? -ENOENT : 0;
}

static int get_dir(const struct step *s, uint64_t id, struct model_node **ret)
{
	int r = get(s, id, ret);

	if (r < 0)
		return r;
	return model_is_dir(*ret) ? 0 : -ENOTDIR;
}

/* Is @id the directory @top, or somewhere below it? */
static bool is_below(const struct model *m, uint64_t id, uint64_t top)
{
	for (;;) {
		const struct model_name *name = NULL;

		if (id == top)
			return true;
		for (size_t i = 0; i < m->names_count; i++) {
			if (m->names[i].id == id)
				name = &m->names[i];
		}
		if (!name)
			return false;
		id = name->parent;
	}
}

static void add_name(struct model *m, uint64_t parent, struct zn_bytes name, uint64_t id)
{
	struct model_name *n = &m->names[m->names_count++];

	ZN_ASSERT(m->names_count <= MODEL_NAMES_MAX);
	*n = (struct model_name){ .parent = parent, .id = id, .bytes = name.bytes };
	memcpy(n->name, name.data, name.bytes);
}

static void remove_name(struct model *m, struct model_name *name)
{
	*name = m->names[--m->names_count];
}

static int do_create(const struct step *s, const struct zn_op *op, uint64_t *ret_id)
{
	uint32_t type = op->mode & S_IFMT;
	struct model_node *dir, *n;
	int r = bad_name(op->name);

	if (r == 0)
		r = get_dir(s, op->parent, &dir);
	if (r < 0)
		return r;
	if (model_lookup(s->m, op->parent, op->name))
		return -EEXIST;
	if (type == S_IFLNK && op->data.bytes == 0)
		return -ENOENT;
	if (type == S_IFLNK && op->data.bytes > 4095)
		return -ENAMETOOLONG;
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK &&
	    ((type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR && type != S_IFBLK) ||
	     op->data.bytes > 0))
		return -EINVAL;
	if (op->data.bytes > s->m->data_max)
		return -EFBIG;
	ZN_ASSERT(s->m->nodes_count < MODEL_NODES_MAX);
	n = &s->m->nodes[s->m->nodes_count++];
	*n = (struct model_node){
		.stat = {
			.id = op->id,
			.czxid = s->zxid, .mzxid = s->zxid, .pzxid = s->zxid,
			.birth_ns = s->now, .data_ns = s->now,
			.atime_ns = s->now, .mtime_ns = s->now, .ctime_ns = s->now,
			.mode = op->mode & (S_IFMT | 07777),
			.uid = op->uid,
			.gid = op->gid,
			.nlink = type == S_IFDIR ? 2 : 1,
		},
		.changed = s->zxid,
	};
	if (type == S_IFCHR || type == S_IFBLK)
		n->stat.rdev = op->rdev;
	if (dir->stat.mode & 02000) {
		n->stat.gid = dir->stat.gid;
		if (type == S_IFDIR)
			n->stat.mode |= 02000;
	}
	if (op->data.bytes > 0)
		n->data = bytes_of(op->data);
	add_name(s->m, op->parent, op->name, op->id);
	touch_children(s, dir);
	dir->stat.nlink += type == S_IFDIR;
	*ret_id = op->id;
	return 0;
}

static int get_for_data(const struct step *s, const struct zn_op *op, struct model_node **ret)
{
	int r = get(s, op->id, ret);

	if (r < 0)
		return r;
	if (!S_ISREG((*ret)->stat.mode) && !model_is_dir(*ret))
		return -EINVAL;
	return op->version != ZN_ANY_VERSION && op->version != (*ret)->stat.version ? -ESTALE : 0;
}

/* Make the data @size long, keeping what there was, and put @bytes at @offset. */
static int change_data(const struct step *s, const struct zn_op *op, struct model_node *n,
		       size_t size, size_t keep, uint64_t offset, struct zn_bytes bytes)
{
	struct model_bytes *b;

	if (size > model_data_bytes(n) && size > s->m->data_max)
		return -EFBIG;
	b = bytes_new(size);
	if (keep > 0)
		memcpy(b->bytes, n->data->bytes, zn_min_u64(keep, size));
	if (bytes.bytes > 0)
		memcpy(b->bytes + offset, bytes.data, bytes.bytes);
	bytes_put(n->data);
	n->data = b;
	touch_data(s, n, op->flags);
	return 0;
}

static int do_set(const struct step *s, const struct zn_op *op)
{
	struct model_node *n;
	int r = get_for_data(s, op, &n);

	return r < 0 ? r : change_data(s, op, n, op->data.bytes, 0, 0, op->data);
}

static int do_write(const struct step *s, const struct zn_op *op)
{
	struct model_node *n;
	int r = get_for_data(s, op, &n);
	uint64_t at;
	size_t old;

	if (r < 0)
		return r;
	old = model_data_bytes(n);
	at = op->flags & ZN_WRITE_APPEND ? old : op->offset;
	if (at > UINT64_MAX - op->data.bytes)
		return -EFBIG;
	if (op->data.bytes == 0 && at > old) {
		/* Nothing is written, so nothing gets longer. */
		if (at > s->m->data_max)
			return -EFBIG;
		touch_data(s, n, op->flags);
		return 0;
	}
	return change_data(s, op, n, zn_max_u64(old, at + op->data.bytes), old, at, op->data);
}

static int do_truncate(const struct step *s, const struct zn_op *op)
{
	struct zn_bytes none = { 0 };
	struct model_node *n;
	int r = get_for_data(s, op, &n);

	if (r < 0)
		return r;
	if (op->offset > model_data_bytes(n) && op->offset > s->m->data_max)
		return -EFBIG;
	return change_data(s, op, n, op->offset, model_data_bytes(n), 0, none);
}

/* The name goes; its node too if that was the last and nobody holds it. */
static void unname(const struct step *s, struct model_name *name)
{
	struct model_node *n = model_find(s->m, name->id);

	touch(s, n);
	n->stat.nlink = model_is_dir(n) ? 0 : n->stat.nlink - 1;
	remove_name(s->m, name);
	if (n->stat.nlink == 0 && n->refs == 0)
		model_remove(s->m, n);
}

static bool is_empty(const struct model *m, const struct model_node *dir)
{
	return model_children(m, dir->stat.id) == 0 && model_data_bytes(dir) == 0;
}

static int do_delete(const struct step *s, const struct zn_op *op)
{
	struct model_node *dir, *n;
	struct model_name *name;
	int r = get_dir(s, op->parent, &dir);

	if (r < 0)
		return r;
	if (op->name.bytes > 255)
		return -ENAMETOOLONG;
	name = model_lookup(s->m, op->parent, op->name);
	if (!name)
		return -ENOENT;
	n = model_find(s->m, name->id);
	if (op->flags & ZN_DELETE_FILE && model_is_dir(n))
		return -EISDIR;
	if (op->flags & ZN_DELETE_DIR && !model_is_dir(n))
		return -ENOTDIR;
	if (model_is_dir(n) && !is_empty(s->m, n))
		return -ENOTEMPTY;
	if (op->version != ZN_ANY_VERSION && op->version != n->stat.version)
		return -ESTALE;
	touch_children(s, dir);
	dir->stat.nlink -= model_is_dir(n);
	unname(s, name);
	return 0;
}

static void do_exchange(const struct step *s, struct model_name *a, struct model_name *b)
{
	struct model_node *x = model_find(s->m, a->id), *y = model_find(s->m, b->id);
	struct model_node *dir = model_find(s->m, a->parent), *other = model_find(s->m, b->parent);
	uint64_t id = a->id;

	touch(s, x);
	touch(s, y);
	touch_children(s, dir);
	if (other != dir) {
		touch_children(s, other);
		dir->stat.nlink += (uint32_t)model_is_dir(y) - (uint32_t)model_is_dir(x);
		other->stat.nlink += (uint32_t)model_is_dir(x) - (uint32_t)model_is_dir(y);
	}
	a->id = b->id;
	b->id = id;
}

static void do_move(const struct step *s, const struct zn_op *op, struct model_node *n)
{
	struct model_node *dir = model_find(s->m, op->parent),
			  *to = model_find(s->m, op->new_parent);
	struct model_name *over = model_lookup(s->m, op->new_parent, op->new_name);
	uint64_t id = n->stat.id;

	touch(s, n);
	touch_children(s, dir);
	if (to != dir)
		touch_children(s, to);
	dir->stat.nlink -= model_is_dir(n);
	to->stat.nlink += model_is_dir(n);
	if (over) {
		to->stat.nlink -= model_is_dir(model_find(s->m, over->id));
		unname(s, over);
	}
	remove_name(s->m, model_lookup(s->m, op->parent, op->name));
	add_name(s->m, op->new_parent, op->new_name, id);
}

static int do_rename(const struct step *s, const struct zn_op *op, uint64_t *ret_id)
{
	bool swap = op->flags & ZN_RENAME_EXCHANGE;
	struct model_node *dir, *new_dir, *n, *target;
	struct model_name *from, *to;
	int r = bad_name(op->new_name);

	if (r == 0)
		r = get_dir(s, op->parent, &dir);
	if (r == 0)
		r = get_dir(s, op->new_parent, &new_dir);
	if (r < 0)
		return r;
	if (op->name.bytes > 255)
		return -ENAMETOOLONG;
	from = model_lookup(s->m, op->parent, op->name);
	to = model_lookup(s->m, op->new_parent, op->new_name);
	if (!from)
		return -ENOENT;
	if (swap && op->flags & ZN_RENAME_NOREPLACE)
		return -EINVAL;
	if (swap && !to)
		return -ENOENT;
	if (to && op->flags & ZN_RENAME_NOREPLACE)
		return -EEXIST;
	n = model_find(s->m, from->id);
	target = to ? model_find(s->m, to->id) : NULL;
	*ret_id = n->stat.id;
	if (model_is_dir(n) && is_below(s->m, op->new_parent, n->stat.id))
		return -EINVAL;
	if (swap && model_is_dir(target) && is_below(s->m, op->parent, target->stat.id))
		return -EINVAL;
	if (target == n)
		return 0;
	if (swap) {
		do_exchange(s, from, to);
		return 0;
	}
	if (target && model_is_dir(n) && !model_is_dir(target))
		return -ENOTDIR;
	if (target && model_is_dir(n) && !is_empty(s->m, target))
		return -ENOTEMPTY;
	if (target && !model_is_dir(n) && model_is_dir(target))
		return -EISDIR;
	do_move(s, op, n);
	return 0;
}

static int do_link(const struct step *s, const struct zn_op *op)
{
	struct model_node *dir = NULL, *n = NULL;
	int r = bad_name(op->new_name);

	if (r == 0)
		r = get_dir(s, op->new_parent, &dir);
	if (r == 0)
		r = get(s, op->id, &n);
	if (r < 0)
		return r;
	if (model_lookup(s->m, op->new_parent, op->new_name))
		return -EEXIST;
	if (model_is_dir(n))
		return -EPERM;
	touch(s, n);
	n->stat.nlink++;
	touch_children(s, dir);
	add_name(s->m, op->new_parent, op->new_name, op->id);
	return 0;
}

static int do_setattr(const struct step *s, const struct zn_op *op)
{
	struct model_node *n;
	int r = get(s, op->id, &n);

	if (r < 0)
		return r;
	touch(s, n);
	if (op->flags & ZN_SET_MODE)
		n->stat.mode = (n->stat.mode & S_IFMT) | (op->mode & 07777);
	if (op->flags & ZN_SET_UID)
		n->stat.uid = op->uid;
	if (op->flags & ZN_SET_GID)
		n->stat.gid = op->gid;
	if (op->flags & (ZN_SET_MODE | ZN_SET_UID | ZN_SET_GID))
		n->stat.aversion++;
	if (op->flags & ZN_SET_ATIME)
		n->stat.atime_ns = op->atime_ns;
	if (op->flags & ZN_SET_ATIME_NOW)
		n->stat.atime_ns = s->now;
	if (op->flags & ZN_SET_MTIME)
		n->stat.mtime_ns = op->mtime_ns;
	if (op->flags & ZN_SET_MTIME_NOW)
		n->stat.mtime_ns = s->now;
	return 0;
}

static struct model_xattr *find_xattr(struct model_node *n, struct zn_bytes name)
{
	for (unsigned i = 0; i < n->xattrs_count; i++) {
		if (strlen(n->xattrs[i].name) == name.bytes &&
		    memcmp(n->xattrs[i].name, name.data, name.bytes) == 0)
			return &n->xattrs[i];
	}
	return NULL;
}

static int do_setxattr(const struct step *s, const struct zn_op *op)
{
	struct model_xattr *x;
	struct model_node *n;
	int r = get(s, op->id, &n);

	if (r < 0)
		return r;
	x = find_xattr(n, op->name);
	if (x && op->flags & ZN_XATTR_CREATE)
		return -EEXIST;
	if (!x && op->flags & ZN_XATTR_REPLACE)
		return -ENODATA;
	if (!x) {
		ZN_ASSERT(n->xattrs_count < MODEL_XATTRS_MAX);
		ZN_ASSERT(op->name.bytes < sizeof(x->name));
		x = &n->xattrs[n->xattrs_count++];
		*x = (struct model_xattr){ 0 };
		memcpy(x->name, op->name.data, op->name.bytes);
	}
	bytes_put(x->value);
	x->value = bytes_of(op->data);
	touch(s, n);
	return 0;
}

static int do_removexattr(const struct step *s, const struct zn_op *op)
{
	struct model_xattr *x;
	struct model_node *n;
	int r = get(s, op->id, &n);

	if (r < 0)
		return r;
	x = find_xattr(n, op->name);
	if (!x)
		return -ENODATA;
	bytes_put(x->value);
	*x = n->xattrs[--n->xattrs_count];
	touch(s, n);
	return 0;
}

static int apply_one(const struct step *s, const struct zn_op *op, uint64_t *ret_id)
{
	*ret_id = op->id;
	switch (op->type) {
	case ZN_OP_CREATE:
		return do_create(s, op, ret_id);
	case ZN_OP_SET:
		return do_set(s, op);
	case ZN_OP_WRITE:
		return do_write(s, op);
	case ZN_OP_TRUNCATE:
		return do_truncate(s, op);
	case ZN_OP_DELETE:
		return do_delete(s, op);
	case ZN_OP_RENAME:
		return do_rename(s, op, ret_id);
	case ZN_OP_LINK:
		return do_link(s, op);
	case ZN_OP_SETATTR:
		return do_setattr(s, op);
	case ZN_OP_SETXATTR:
		return do_setxattr(s, op);
	case ZN_OP_REMOVEXATTR:
		return do_removexattr(s, op);
	}
	return -EINVAL;
}

int model_apply(struct model *model, uint64_t zxid, int64_t time_ns, const struct zn_op *ops,
		unsigned ops_count, struct zn_stat *stats)
{
	struct step s = { model, zxid, time_ns, model_volatile(model, ops, ops_count) != NULL };
	struct model *before = NULL;
	int r = 0;

	if (ops_count > 1) {
		before = calloc(1, sizeof(*before));
		ZN_ASSERT(before != NULL);
		model_copy(before, model);
	}
	for (unsigned i = 0; r == 0 && i < ops_count; i++) {
		struct zn_op op = ops[i];
		struct model_node *n;
		uint64_t id;

		if (op.type == ZN_OP_CREATE && op.id == 0)
			op.id = ZN_ID_MAX - i;
		r = apply_one(&s, &op, &id);
		n = r == 0 && op.type != ZN_OP_DELETE ? model_find(model, id) : NULL;
		if (n && stats)
			stats[i] = model_stat(model, n);
	}
	if (before && r < 0) {
		model_copy(model, before);
	}
	if (before) {
		model_fini(before);
		free(before);
	}
	return r;
}

struct model_node *model_volatile(const struct model *model, const struct zn_op *ops,
				  unsigned ops_count)
{
	struct model_node *n;

	for (unsigned i = 0; i < ops_count; i++) {
		if (ops[i].type == ZN_OP_CREATE || ops[i].type == ZN_OP_DELETE ||
		    ops[i].type == ZN_OP_RENAME || ops[i].type == ZN_OP_LINK ||
		    ops[i].id != ops[0].id)
			return NULL;
	}
	n = ops_count > 0 ? model_find(model, ops[0].id) : NULL;
	return n && n->stat.nlink == 0 ? n : NULL;
}

#define DIFFERS(field) \
	do { \
		if (a->field != b->field) \
			return #field; \
	} while (0)

const char *model_stat_differs(const struct zn_stat *a, const struct zn_stat *b)
{
	DIFFERS(id);
	DIFFERS(czxid);
	DIFFERS(mzxid);
	DIFFERS(pzxid);
	DIFFERS(birth_ns);
	DIFFERS(data_ns);
	DIFFERS(atime_ns);
	DIFFERS(mtime_ns);
	DIFFERS(ctime_ns);
	DIFFERS(version);
	DIFFERS(cversion);
	DIFFERS(aversion);
	DIFFERS(ephemeral_owner);
	DIFFERS(data_bytes);
	DIFFERS(children_count);
	DIFFERS(mode);
	DIFFERS(uid);
	DIFFERS(gid);
	DIFFERS(nlink);
	DIFFERS(rdev);
	return NULL;
}
