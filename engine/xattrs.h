/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xattrs: the stored extended attributes of one node, as an immutable reference-counted list. A
 * change makes a new list, so that a reader and the undo log keep the old one for free. NULL is the
 * empty list.
 */
#ifndef ENGINE_XATTRS_H
#define ENGINE_XATTRS_H

#include "znodefs/store.h"

#define XATTRS_BYTES_MAX (256U << 10)

struct xattrs;

/* References. Any thread; xattrs_put() frees at zero. */
struct xattrs *xattrs_get(struct xattrs *list);
void xattrs_put(struct xattrs *list);

uint64_t xattrs_memory(const struct xattrs *list);

/* Point @ret_value into the list. Returns 0 or -ENODATA. */
int xattrs_find(const struct xattrs *list, struct zn_bytes name, struct zn_bytes *ret_value);

/*
 * A copy of @list with @name set to @value, or without @name.
 * Return 0; -ENODATA from xattrs_without() if it was not there; -ENOSPC past XATTRS_BYTES_MAX; -ENOMEM.
 */
int xattrs_with(const struct xattrs *list, struct zn_bytes name, struct zn_bytes value,
		struct xattrs **ret_list);
int xattrs_without(const struct xattrs *list, struct zn_bytes name, struct xattrs **ret_list);

/* All names, each ended by a zero byte. @to NULL only counts. Returns how many bytes. */
size_t xattrs_names(const struct xattrs *list, char *to);

#endif
