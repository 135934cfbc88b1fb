/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree: the znodes in memory. Nodes are separate from their names (dentries), so that hard links,
 * unlinked files that are in use, and the rename of a directory with millions below it all work the
 * same way and in constant time.
 *
 * This module keeps the structure and its memory count; it knows nothing of zxids, rules or the
 * disk. txn.c decides what may be done, and undo.c takes back what a crash would take back.
 *
 * Not thread-safe: guarded by the lock around the engine.
 */
#ifndef ENGINE_TREE_H
#define ENGINE_TREE_H

#include "omap.h"
#include "value.h"
#include "xattrs.h"
#include "znodefs/store.h"

/* What a directory has beyond other nodes. */
struct dir {
	struct omap entries; /* struct dentry, by a hash of the name */
	uint64_t pzxid;
	uint64_t removed_zxid; /* the last transaction that took a name away */
	struct value *value;   /* the directory's own data */
	int32_t cversion;
};

struct node {
	struct omap_link link; /* in tree->nodes; the key is omap_spread(id) */
	uint64_t czxid;
	uint64_t mzxid;
	uint64_t changed_zxid; /* the last transaction that changed anything a reader can see */
	int64_t birth_ns;
	int64_t data_ns;
	int64_t atime_ns;
	int64_t mtime_ns;
	int64_t ctime_ns;
	int32_t version;
	int32_t aversion;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink; /* directories: 2 + sub-directories; 0: unlinked */
	uint32_t refs;  /* look-up references; volatile */
	union {
		uint32_t data_bytes;
		uint32_t rdev; /* devices, which have no data; makedev() of 12 + 20 bits */
	};
	union {
		struct value *value; /* all but directories */
		struct dir *dir;     /* directories */
	};
	struct dentry *names; /* linked by dentry->next; a directory has one at most, the root none */
	struct xattrs *xattrs;
};

/* A name. Its key in the directory is also where a reading cursor stands: key / 2 is the cookie. */
struct dentry {
	struct omap_link link; /* in parent->dir->entries */
	struct node *parent;
	struct node *node;
	struct dentry *next; /* another name of the same node */
	uint8_t name_bytes;
	char name[]; /* terminated */
};

struct node_slab;

struct tree {
	struct omap nodes;
	struct node *root;
	uint64_t next_id;
	uint64_t memory;     /* bytes of nodes, names, values and tables, about */
	uint64_t memory_max; /* what grows the tree past it gets ENOSPC */
	uint64_t data_max;   /* bytes of one value */
	uint64_t hash_seed;
	struct node_slab *slabs;
	struct node *free_nodes;
};

/*
 * A tree of nothing but the root directory (mode 0755, owned by root, zxid 0), without limits.
 * Returns 0 or -ENOMEM.
 */
int tree_init(struct tree *tree, uint64_t hash_seed);

/* Frees everything. */
void tree_fini(struct tree *tree);

/*
 * Take a look-up reference. Whoever takes 2^32 of them has a node that stays until the end: the count
 * does not wrap.
 */
static inline void node_ref(struct node *node)
{
	if (node->refs < UINT32_MAX)
		node->refs++;
}

static inline uint64_t node_id(const struct node *node)
{
	return omap_unspread(node->link.key);
}

bool node_is_dir(const struct node *node);

/* The node's data; the reference stays the node's. */
struct data node_data(const struct node *node);

/* NULL if there is no such node. */
struct node *tree_find(const struct tree *tree, uint64_t id);

/* NULL if @dir has no such entry. */
struct dentry *tree_lookup(const struct tree *tree, const struct node *dir, struct zn_bytes name);

/* The first entry whose cookie is greater than @cookie, or NULL. */
struct dentry *tree_next(const struct node *dir, uint64_t cookie);

static inline uint64_t dentry_cookie(const struct dentry *d)
{
	return d->link.key / 2;
}

/* Everything that there is to know, in the form callers see. */
void node_stat(const struct node *node, struct zn_stat *stat);

/*
 * A node of type and mode @mode with @id, in no directory, all else zero. NULL without memory.
 * The caller adds it with tree_add_node() or frees it with tree_free_node().
 */
struct node *tree_new_node(struct tree *tree, uint64_t id, uint32_t mode);
void tree_free_node(struct tree *tree, struct node *node);

/* Make it findable by id, or not. */
void tree_add_node(struct tree *tree, struct node *node);
void tree_remove_node(struct tree *tree, struct node *node);

/* A name that is in no directory yet. @name is valid. NULL without memory. */
struct dentry *dentry_new(struct node *parent, struct zn_bytes name, struct node *node);
void dentry_free(struct dentry *dentry);

/*
 * Put a name into its parent and on its node's list of names, or take it off both; nlink is the
 * caller's. tree_link() returns 0, or -ENOSPC if eight names already collide on its hash. A name
 * that was taken off goes back in with tree_relink(), to where it was, if all that was done to the
 * node's names since has been taken back.
 */
int tree_link(struct tree *tree, struct dentry *dentry);
void tree_unlink(struct tree *tree, struct dentry *dentry);
void tree_relink(struct tree *tree, struct dentry *dentry);

/* Change the node's data, as data_set(), data_write() and data_truncate() do. */
int tree_set_data(struct tree *tree, struct node *node, const void *from, size_t bytes);
int tree_write_data(struct tree *tree, struct node *node, uint64_t offset, const void *from,
		    size_t bytes);
int tree_truncate_data(struct tree *tree, struct node *node, uint64_t bytes);

/* Replace the node's data or attributes; the node takes over the reference, drops its old one. */
void tree_replace_data(struct tree *tree, struct node *node, struct data data);
void tree_replace_xattrs(struct tree *tree, struct node *node, struct xattrs *xattrs);

/* Remove every node that has neither a name nor a reference. Walks everything. */
void tree_remove_unused(struct tree *tree);

/*
 * Write the absolute path of the node's first name, not terminated.
 * Returns its length, also when that is more than @bytes (then @to holds its end); 0 if unlinked.
 */
size_t tree_path(const struct node *node, char *to, size_t bytes);

/* Walks everything and asserts what must hold. For tests. */
void tree_check(const struct tree *tree);

#endif
