/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: a table of files. A file's content is fixed when it is opened, so a reader never sees
 * half of one and half of the next; its size is shown as 0, as /proc does it.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attr.h"
#include "listing.h"
#include "names.h"
#include "stats.h"

struct control_file {
	const char *name;
	mode_t mode;
	void (*open)(struct request *r); /* ends with control_reply_open() or an error */
};

static const struct control_file files[] = {
	{ .name = "stats", .mode = 0444, .open = stats_open },
};

#define CONTROL_DIR (ID_CONTROL | 1)
#define CONTROL_FILES (ID_CONTROL | 2) /* the first; they follow in the order of the table */

/* NULL: there is no such file, or it is the directory. */
static const struct control_file *file_of(fuse_ino_t ino)
{
	return ino >= CONTROL_FILES && ino - CONTROL_FILES < ARRAY_SIZE(files)
		       ? &files[ino - CONTROL_FILES]
		       : NULL;
}

static void fill_entry(const struct fs *fs, fuse_ino_t ino, struct fuse_entry_param *ret_entry)
{
	const struct control_file *file = file_of(ino);
	const struct timespec start = { fs->start_ns / 1000000000, fs->start_ns % 1000000000 };

	*ret_entry = (struct fuse_entry_param){
		.ino = ino,
		.attr = {
			.st_ino = ino,
			.st_mode = file ? S_IFREG | file->mode : S_IFDIR | 0555,
			.st_nlink = file ? 1 : 2,
			.st_uid = geteuid(),
			.st_gid = getegid(),
			.st_atim = start,
			.st_mtim = start,
			.st_ctim = start,
		},
	};
}

static fuse_ino_t find(fuse_ino_t parent, const char *name)
{
	if (name_is_control(parent, name))
		return CONTROL_DIR;
	for (size_t i = 0; parent == CONTROL_DIR && i < ARRAY_SIZE(files); i++) {
		if (strcmp(files[i].name, name) == 0)
			return CONTROL_FILES + i;
	}
	return 0;
}

void control_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	fuse_ino_t ino = find(parent, name);

	if (ino == 0) {
		(void)fuse_reply_err(req, ENOENT);
		return;
	}
	fill_entry(fuse_req_userdata(req), ino, &entry);
	(void)fuse_reply_entry(req, &entry);
}

void control_getattr(fuse_req_t req, fuse_ino_t ino)
{
	struct fuse_entry_param entry;

	fill_entry(fuse_req_userdata(req), ino, &entry);
	(void)fuse_reply_attr(req, &entry.attr, 0);
}

void control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct control_file *file = file_of(ino);
	struct request *r;

	if (!file) {
		(void)fuse_reply_err(req, ESTALE);
		return;
	}
	/* default_permissions lets root through. */
	if ((fi->flags & O_ACCMODE) != O_RDONLY) {
		(void)fuse_reply_err(req, EACCES);
		return;
	}
	r = request_begin(req);
	r->ino = ino;
	r->fi = *fi;
	file->open(r);
}

void control_reply_open(struct request *r, char *content, size_t content_bytes)
{
	struct fs *fs = r->fs;
	struct fs_handle *h = content ? handle_new(fs, r->ino, r->fi.flags) : NULL;

	if (!h) {
		free(content);
		request_reply_error(r, -ENOMEM);
		return;
	}
	h->content = content;
	h->content_bytes = content_bytes;
	handle_fill(h, &r->fi);
	if (fuse_reply_open(r->fuse, &r->fi) < 0)
		handle_free(fs, h); /* there will be no RELEASE */
	request_end(r);
}

/* The cookie of a file is its place in the table, counted from where the store's would begin. */
void control_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	struct listing l = { .req = req, .plus = plus };
	struct fuse_entry_param entry;
	size_t i = offset < ZN_COOKIE_FIRST ? 0 : (size_t)offset - ZN_COOKIE_FIRST + 1;
	bool fits;

	l.bytes = zn_min_u64(size, 64 << 10);
	l.buffer = malloc(l.bytes);
	if (!l.buffer) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	fits = listing_add_dots(&l, ino, offset);
	for (; fits && i < ARRAY_SIZE(files); i++) {
		fill_entry(fuse_req_userdata(req), CONTROL_FILES + i, &entry);
		fits = listing_add(&l, files[i].name, &entry, (off_t)(ZN_COOKIE_FIRST + i));
	}
	(void)fuse_reply_buf(req, l.buffer, l.used);
	free(l.buffer);
}
