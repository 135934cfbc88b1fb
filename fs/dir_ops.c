/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir_ops: listings. The store fills a buffer with entries, counting what each will cost in the
 * kernel's format, so that every node on which it took a reference fits into the reply.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attr.h"
#include "control.h"
#include "data_file.h"
#include "listing.h"
#include "names.h"
#include "ops.h"
#include "request.h"

#define REPLY_BYTES_MAX (128 << 10)

/* An entry of the store is at most this many times as large as the kernel's. */
#define ENTRY_GROWTH_PLAIN 7
#define ENTRY_GROWTH_PLUS 2

static_assert(sizeof(struct zn_dirent) + 8 <= ENTRY_GROWTH_PLAIN * 32, "shortest plain entry");
static_assert(sizeof(struct zn_dirent) + 8 <= ENTRY_GROWTH_PLUS * 160, "shortest plus entry");

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);

	(void)ino;
	fi->fh = 0;
	(void)atomic_fetch_add_explicit(&fs->handles_count, 1, memory_order_relaxed);
	if (fuse_reply_open(req, fi) < 0)
		(void)atomic_fetch_sub_explicit(&fs->handles_count, 1, memory_order_relaxed);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);

	(void)ino;
	(void)fi;
	(void)atomic_fetch_sub_explicit(&fs->handles_count, 1, memory_order_relaxed);
	(void)fuse_reply_err(req, 0);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct request *r;

	(void)datasync;
	(void)fi;
	if (id_is_control(ino)) {
		(void)fuse_reply_err(req, 0);
		return;
	}
	r = request_begin(req);
	r->zn.type = ZN_SYNC;
	r->zn.id = ino;
	request_submit(r, request_node_done);
}

/* What "." and ".." and "@data" take, so that they too are sure to fit. */
static size_t own_entries_cost(off_t offset, bool plus)
{
	size_t one = zn_align_up(listing_cost_fixed(plus) + strlen(NAME_DATA), 8);

	return offset < LISTING_AFTER_DATA ? 3 * one : 0;
}

static void add_own_entries(struct listing *l, const struct zn_stat *dir, off_t offset)
{
	struct fuse_entry_param entry;
	bool fits;

	if (offset >= LISTING_AFTER_DATA)
		return;
	fits = listing_add_dots(l, dir->id, offset);
	ZN_ASSERT(fits);
	if (dir->data_bytes == 0)
		return;
	data_file_fill_entry(dir, &entry);
	fits = listing_add(l, NAME_DATA, &entry, LISTING_AFTER_DATA);
	ZN_ASSERT(fits);
}

static const struct zn_dirent *dirent_at(const struct zn_request *zn, size_t at)
{
	return (const struct zn_dirent *)(const void *)((const char *)zn->buffer + at);
}

static void add_entries(struct listing *l, const struct zn_request *zn)
{
	struct fuse_entry_param entry = { 0 };
	const struct zn_dirent *d;
	bool fits;

	for (size_t at = 0; at < zn->entries_bytes; at += d->bytes) {
		d = dirent_at(zn, at);
		if (l->plus) {
			attr_fill_entry(&d->stat, true, &entry);
		} else {
			entry.attr.st_ino = d->id;
			entry.attr.st_mode = d->mode;
		}
		fits = listing_add(l, d->name, &entry, (off_t)d->cookie);
		ZN_ASSERT(fits);
	}
}

static void forget_entries(struct request *r)
{
	const struct zn_dirent *d;

	for (size_t at = 0; at < r->zn.entries_bytes; at += d->bytes) {
		d = dirent_at(&r->zn, at);
		request_forget(r->fs, d->id, 1);
	}
}

static void readdir_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);
	struct listing l = {
		.req = r->fuse,
		.plus = (zn->flags & ZN_REQ_REF) != 0,
		.buffer = (char *)zn->buffer + zn->buffer_bytes,
		.bytes = r->size,
	};

	if (zn->result < 0) {
		request_reply_node_error(r, zn->result);
		return;
	}
	add_own_entries(&l, &zn->stat, r->offset);
	add_entries(&l, zn);
	if (fuse_reply_buf(r->fuse, l.buffer, l.used) < 0 && l.plus)
		forget_entries(r); /* the kernel never received them */
	request_end(r);
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	size_t entries_bytes;
	struct request *r;
	void *memory;

	if (id_is_control(ino)) {
		control_readdir(req, ino, size, offset, plus);
		return;
	}
	if (own_entries_cost(offset, plus) >= size) {
		(void)fuse_reply_err(req, EINVAL);
		return;
	}
	size = zn_min_u64(size, REPLY_BYTES_MAX);
	entries_bytes = zn_align_up(size * (plus ? ENTRY_GROWTH_PLUS : ENTRY_GROWTH_PLAIN), 8);
	memory = malloc(entries_bytes + size);
	if (!memory) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	r = request_begin(req);
	r->memory = memory;
	r->size = size;
	r->offset = offset;
	r->zn.type = ZN_READDIR;
	r->zn.flags = plus ? ZN_REQ_REF | ZN_REQ_READDIR_STAT : 0;
	r->zn.id = ino;
	r->zn.cookie = offset < ZN_COOKIE_FIRST ? 0 : (uint64_t)offset;
	r->zn.buffer = memory;
	r->zn.buffer_bytes = entries_bytes;
	r->zn.cost_fixed = listing_cost_fixed(plus);
	r->zn.cost_max = size - own_entries_cost(offset, plus);
	request_submit(r, readdir_done);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *fi)
{
	(void)fi;
	read_dir(req, ino, size, offset, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	(void)fi;
	read_dir(req, ino, size, offset, true);
}
