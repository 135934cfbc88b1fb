/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model: what the tree of znodes should be, written a second time and as plainly as can be: flat arrays
 * that are searched from their start, data copied at every change. It knows the rules of each operation
 * by itself and shares no code with the engine.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "znodefs/store.h"

#define MODEL_NODES_MAX 256
#define MODEL_NAMES_MAX 256
#define MODEL_NAME_BYTES 256
#define MODEL_XATTRS_MAX 6

/* Bytes that never change; counted references. */
struct model_bytes {
	unsigned refs;
	size_t count;
	unsigned char bytes[];
};

struct model_xattr {
	char name[16];
	struct model_bytes *value;
};

struct model_node {
	struct zn_stat stat; /* but for data_bytes and children_count */
	struct model_bytes *data;
	struct model_xattr xattrs[MODEL_XATTRS_MAX];
	unsigned xattrs_count;
	uint64_t refs;    /* look-up references; those of the engine's */
	uint64_t changed; /* zxid of the last change of any kind */
	bool vague;       /* unlinked when the log failed: its data are nobody's promise */
};

struct model_name {
	uint64_t parent;
	uint64_t id;
	size_t bytes;
	char name[MODEL_NAME_BYTES];
};

struct model {
	uint64_t zxid;
	uint64_t data_max;
	size_t nodes_count;
	size_t names_count;
	struct model_node nodes[MODEL_NODES_MAX];
	struct model_name names[MODEL_NAMES_MAX];
};

/* A tree of nothing but the root. */
void model_init(struct model *model, uint64_t data_max);
void model_fini(struct model *model);

/* @to is empty (zeros) or a model. */
void model_copy(struct model *to, const struct model *from);

struct model_node *model_find(const struct model *model, uint64_t id);
struct model_name *model_lookup(const struct model *model, uint64_t parent, struct zn_bytes name);
bool model_is_dir(const struct model_node *node);
size_t model_children(const struct model *model, uint64_t id);
size_t model_data_bytes(const struct model_node *node);

/* The whole stat, counts filled in. */
struct zn_stat model_stat(const struct model *model, const struct model_node *node);

/*
 * Apply all or nothing as transaction @zxid at @time_ns. CREATE takes the id that the operation
 * carries; 0: one that nobody has. Returns 0 or the error of the first operation that is refused.
 * @stats  takes the stat after each operation
 */
int model_apply(struct model *model, uint64_t zxid, int64_t time_ns, const struct zn_op *ops,
		unsigned ops_count, struct zn_stat *stats);

/* If this only changes one unlinked node, the log need not know: that node; else NULL. */
struct model_node *model_volatile(const struct model *model, const struct zn_op *ops,
				  unsigned ops_count);

/* Look-up references; a node without names or references is gone. */
void model_ref(struct model *model, uint64_t id);
void model_forget(struct model *model, uint64_t id, uint64_t count);
void model_drop_unused(struct model *model);
void model_remove(struct model *model, struct model_node *node);

/* "name of the first field that differs", or NULL. */
const char *model_stat_differs(const struct zn_stat *a, const struct zn_stat *b);

#endif
