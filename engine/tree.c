/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree: nodes live in slabs (they are all of one size and there are millions), names and values on
 * the heap. Two kinds of map hold it together: one from ids to nodes, and one a directory from
 * hashes of names to dentries, which is also the order in which the directory is read.
 */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

/* Names whose hashes collide take the next free of this many keys. */
#define COLLISIONS_MAX 8
/* The smallest key: its cookie is ZN_COOKIE_FIRST. */
#define KEY_FIRST (UINT64_C(2) * ZN_COOKIE_FIRST)
#define SLAB_NODES 480

struct node_slab {
	struct node_slab *next;
	struct node nodes[SLAB_NODES];
};

bool node_is_dir(const struct node *node)
{
	return S_ISDIR(node->mode);
}

static bool node_is_device(const struct node *node)
{
	return S_ISCHR(node->mode) || S_ISBLK(node->mode);
}

struct data node_data(const struct node *node)
{
	if (node_is_device(node))
		return (struct data){ NULL, 0 };
	return (struct data){ node_is_dir(node) ? node->dir->value : node->value,
			      node->data_bytes };
}

static uint64_t node_memory(const struct node *node)
{
	return sizeof(*node) + (node_is_dir(node) ? sizeof(*node->dir) : 0) + OMAP_LINK_TABLE_BYTES;
}

static uint64_t dentry_memory(const struct dentry *d)
{
	return sizeof(*d) + d->name_bytes + 1U + OMAP_LINK_TABLE_BYTES;
}

static int slab_add(struct tree *tree)
{
	struct node_slab *slab = malloc(sizeof(*slab));

	if (!slab)
		return -ENOMEM;
	slab->next = tree->slabs;
	tree->slabs = slab;
	for (size_t i = SLAB_NODES; i-- > 0;) {
		slab->nodes[i].link.next = (struct omap_link *)tree->free_nodes;
		tree->free_nodes = &slab->nodes[i];
	}
	return 0;
}

struct node *tree_new_node(struct tree *tree, uint64_t id, uint32_t mode)
{
	struct dir *dir = NULL;
	struct node *node;

	ZN_ASSERT(id >= 1 && id <= ZN_ID_MAX);
	if (!tree->free_nodes && slab_add(tree) < 0)
		return NULL;
	if (S_ISDIR(mode)) {
		dir = calloc(1, sizeof(*dir));
		if (!dir)
			return NULL;
		omap_init(&dir->entries);
	}
	node = tree->free_nodes;
	tree->free_nodes = (struct node *)node->link.next;
	*node = (struct node){ .link.key = omap_spread(id), .mode = mode, .dir = dir };
	return node;
}

void tree_free_node(struct tree *tree, struct node *node)
{
	ZN_ASSERT(!node->names);
	if (node_is_dir(node)) {
		omap_fini(&node->dir->entries);
		value_put(node->dir->value);
		free(node->dir);
	} else {
		value_put(node->value);
	}
	xattrs_put(node->xattrs);
	node->link.next = (struct omap_link *)tree->free_nodes;
	tree->free_nodes = node;
}

void tree_add_node(struct tree *tree, struct node *node)
{
	omap_insert(&tree->nodes, &node->link);
	tree->memory += node_memory(node) + value_memory(node_data(node).value) +
			xattrs_memory(node->xattrs);
}

void tree_remove_node(struct tree *tree, struct node *node)
{
	omap_remove(&tree->nodes, &node->link);
	tree->memory -= node_memory(node) + value_memory(node_data(node).value) +
			xattrs_memory(node->xattrs);
}

int tree_init(struct tree *tree, uint64_t hash_seed)
{
	*tree = (struct tree){
		.next_id = ZN_ROOT_ID + 1,
		.memory_max = UINT64_MAX,
		.data_max = VALUE_BYTES_MAX,
		.hash_seed = hash_seed,
	};
	omap_init(&tree->nodes);
	tree->root = tree_new_node(tree, ZN_ROOT_ID, S_IFDIR | 0755);
	if (!tree->root)
		return -ENOMEM;
	tree->root->nlink = 2;
	tree_add_node(tree, tree->root);
	return 0;
}

static void free_entries(struct node *dir)
{
	struct omap_link *l = omap_drain(&dir->dir->entries);

	while (l) {
		struct dentry *d = container_of(l, struct dentry, link);

		l = l->next;
		dentry_free(d);
	}
}

void tree_fini(struct tree *tree)
{
	struct omap_link *l = omap_drain(&tree->nodes);

	while (l) {
		struct node *node = container_of(l, struct node, link);

		l = l->next;
		if (node_is_dir(node))
			free_entries(node);
		node->names = NULL;
		tree_free_node(tree, node);
	}
	while (tree->slabs) {
		struct node_slab *slab = tree->slabs;

		tree->slabs = slab->next;
		free(slab);
	}
	*tree = (struct tree){ 0 };
}

void tree_remove_unused(struct tree *tree)
{
	struct omap_link *l = omap_find_within(&tree->nodes, 0, UINT64_MAX);

	while (l) {
		struct node *node = container_of(l, struct node, link);
		uint64_t key = l->key;

		if (node->nlink == 0 && node->refs == 0) {
			tree_remove_node(tree, node);
			tree_free_node(tree, node);
		}
		l = key == UINT64_MAX ? NULL : omap_find_within(&tree->nodes, key + 1, UINT64_MAX);
	}
}

struct node *tree_find(const struct tree *tree, uint64_t id)
{
	struct omap_link *l = omap_find(&tree->nodes, omap_spread(id));

	return l ? container_of(l, struct node, link) : NULL;
}

static uint64_t name_key(const struct tree *tree, struct zn_bytes name)
{
	uint64_t key = XXH3_64bits_withSeed(name.data, name.bytes, tree->hash_seed) & ~UINT64_C(1);

	return zn_min_u64(zn_max_u64(key, KEY_FIRST), UINT64_MAX - 2 * COLLISIONS_MAX - 1);
}

struct dentry *tree_lookup(const struct tree *tree, const struct node *dir, struct zn_bytes name)
{
	uint64_t key = name_key(tree, name);
	uint64_t last = key + 2 * (COLLISIONS_MAX - 1);

	for (uint64_t from = key; from <= last;) {
		struct omap_link *l = omap_find_within(&dir->dir->entries, from, last);
		struct dentry *d = l ? container_of(l, struct dentry, link) : NULL;

		if (!d ||
		    (d->name_bytes == name.bytes && memcmp(d->name, name.data, name.bytes) == 0))
			return d;
		from = l->key + 1;
	}
	return NULL;
}

struct dentry *tree_next(const struct node *dir, uint64_t cookie)
{
	struct omap_link *l;

	if (cookie >= UINT64_MAX / 2)
		return NULL;
	l = omap_find_within(&dir->dir->entries, 2 * cookie + 1, UINT64_MAX);
	return l ? container_of(l, struct dentry, link) : NULL;
}

void node_stat(const struct node *node, struct zn_stat *stat)
{
	bool dir = node_is_dir(node);

	*stat = (struct zn_stat){
		.id = node_id(node),
		.czxid = node->czxid,
		.mzxid = node->mzxid,
		.pzxid = dir ? node->dir->pzxid : node->czxid,
		.birth_ns = node->birth_ns,
		.data_ns = node->data_ns,
		.atime_ns = node->atime_ns,
		.mtime_ns = node->mtime_ns,
		.ctime_ns = node->ctime_ns,
		.version = node->version,
		.cversion = dir ? node->dir->cversion : 0,
		.aversion = node->aversion,
		.data_bytes = node_data(node).bytes,
		.children_count = dir ? node->dir->entries.count : 0,
		.mode = node->mode,
		.uid = node->uid,
		.gid = node->gid,
		.nlink = node->nlink,
		.rdev = node_is_device(node) ? node->rdev : 0,
	};
}

struct dentry *dentry_new(struct node *parent, struct zn_bytes name, struct node *node)
{
	struct dentry *d;

	ZN_ASSERT(name.bytes >= 1 && name.bytes <= ZN_NAME_BYTES_MAX);
	d = malloc(zn_max_u64(sizeof(*d), offsetof(struct dentry, name) + name.bytes + 1));
	if (!d)
		return NULL;
	*d = (struct dentry){ .parent = parent, .node = node, .name_bytes = (uint8_t)name.bytes };
	memcpy(d->name, name.data, name.bytes);
	d->name[name.bytes] = '\0';
	return d;
}

void dentry_free(struct dentry *dentry)
{
	free(dentry);
}

int tree_link(struct tree *tree, struct dentry *dentry)
{
	struct omap *entries = &dentry->parent->dir->entries;
	uint64_t key = name_key(tree, (struct zn_bytes){ dentry->name, dentry->name_bytes });
	uint64_t end = key + 2 * COLLISIONS_MAX;

	while (key < end && omap_find(entries, key))
		key += 2;
	if (key == end)
		return -ENOSPC;
	dentry->link.key = key;
	dentry->next = dentry->node->names;
	tree_relink(tree, dentry);
	return 0;
}

/* dentry->next still says before which other name it belongs. */
void tree_relink(struct tree *tree, struct dentry *dentry)
{
	struct dentry **d = &dentry->node->names;

	omap_insert(&dentry->parent->dir->entries, &dentry->link);
	while (*d != dentry->next)
		d = &(*d)->next;
	*d = dentry;
	tree->memory += dentry_memory(dentry);
}

void tree_unlink(struct tree *tree, struct dentry *dentry)
{
	struct dentry **d = &dentry->node->names;

	omap_remove(&dentry->parent->dir->entries, &dentry->link);
	while (*d != dentry)
		d = &(*d)->next;
	*d = dentry->next;
	tree->memory -= dentry_memory(dentry);
}

static struct value **value_slot(struct node *node)
{
	ZN_ASSERT(!node_is_device(node));
	return node_is_dir(node) ? &node->dir->value : &node->value;
}

/* The node's data are now @data; its value, perhaps the same one, took @before bytes. */
static void put_data(struct tree *tree, struct node *node, struct data data, uint64_t before)
{
	tree->memory += value_memory(data.value);
	tree->memory -= before;
	*value_slot(node) = data.value;
	node->data_bytes = data.bytes;
}

int tree_set_data(struct tree *tree, struct node *node, const void *from, size_t bytes)
{
	struct data data = node_data(node);
	uint64_t before = value_memory(data.value);
	int r = data_set(&data, from, bytes);

	if (r == 0)
		put_data(tree, node, data, before);
	return r;
}

int tree_write_data(struct tree *tree, struct node *node, uint64_t offset, const void *from,
		    size_t bytes)
{
	struct data data = node_data(node);
	uint64_t before = value_memory(data.value);
	int r = data_write(&data, offset, from, bytes);

	if (r == 0)
		put_data(tree, node, data, before);
	return r;
}

int tree_truncate_data(struct tree *tree, struct node *node, uint64_t bytes)
{
	struct data data = node_data(node);
	uint64_t before = value_memory(data.value);
	int r = data_truncate(&data, bytes);

	if (r == 0)
		put_data(tree, node, data, before);
	return r;
}

void tree_replace_data(struct tree *tree, struct node *node, struct data data)
{
	struct value *old = *value_slot(node);

	put_data(tree, node, data, value_memory(old));
	value_put(old);
}

void tree_replace_xattrs(struct tree *tree, struct node *node, struct xattrs *xattrs)
{
	tree->memory += xattrs_memory(xattrs);
	tree->memory -= xattrs_memory(node->xattrs);
	xattrs_put(node->xattrs);
	node->xattrs = xattrs;
}

size_t tree_path(const struct node *node, char *to, size_t bytes)
{
	size_t length = 0;
	size_t at = bytes;

	if (node_id(node) == ZN_ROOT_ID) {
		if (bytes > 0)
			to[0] = '/';
		return 1;
	}
	if (!node->names)
		return 0;
	/* Written from its end, then moved to the front. */
	for (; node->names; node = node->names->parent) {
		const struct dentry *d = node->names;
		size_t n = zn_min_u64(at, d->name_bytes);

		length += d->name_bytes + 1U;
		at -= n;
		if (n > 0)
			memcpy(to + at, d->name + d->name_bytes - n, n);
		if (at > 0)
			to[--at] = '/';
	}
	if (at > 0 && at < bytes)
		memmove(to, to + at, bytes - at);
	return length;
}

static void check_node(const struct tree *tree, const struct node *node)
{
	uint64_t names = 0, subdirs = 0;

	for (const struct dentry *d = node->names; d; d = d->next) {
		ZN_ASSERT(d->node == node);
		ZN_ASSERT(node_is_dir(d->parent));
		ZN_ASSERT(tree_find(tree, node_id(d->parent)) == d->parent);
		names++;
	}
	if (!node_is_dir(node)) {
		ZN_ASSERT(names == node->nlink);
		return;
	}
	ZN_ASSERT(names == (node == tree->root || node->nlink == 0 ? 0 : 1));
	omap_check(&node->dir->entries);
	for (const struct dentry *d = tree_next(node, 0); d;
	     d = tree_next(node, dentry_cookie(d))) {
		ZN_ASSERT(d->parent == node);
		ZN_ASSERT(tree_find(tree, node_id(d->node)) == d->node);
		ZN_ASSERT(tree_lookup(tree, node, (struct zn_bytes){ d->name, d->name_bytes }) == d);
		subdirs += node_is_dir(d->node);
	}
	ZN_ASSERT(node->nlink == 0 ? node->dir->entries.count == 0 : node->nlink == 2 + subdirs);
}

void tree_check(const struct tree *tree)
{
	uint64_t memory = 0;

	omap_check(&tree->nodes);
	for (const struct omap_link *l = omap_find_within(&tree->nodes, 0, UINT64_MAX); l;) {
		const struct node *node = container_of(l, struct node, link);

		check_node(tree, node);
		ZN_ASSERT(node->nlink > 0 || node->refs > 0);
		ZN_ASSERT(node_id(node) < tree->next_id);
		memory += node_memory(node) + value_memory(node_data(node).value) +
			  xattrs_memory(node->xattrs);
		for (const struct dentry *d = node->names; d; d = d->next)
			memory += dentry_memory(d);
		l = l->key == UINT64_MAX ? NULL
					 : omap_find_within(&tree->nodes, l->key + 1, UINT64_MAX);
	}
	ZN_ASSERT(memory == tree->memory);
}
