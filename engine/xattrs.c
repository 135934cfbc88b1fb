/* SPDX-License-Identifier: Apache-2.0 */
/* xattrs: entries one behind the other: struct entry, name, value. A node has few, so search is linear. */
#include "xattrs.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct xattrs {
	atomic_uint refs;
	uint32_t bytes; /* of entries */
	unsigned char entries[];
};

struct entry {
	uint32_t value_bytes;
	uint8_t name_bytes;
} __attribute__((packed));

/* What lies at @at; returns the offset of the next entry. */
static uint32_t entry_at(const struct xattrs *list, uint32_t at, struct zn_bytes *name,
			 struct zn_bytes *value)
{
	struct entry head;
	const unsigned char *p = list->entries + at;

	ZN_ASSERT(at + sizeof(head) <= list->bytes);
	memcpy(&head, p, sizeof(head));
	*name = (struct zn_bytes){ p + sizeof(head), head.name_bytes };
	*value = (struct zn_bytes){ p + sizeof(head) + head.name_bytes, head.value_bytes };
	return at + (uint32_t)sizeof(head) + head.name_bytes + head.value_bytes;
}

/* Append one entry to a list that has room for it. */
static void entry_add(struct xattrs *list, struct zn_bytes name, struct zn_bytes value)
{
	struct entry head = { (uint32_t)value.bytes, (uint8_t)name.bytes };
	unsigned char *p = list->entries + list->bytes;

	memcpy(p, &head, sizeof(head));
	memcpy(p + sizeof(head), name.data, name.bytes);
	if (value.bytes > 0)
		memcpy(p + sizeof(head) + name.bytes, value.data, value.bytes);
	list->bytes += (uint32_t)(sizeof(head) + name.bytes + value.bytes);
}

static bool bytes_equal(struct zn_bytes a, struct zn_bytes b)
{
	return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0;
}

struct xattrs *xattrs_get(struct xattrs *list)
{
	if (list)
		atomic_fetch_add_explicit(&list->refs, 1, memory_order_relaxed);
	return list;
}

void xattrs_put(struct xattrs *list)
{
	if (list && atomic_fetch_sub(&list->refs, 1) == 1)
		free(list);
}

uint64_t xattrs_memory(const struct xattrs *list)
{
	return list ? sizeof(*list) + list->bytes : 0;
}

int xattrs_find(const struct xattrs *list, struct zn_bytes name, struct zn_bytes *ret_value)
{
	struct zn_bytes n, v;

	for (uint32_t at = 0; list && at < list->bytes;) {
		at = entry_at(list, at, &n, &v);
		if (bytes_equal(n, name)) {
			*ret_value = v;
			return 0;
		}
	}
	return -ENODATA;
}

/* A copy without @name, with room for @more bytes. */
static int copy_without(const struct xattrs *list, struct zn_bytes name, size_t more,
			struct xattrs **ret_list)
{
	struct zn_bytes n, v;
	struct xattrs *copy = malloc(sizeof(*copy) + (list ? list->bytes : 0) + more);

	if (!copy)
		return -ENOMEM;
	atomic_init(&copy->refs, 1);
	copy->bytes = 0;
	for (uint32_t at = 0; list && at < list->bytes;) {
		at = entry_at(list, at, &n, &v);
		if (!bytes_equal(n, name))
			entry_add(copy, n, v);
	}
	*ret_list = copy;
	return 0;
}

int xattrs_with(const struct xattrs *list, struct zn_bytes name, struct zn_bytes value,
		struct xattrs **ret_list)
{
	struct xattrs *copy;
	int r;

	ZN_ASSERT(name.bytes <= ZN_XATTR_NAME_BYTES_MAX);
	r = copy_without(list, name, sizeof(struct entry) + name.bytes + value.bytes, &copy);
	if (r < 0)
		return r;
	entry_add(copy, name, value);
	if (copy->bytes > XATTRS_BYTES_MAX) {
		xattrs_put(copy);
		return -ENOSPC;
	}
	*ret_list = copy;
	return 0;
}

int xattrs_without(const struct xattrs *list, struct zn_bytes name, struct xattrs **ret_list)
{
	struct zn_bytes value;
	int r = xattrs_find(list, name, &value);

	if (r == 0)
		r = copy_without(list, name, 0, ret_list);
	if (r == 0 && (*ret_list)->bytes == 0) {
		xattrs_put(*ret_list);
		*ret_list = NULL;
	}
	return r;
}

size_t xattrs_names(const struct xattrs *list, char *to)
{
	struct zn_bytes n, v;
	size_t bytes = 0;

	for (uint32_t at = 0; list && at < list->bytes;) {
		at = entry_at(list, at, &n, &v);
		if (to) {
			memcpy(to + bytes, n.data, n.bytes);
			to[bytes + n.bytes] = '\0';
		}
		bytes += n.bytes + 1;
	}
	return bytes;
}
