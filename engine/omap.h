/* SPDX-License-Identifier: Apache-2.0 */
/*
 * omap: an intrusive map from distinct 64-bit keys to links, O(1) like a hash table and ordered by
 * key like a tree. Made for keys that are spread evenly over 64 bits (hashes, reversed counters);
 * with others it stays right but slows down.
 *
 * It is linear hashing in which a bucket is a range of keys, so growing splits one bucket at a time
 * (no pause, whatever the size) and a walk in key order can stop, let the map change, and go on
 * from the last key it saw without missing or repeating what stayed.
 *
 * Not thread-safe: guarded by whatever guards its owner.
 */
#ifndef ENGINE_OMAP_H
#define ENGINE_OMAP_H

#include "znodefs/base.h"

struct omap_link {
	struct omap_link *next; /* in the bucket, keys grow */
	uint64_t key; /* the owner sets it before omap_insert() and leaves it alone after */
};

#define OMAP_PARTS 40
/* Up to this many links are kept in one bucket: small directories need no table. */
#define OMAP_SMALL 8

struct omap {
	uint64_t count;
	uint64_t buckets;          /* in use, at least 1 */
	struct omap_link *first;   /* bucket 0 */
	struct omap_link ***parts; /* part p: buckets 2^p up to 2^(p+1); parts never move */
};

void omap_init(struct omap *map);

/* Frees the table, not the links in it. */
void omap_fini(struct omap *map);

/* What a link costs in the table, in bytes, about. */
#define OMAP_LINK_TABLE_BYTES 10

/* The link with @key, or NULL. */
struct omap_link *omap_find(const struct omap *map, uint64_t key);

/* The link with the smallest key in @from..@to, both included, or NULL. */
struct omap_link *omap_find_within(const struct omap *map, uint64_t from, uint64_t to);

/*
 * A bijection that spreads numbers over all keys, also consecutive ones and those that have a step in
 * common; and its inverse.
 */
static inline uint64_t omap_spread(uint64_t n)
{
	return n * UINT64_C(0x9e3779b97f4a7c15); /* 2^64 divided by the golden ratio */
}

static inline uint64_t omap_unspread(uint64_t key)
{
	return key * UINT64_C(0xf1de83e19937733d);
}

/*
 * Adds @link; its key must not be in the map. Never fails: without memory to grow, the buckets
 * get longer.
 */
void omap_insert(struct omap *map, struct omap_link *link);

/* Takes @link out; it must be in the map. */
void omap_remove(struct omap *map, struct omap_link *link);

/* Empties the map and frees its table; returns all links, chained by next, in no order. */
struct omap_link *omap_drain(struct omap *map);

/* Walks the whole table and asserts what must hold. For tests. */
void omap_check(const struct omap *map);

#endif
