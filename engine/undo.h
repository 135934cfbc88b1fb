/* SPDX-License-Identifier: Apache-2.0 */
/*
 * undo: how to take back what is applied to the tree but not durable yet. Transactions are applied
 * operation by operation; if one is refused, those before it are taken back, and if the log fails,
 * everything is that a crash would have taken back.
 *
 * A first-in first-out list: each step is noted before it is made, dropped when its transaction is
 * durable, and reverted from the other end. What a step removes from the tree is freed only when
 * the step is dropped. Its length is bounded by what may wait for the log.
 *
 * During recovery there is nothing to take back: with undo->off nothing is noted and what is removed
 * is freed at once.
 */
#ifndef ENGINE_UNDO_H
#define ENGINE_UNDO_H

#include "tree.h"

struct undo_block;

struct undo {
	struct undo_block *first;
	struct undo_block *last;
	struct undo_block *spare; /* one, so that a steady state allocates nothing */
	bool off;                 /* recovery: nothing is noted */
	uint64_t bytes;           /* memory that the steps take, with what only they still hold */
};

/* Where a list ended; only for undo_revert_to(). */
struct undo_mark {
	struct undo_block *block;
	unsigned used;
};

void undo_init(struct undo *undo);

/* Drops all steps. */
void undo_fini(struct undo *undo, struct tree *tree);

/*
 * The change noted last has replaced data, of which @bytes stay in memory only for it.
 */
void undo_holds(struct undo *undo, uint64_t bytes);

/*
 * Make sure that @steps can be noted without a failure. Returns 0 or -ENOMEM.
 */
int undo_reserve(struct undo *undo, unsigned steps);

#define UNDO_RESERVE_MAX 32

/*
 * Note a step of transaction @zxid that is about to be made: @node is going to change in any way but
 * its names and references; was added to the tree; is being removed from it; a dentry was linked; is
 * being unlinked. The two that remove do it themselves.
 */
void undo_change(struct undo *undo, uint64_t zxid, struct node *node);
void undo_added(struct undo *undo, uint64_t zxid, struct node *node);
void undo_linked(struct undo *undo, uint64_t zxid, struct dentry *dentry);
void undo_unlink(struct undo *undo, uint64_t zxid, struct tree *tree, struct dentry *dentry);
void undo_remove(struct undo *undo, uint64_t zxid, struct tree *tree, struct node *node);

/* Drop the steps of all transactions up to @zxid: they are durable. */
void undo_drop(struct undo *undo, struct tree *tree, uint64_t zxid);

static inline bool undo_is_empty(const struct undo *undo)
{
	return !undo->first;
}

struct undo_mark undo_mark(const struct undo *undo);

/* Drop all steps after @mark, though their transaction is not durable: nothing will take it back. */
void undo_drop_to(struct undo *undo, struct tree *tree, struct undo_mark mark);

/* Take back all steps after @mark, or all that there are. */
void undo_revert_to(struct undo *undo, struct tree *tree, struct undo_mark mark);
void undo_revert_all(struct undo *undo, struct tree *tree);

#endif
