/* SPDX-License-Identifier: Apache-2.0 */
/*
 * undo: a queue of steps in blocks. A step that changes a node keeps a copy of the node's fields and
 * a reference to its old data and attributes; the others only say what was done.
 */
#include "undo.h"

#include <errno.h>
#include <stdlib.h>

enum step_type { STEP_CHANGE, STEP_ADDED, STEP_LINKED, STEP_UNLINKED, STEP_REMOVED };

/* A node before a change. The references in it are the step's own. */
struct image {
	struct node node;
	struct value *value;
	uint64_t pzxid;
	uint64_t removed_zxid;
	int32_t cversion;
};

struct step {
	enum step_type type;
	uint64_t zxid;
	struct node *node;
	struct dentry *dentry;
	uint64_t holds; /* bytes, as undo_holds() said */
	struct image image;
};

#define BLOCK_STEPS 128
static_assert(UNDO_RESERVE_MAX <= BLOCK_STEPS, "one more block is always enough");

struct undo_block {
	struct undo_block *next;
	struct undo_block *previous;
	unsigned start;
	unsigned used; /* steps are start..used - 1 */
	struct step steps[BLOCK_STEPS];
};

void undo_init(struct undo *undo)
{
	*undo = (struct undo){ 0 };
}

static int block_append(struct undo *undo)
{
	struct undo_block *b = undo->spare;

	if (!b)
		b = malloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	undo->spare = NULL;
	b->next = NULL;
	b->previous = undo->last;
	b->start = 0;
	b->used = 0;
	if (undo->last)
		undo->last->next = b;
	else
		undo->first = b;
	undo->last = b;
	return 0;
}

static void block_remove(struct undo *undo, struct undo_block *b)
{
	if (b->previous)
		b->previous->next = b->next;
	else
		undo->first = b->next;
	if (b->next)
		b->next->previous = b->previous;
	else
		undo->last = b->previous;
	if (undo->spare)
		free(b);
	else
		undo->spare = b;
}

int undo_reserve(struct undo *undo, unsigned steps)
{
	ZN_ASSERT(steps <= UNDO_RESERVE_MAX);
	if (undo->off || (undo->last && undo->last->used + steps <= BLOCK_STEPS))
		return 0;
	return block_append(undo);
}

static struct step *step_add(struct undo *undo, enum step_type type, uint64_t zxid)
{
	struct undo_block *b = undo->last;
	struct step *s;

	ZN_ASSERT(b != NULL);
	ZN_ASSERT(b->used < BLOCK_STEPS);
	s = &b->steps[b->used++];
	s->type = type;
	s->zxid = zxid;
	s->holds = 0;
	undo->bytes += sizeof(*s);
	return s;
}

void undo_holds(struct undo *undo, uint64_t bytes)
{
	struct undo_block *b = undo->last;

	if (undo->off || bytes == 0)
		return;
	ZN_ASSERT(b->steps[b->used - 1].type == STEP_CHANGE);
	b->steps[b->used - 1].holds = bytes;
	undo->bytes += bytes;
}

void undo_change(struct undo *undo, uint64_t zxid, struct node *node)
{
	struct step *s;

	if (undo->off)
		return;
	s = step_add(undo, STEP_CHANGE, zxid);
	s->node = node;
	s->image.node = *node;
	s->image.value = value_get(node_data(node).value);
	(void)xattrs_get(node->xattrs);
	if (node_is_dir(node)) {
		s->image.pzxid = node->dir->pzxid;
		s->image.removed_zxid = node->dir->removed_zxid;
		s->image.cversion = node->dir->cversion;
	}
}

void undo_added(struct undo *undo, uint64_t zxid, struct node *node)
{
	if (!undo->off)
		step_add(undo, STEP_ADDED, zxid)->node = node;
}

void undo_linked(struct undo *undo, uint64_t zxid, struct dentry *dentry)
{
	if (!undo->off)
		step_add(undo, STEP_LINKED, zxid)->dentry = dentry;
}

void undo_unlink(struct undo *undo, uint64_t zxid, struct tree *tree, struct dentry *dentry)
{
	tree_unlink(tree, dentry);
	if (undo->off)
		dentry_free(dentry);
	else
		step_add(undo, STEP_UNLINKED, zxid)->dentry = dentry;
}

void undo_remove(struct undo *undo, uint64_t zxid, struct tree *tree, struct node *node)
{
	tree_remove_node(tree, node);
	if (undo->off)
		tree_free_node(tree, node);
	else
		step_add(undo, STEP_REMOVED, zxid)->node = node;
}

static void step_drop(struct step *s, struct tree *tree)
{
	switch (s->type) {
	case STEP_CHANGE:
		value_put(s->image.value);
		xattrs_put(s->image.node.xattrs);
		break;
	case STEP_UNLINKED:
		dentry_free(s->dentry);
		break;
	case STEP_REMOVED:
		tree_free_node(tree, s->node);
		break;
	case STEP_ADDED:
	case STEP_LINKED:
		break;
	}
}

/* The fields a transaction may change; identity, names and references are not among them. */
static void image_restore(const struct image *image, struct tree *tree, struct node *node)
{
	const struct node *old = &image->node;

	node->czxid = old->czxid;
	node->mzxid = old->mzxid;
	node->changed_zxid = old->changed_zxid;
	node->data_ns = old->data_ns;
	node->atime_ns = old->atime_ns;
	node->mtime_ns = old->mtime_ns;
	node->ctime_ns = old->ctime_ns;
	node->version = old->version;
	node->aversion = old->aversion;
	node->mode = old->mode;
	node->uid = old->uid;
	node->gid = old->gid;
	node->nlink = old->nlink;
	if (node_is_dir(node)) {
		node->dir->pzxid = image->pzxid;
		node->dir->removed_zxid = image->removed_zxid;
		node->dir->cversion = image->cversion;
	}
	if (image->value || node_data(node).value)
		tree_replace_data(tree, node, (struct data){ image->value, old->data_bytes });
	tree_replace_xattrs(tree, node, old->xattrs);
}

static void step_revert(struct step *s, struct tree *tree)
{
	switch (s->type) {
	case STEP_CHANGE:
		image_restore(&s->image, tree, s->node);
		break;
	case STEP_ADDED:
		tree_remove_node(tree, s->node);
		tree_free_node(tree, s->node);
		break;
	case STEP_LINKED:
		tree_unlink(tree, s->dentry);
		dentry_free(s->dentry);
		break;
	case STEP_UNLINKED:
		tree_relink(tree, s->dentry);
		break;
	case STEP_REMOVED:
		tree_add_node(tree, s->node);
		break;
	}
}

void undo_drop(struct undo *undo, struct tree *tree, uint64_t zxid)
{
	struct undo_block *b;

	while ((b = undo->first) != NULL) {
		while (b->start < b->used) {
			if (b->steps[b->start].zxid > zxid)
				return;
			undo->bytes -= sizeof(struct step) + b->steps[b->start].holds;
			step_drop(&b->steps[b->start++], tree);
		}
		ZN_ASSERT(!b->previous);
		block_remove(undo, b);
	}
}

struct undo_mark undo_mark(const struct undo *undo)
{
	return (struct undo_mark){ undo->last, undo->last ? undo->last->used : 0 };
}

static void pop_to(struct undo *undo, struct tree *tree, struct undo_mark mark,
		   void (*pop)(struct step *s, struct tree *tree))
{
	struct undo_block *b;

	while ((b = undo->last) != NULL) {
		unsigned end = b == mark.block ? mark.used : b->start;

		while (b->used > end) {
			struct step *s = &b->steps[--b->used];

			undo->bytes -= sizeof(*s) + s->holds;
			pop(s, tree);
		}
		if (b == mark.block)
			return;
		ZN_ASSERT(!b->next);
		block_remove(undo, b);
	}
}

void undo_drop_to(struct undo *undo, struct tree *tree, struct undo_mark mark)
{
	pop_to(undo, tree, mark, step_drop);
}

void undo_revert_to(struct undo *undo, struct tree *tree, struct undo_mark mark)
{
	pop_to(undo, tree, mark, step_revert);
}

void undo_revert_all(struct undo *undo, struct tree *tree)
{
	undo_revert_to(undo, tree, (struct undo_mark){ NULL, 0 });
}

void undo_fini(struct undo *undo, struct tree *tree)
{
	undo_drop(undo, tree, UINT64_MAX);
	free(undo->spare);
	*undo = (struct undo){ 0 };
}
