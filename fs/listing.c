/* SPDX-License-Identifier: Apache-2.0 */
/* listing: the two formats of directory entries behind one call. */
#include "listing.h"

#include <linux/fuse.h>
#include <sys/stat.h>

/* As libfuse does it: nobody relies on the number of "..", but 0 would hide the entry. */
#define UNKNOWN_INO 0xffffffff

size_t listing_cost_fixed(bool plus)
{
	return plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
}

bool listing_add(struct listing *l, const char *name, const struct fuse_entry_param *entry,
		 off_t cookie)
{
	char *at = l->buffer + l->used;
	size_t left = l->bytes - l->used;
	size_t n = l->plus ? fuse_add_direntry_plus(l->req, at, left, name, entry, cookie)
			   : fuse_add_direntry(l->req, at, left, name, &entry->attr, cookie);

	if (n > left)
		return false;
	l->used += n;
	return true;
}

bool listing_add_dots(struct listing *l, fuse_ino_t ino, off_t cookie)
{
	struct fuse_entry_param entry = { .attr = { .st_ino = ino, .st_mode = S_IFDIR } };

	if (cookie < LISTING_AFTER_DOT && !listing_add(l, ".", &entry, LISTING_AFTER_DOT))
		return false;
	entry.attr.st_ino = ino == FUSE_ROOT_ID ? FUSE_ROOT_ID : UNKNOWN_INO;
	return cookie >= LISTING_AFTER_DOTDOT || listing_add(l, "..", &entry, LISTING_AFTER_DOTDOT);
}
