/* SPDX-License-Identifier: Apache-2.0 */
/* read: answers requests that only look at the tree. */
#ifndef ENGINE_READ_H
#define ENGINE_READ_H

#include "tree.h"
#include "undo.h"

/*
 * Fill in the answer: result, output fields, and in priv.hold what keeps the output alive. Takes the
 * look-up references that the request asks for.
 * Returns the highest zxid that the answer depends on.
 */
uint64_t read_tree(struct tree *tree, struct zn_request *req);

/* Give back the look-up references that an answer took which will not be delivered. */
void read_drop_refs(struct tree *tree, struct undo *undo, const struct zn_request *req);

#endif
