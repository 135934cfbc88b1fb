/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn: what a transaction does to the tree. The rules of POSIX and ZooKeeper stand here and nowhere
 * else: a live request and a record read back from the log go through the same function.
 */
#ifndef ENGINE_TXN_H
#define ENGINE_TXN_H

#include "tree.h"
#include "undo.h"

#define TXN_OPS_MAX 4096

struct txn {
	uint64_t zxid;
	/*
	 * Only touches an unlinked node: not logged, since no crash brings the node back. zxid is that
	 * of the node's last change then.
	 */
	bool is_volatile;
	int64_t time_ns; /* what "now" is for all operations */
	struct zn_op *ops;
	unsigned ops_count;
};

/* What can be refused without looking at the tree: 0, -EINVAL, -ENAMETOOLONG, -ERANGE. */
int txn_check_shape(const struct txn *txn);

/*
 * Apply all operations or none. Ids that CREATE operations carry as 0 are assigned; an appending
 * WRITE gets its offset; each operation's stat is filled in.
 * @undo      notes the steps; they stay if it succeeds
 * @undo_zxid what the steps count as: txn->zxid, or for a volatile one that of the last transaction
 * @ret_seen  the highest zxid that the outcome depends on, also of a failure; below txn->zxid
 * Returns 0 or the first failing operation's error. Every check comes before the first change that
 * cannot be taken back, so a refusal leaves no trace.
 */
int txn_apply(struct tree *tree, const struct txn *txn, struct undo *undo, uint64_t undo_zxid,
	      uint64_t *ret_seen);

/* The node, if all operations are on one that is unlinked; else NULL. */
struct node *txn_volatile_node(const struct tree *tree, const struct txn *txn);

/* Could it make the tree larger? Those are refused when disk or memory is short; deletes are not. */
bool txn_may_grow(const struct txn *txn);

/*
 * Give back @count look-up references on @node; one that nothing needs any more is removed.
 * @zxid  of the last transaction applied
 */
void txn_forget(struct tree *tree, struct undo *undo, uint64_t zxid, struct node *node,
		uint64_t count);

#endif
