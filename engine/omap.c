/* SPDX-License-Identifier: Apache-2.0 */
/*
 * omap: linear hashing over ranges of keys.
 *
 * With 2^k buckets, the top k bits of a key say which range it is in, and those bits reversed are
 * the number of its bucket. Reversed, because then the buckets that come with the next doubling
 * are appended behind those that exist: bucket i splits into i (lower half of its range) and
 * i + 2^k (upper half), and nothing else moves. One insertion splits at most two buckets, one
 * removal merges a few, so no operation has to pay for the size of the map.
 *
 * The bucket array comes in parts that double in size and never move; calloc() takes the large ones
 * as untouched zero pages from the kernel, so that adding one costs a system call, not a copy.
 */
#include "omap.h"

#include <stdlib.h>
#include <string.h>

static uint64_t reverse(uint64_t n)
{
	n = ((n >> 1) & UINT64_C(0x5555555555555555)) | ((n & UINT64_C(0x5555555555555555)) << 1);
	n = ((n >> 2) & UINT64_C(0x3333333333333333)) | ((n & UINT64_C(0x3333333333333333)) << 2);
	n = ((n >> 4) & UINT64_C(0x0f0f0f0f0f0f0f0f)) | ((n & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4);
	return __builtin_bswap64(n);
}

static unsigned log2_floor(uint64_t n)
{
	return 63U - (unsigned)__builtin_clzll(n);
}

/* Bits of the number of buckets, rounded down: 2^level <= buckets < 2^(level + 1). */
static unsigned level_of(const struct omap *map)
{
	return log2_floor(map->buckets);
}

static uint64_t bucket_of(const struct omap *map, uint64_t key)
{
	unsigned level = level_of(map);
	uint64_t reversed = reverse(key);
	uint64_t i = reversed & ((UINT64_C(2) << level) - 1);

	return i < map->buckets ? i : reversed & ((UINT64_C(1) << level) - 1);
}

/* How many top bits of the key select bucket @i. */
static unsigned bits_of(const struct omap *map, uint64_t i)
{
	unsigned level = level_of(map);
	uint64_t low = i & ((UINT64_C(1) << level) - 1);

	return low + (UINT64_C(1) << level) < map->buckets ? level + 1 : level;
}

static struct omap_link **slot_of(const struct omap *map, uint64_t i)
{
	unsigned part;

	if (i == 0)
		return (struct omap_link **)&map->first;
	part = log2_floor(i);
	return &map->parts[part][i - (UINT64_C(1) << part)];
}

void omap_init(struct omap *map)
{
	*map = (struct omap){ .buckets = 1 };
}

void omap_fini(struct omap *map)
{
	for (unsigned p = 0; map->parts && p < OMAP_PARTS; p++)
		free(map->parts[p]);
	free(map->parts);
	*map = (struct omap){ .buckets = 1 };
}

struct omap_link *omap_find(const struct omap *map, uint64_t key)
{
	struct omap_link *link = *slot_of(map, bucket_of(map, key));

	while (link && link->key < key)
		link = link->next;
	return link && link->key == key ? link : NULL;
}

struct omap_link *omap_find_within(const struct omap *map, uint64_t from, uint64_t to)
{
	while (map->count > 0) {
		uint64_t i = bucket_of(map, from);
		unsigned bits = bits_of(map, i);
		struct omap_link *link = *slot_of(map, i);

		while (link && link->key < from)
			link = link->next;
		if (link)
			return link->key <= to ? link : NULL;
		/* On to the first key of the next range; past the last range it wraps to 0. */
		if (bits == 0)
			return NULL;
		from = ((from >> (64 - bits)) + 1) << (64 - bits);
		if (from == 0 || from > to)
			return NULL;
	}
	return NULL;
}

/* Bucket map->buckets comes into being: the upper half of its sibling's range. */
static void grow(struct omap *map)
{
	uint64_t i = map->buckets;
	unsigned part = log2_floor(i);
	uint64_t sibling = i - (UINT64_C(1) << part);
	struct omap_link **slot;
	uint64_t from;

	if (part >= OMAP_PARTS)
		return;
	if (!map->parts) {
		map->parts = calloc(OMAP_PARTS, sizeof(struct omap_link **));
		if (!map->parts)
			return;
	}
	if (!map->parts[part]) {
		map->parts[part] = calloc(UINT64_C(1) << part, sizeof(struct omap_link *));
		if (!map->parts[part])
			return;
	}
	from = reverse(i);
	slot = slot_of(map, sibling);
	while (*slot && (*slot)->key < from)
		slot = &(*slot)->next;
	map->parts[part][sibling] = *slot;
	*slot = NULL;
	map->buckets++;
}

/* The last bucket goes back to the end of its sibling, which it was split off from. */
static void shrink(struct omap *map)
{
	uint64_t i = map->buckets - 1;
	unsigned part = log2_floor(i);
	struct omap_link **slot = slot_of(map, i - (UINT64_C(1) << part));

	while (*slot)
		slot = &(*slot)->next;
	*slot = *slot_of(map, i);
	*slot_of(map, i) = NULL;
	map->buckets--;
	/* Kept until one part smaller is half empty too, so that a size at the edge does not thrash. */
	if (part + 1 < OMAP_PARTS && map->parts[part + 1] && sizeof(void *) << part >= 4096) {
		free(map->parts[part + 1]);
		map->parts[part + 1] = NULL;
	}
}

void omap_insert(struct omap *map, struct omap_link *link)
{
	struct omap_link **slot = slot_of(map, bucket_of(map, link->key));

	while (*slot && (*slot)->key < link->key)
		slot = &(*slot)->next;
	ZN_ASSERT(!*slot || (*slot)->key != link->key);
	link->next = *slot;
	*slot = link;
	map->count++;
	/* Twice, to catch up with what was put off while the map was small. */
	for (int i = 0; i < 2 && map->count > OMAP_SMALL && map->count > map->buckets; i++)
		grow(map);
}

void omap_remove(struct omap *map, struct omap_link *link)
{
	struct omap_link **slot = slot_of(map, bucket_of(map, link->key));

	while (*slot != link) {
		ZN_ASSERT(*slot != NULL);
		slot = &(*slot)->next;
	}
	*slot = link->next;
	link->next = NULL;
	map->count--;
	/* A few at a time, so that a map that is being emptied has few empty buckets to walk over. */
	for (int i = 0; i < 4 && map->buckets > 1 && map->count < map->buckets / 4; i++)
		shrink(map);
}

struct omap_link *omap_drain(struct omap *map)
{
	struct omap_link *all = NULL;

	for (uint64_t i = 0; i < map->buckets; i++) {
		struct omap_link *link = *slot_of(map, i);

		while (link) {
			struct omap_link *next = link->next;

			link->next = all;
			all = link;
			link = next;
		}
	}
	omap_fini(map);
	return all;
}

void omap_check(const struct omap *map)
{
	uint64_t count = 0;

	ZN_ASSERT(map->buckets >= 1);
	for (uint64_t i = 0; i < map->buckets; i++) {
		uint64_t last = 0;

		for (const struct omap_link *l = *slot_of(map, i); l; l = l->next) {
			ZN_ASSERT(bucket_of(map, l->key) == i);
			ZN_ASSERT(l == *slot_of(map, i) || last < l->key);
			last = l->key;
			count++;
		}
	}
	ZN_ASSERT(count == map->count);
}
