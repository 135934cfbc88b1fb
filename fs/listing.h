/* SPDX-License-Identifier: Apache-2.0 */
/* listing: a READDIR or READDIRPLUS reply while it is put together. */
#ifndef FS_LISTING_H
#define FS_LISTING_H

#include "fuse.h"
#include "znodefs/base.h"

/* Cookies below ZN_COOKIE_FIRST: where the listing of any directory begins. */
enum listing_cookie {
	LISTING_START = 0,
	LISTING_AFTER_DOT = 1,
	LISTING_AFTER_DOTDOT = 2,
	LISTING_AFTER_DATA = 3,
};

struct listing {
	fuse_req_t req;
	bool plus;
	char *buffer;
	size_t bytes;
	size_t used;
};

/* What an entry takes of the reply, but for its name, of which the sum is rounded up to 8. */
size_t listing_cost_fixed(bool plus);

/* False if there is no room for it. @entry's attr needs st_ino and the type for a plain listing. */
bool listing_add(struct listing *l, const char *name, const struct fuse_entry_param *entry,
		 off_t cookie);

/* Adds "." and ".." as far as they come after @cookie. They carry no reference and no attributes. */
bool listing_add_dots(struct listing *l, fuse_ino_t ino, off_t cookie);

#endif
