/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_ops: open files. Every handle does direct I/O, so each read(2) and write(2) comes here.
 *
 * What waits for the disk: an exclusive creation, and close and fsync of a handle that can write. A
 * plain creation and a write do not, unless the file is O_SYNC or O_DSYNC.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "attr.h"
#include "control.h"
#include "data_file.h"
#include "handle.h"
#include "names.h"
#include "open_trunc.h"
#include "ops.h"
#include "request.h"

static void create_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);
	struct fs *fs = r->fs;
	struct fs_handle *h = r->handle;
	const struct zn_stat *st = &r->op[0].stat;
	bool lazy = (zn->flags & ZN_REQ_LAZY) != 0;
	struct fuse_entry_param entry;

	if (zn->result < 0) {
		handle_free(fs, h);
		/*
		 * Made by somebody else since the kernel looked. With ESTALE it looks again, once, and
		 * opens what it finds with all its checks; were we to open it here, it would take the
		 * file for a new one, which is not checked.
		 */
		request_reply_error(r, zn->result == -EEXIST && lazy ? -ESTALE : zn->result);
		return;
	}
	h->id = st->id;
	handle_fill(h, &r->fi);
	attr_fill_entry(st, !lazy, &entry);
	if (fuse_reply_create(r->fuse, &entry, &r->fi) < 0) {
		request_forget(fs, st->id, 1); /* the kernel never received it */
		handle_free(fs, h);
	}
	request_end(r);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	bool exclusive = (fi->flags & O_EXCL) != 0;
	struct fs_handle *h;
	struct request *r;
	int e = name_check_new(parent, name);

	if (e < 0) {
		(void)fuse_reply_err(req, -e);
		return;
	}
	h = handle_new(fuse_req_userdata(req), 0, fi->flags);
	if (!h) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	r = request_begin(req);
	r->handle = h;
	r->fi = *fi;
	r->op[0] = (struct zn_op){
		.type = ZN_OP_CREATE,
		.parent = parent,
		.name = request_string(name),
		.mode = S_IFREG | (mode & 07777),
		.uid = ctx->uid,
		.gid = ctx->gid,
		.version = ZN_ANY_VERSION,
	};
	request_txn(r, 1, ZN_REQ_REF | (exclusive ? 0 : ZN_REQ_LAZY), create_done);
}

/* Takes no trip to the store: a node that has gone shows with the first use of the handle. */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct fs_handle *h;

	if (id_is_control(ino)) {
		control_open(req, ino, fi);
		return;
	}
	if (data_file_was(ino)) {
		(void)fuse_reply_err(req, ESTALE);
		return;
	}
	h = handle_new(fs, ino, fi->flags);
	if (!h) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	if (h->writable)
		open_trunc_note(ino, fuse_req_ctx(req)->pid);
	handle_fill(h, fi);
	if (fuse_reply_open(req, fi) < 0)
		handle_free(fs, h); /* there will be no RELEASE */
}

static void read_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result < 0)
		request_reply_node_error(r, zn->result);
	else
		request_reply_data(r);
}

static void read_content(fuse_req_t req, const struct fs_handle *h, size_t size, off_t offset)
{
	size_t at = (size_t)zn_min_u64((uint64_t)offset, h->content_bytes);

	(void)fuse_reply_buf(req, h->content + at, zn_min_u64(size, h->content_bytes - at));
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	const struct fs_handle *h = handle_of(fi);
	struct request *r;

	(void)ino;
	if (h->content) {
		read_content(req, h, size, offset);
		return;
	}
	r = request_begin(req);
	r->zn.type = ZN_READ;
	r->zn.id = h->id;
	r->zn.offset = (uint64_t)offset;
	r->zn.bytes = zn_min_u64(size, REQUEST_WRITE_BYTES_MAX);
	request_submit(r, read_done);
}

static void write_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result < 0) {
		request_reply_node_error(r, zn->result);
		return;
	}
	if (r->handle->data)
		fs_expire_attributes(r->fs, r->handle->id);
	(void)fuse_reply_write(r->fuse, r->size);
	request_end(r);
}

/* The kernel puts RWF_DSYNC and what fcntl(F_SETFL) has set into the flags of each WRITE. */
void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	      struct fuse_file_info *fi)
{
	struct request *r = request_begin(req);
	struct fs_handle *h = handle_of(fi);
	bool sync = (fi->flags & (O_SYNC | O_DSYNC)) != 0;

	(void)ino;
	r->handle = h;
	r->size = size;
	r->op[0] = (struct zn_op){
		.type = ZN_OP_WRITE,
		.id = h->id,
		.offset = (uint64_t)offset,
		.data = { data, size },
		.version = ZN_ANY_VERSION,
	};
	if (fi->flags & O_APPEND)
		r->op[0].flags |= ZN_WRITE_APPEND;
	/* A directory's set-gid bit says nothing about its data. */
	if (fuse_req_ctx(req)->uid != 0 && !h->data)
		r->op[0].flags |= ZN_CLEAR_SETID;
	request_txn(r, 1, sync ? 0 : ZN_REQ_LAZY, write_done);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct fs_handle *h = handle_of(fi);
	struct request *r;

	if (!h->writable) {
		(void)fuse_reply_err(req, 0);
		return;
	}
	/* What it truncates by name from now on is not this open's. */
	(void)open_trunc_claim(ino, fuse_req_ctx(req)->pid);
	r = request_begin(req);
	r->zn.type = ZN_SYNC;
	r->zn.flags = ZN_REQ_CLOSE;
	r->zn.id = h->id;
	request_submit(r, request_node_done);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct request *r;

	(void)datasync;
	if (id_is_control(ino)) {
		(void)fuse_reply_err(req, 0);
		return;
	}
	/* Also through a read-only handle: it may be waiting for what others have written. */
	r = request_begin(req);
	r->zn.type = ZN_SYNC;
	r->zn.id = handle_of(fi)->id;
	request_submit(r, request_node_done);
}

/* Answered at once: the kernel limits how many of these it has waiting. */
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	handle_free(fuse_req_userdata(req), handle_of(fi));
	(void)fuse_reply_err(req, 0);
}
