/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: the life of struct request, see the header. Nearly always the request is over when the
 * handler returns or soon after; then the thread that ended it keeps the struct as its next one if
 * it has none, so that a busy reader allocates nothing.
 */
#include "request.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

/*
 * A large buffer receives what does not fit into the request; the room before it takes the first
 * part, which is copied there so that the message is in one piece.
 */
#define LARGE_BYTES (REQUEST_WRITE_BYTES_MAX + 4096)

/* The device refuses reads into less than its largest message. */
static_assert(LARGE_BYTES >= REQUEST_WRITE_BYTES_MAX + sizeof(struct fuse_in_header) +
				     sizeof(struct fuse_write_in),
	      "room for the largest write");
static_assert(REQUEST_MESSAGE_BYTES >=
		      sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in) + 4096,
	      "a write of 4 KiB is small");

static _Thread_local bool is_reader;        /* set by the first request_receive() */
static _Thread_local struct request *next;  /* what this reader receives into */
static _Thread_local char *large;           /* its large buffer */
static _Thread_local bool message_is_large; /* the last message is in it */

int request_receive(int fd, struct fuse_buf *ret_buf)
{
	struct iovec iov[2];
	ssize_t n;

	is_reader = true;
	if (!next)
		next = malloc(sizeof(*next));
	if (!large)
		large = malloc(REQUEST_MESSAGE_BYTES + LARGE_BYTES);
	if (!next || !large)
		return -ENOMEM;
	iov[0] = (struct iovec){ next->message, REQUEST_MESSAGE_BYTES };
	iov[1] = (struct iovec){ large + REQUEST_MESSAGE_BYTES, LARGE_BYTES };
	do {
		n = readv(fd, iov, 2);
	} while (n < 0 && errno == ENOENT); /* the request was interrupted before we had it */
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(struct fuse_in_header))
		return -EIO;
	message_is_large = n > REQUEST_MESSAGE_BYTES;
	if (message_is_large)
		memcpy(large, next->message, REQUEST_MESSAGE_BYTES);
	*ret_buf = (struct fuse_buf){
		.size = (size_t)n,
		.mem = message_is_large ? large : next->message,
	};
	return 0;
}

void request_thread_fini(void)
{
	free(next);
	free(large);
	next = NULL;
	large = NULL;
	is_reader = false;
}

struct request *request_begin(fuse_req_t fuse)
{
	struct request *r = next;

	ZN_ASSERT(r);
	next = NULL;
	/* Neither what the store fills in nor operations that the handler will assign. */
	memset(&r->zn, 0, offsetof(struct zn_request, stat));
	memset(&r->ino, 0, offsetof(struct request, message) - offsetof(struct request, ino));
	r->fuse = fuse;
	r->fs = fuse_req_userdata(fuse);
	if (message_is_large) {
		r->large = large;
		large = NULL;
	}
	return r;
}

void request_end(struct request *r)
{
	free(r->memory);
	if (r->large && is_reader && !large)
		large = r->large;
	else
		free(r->large);
	if (is_reader && !next)
		next = r;
	else
		free(r);
}

/*
 * One thread less than there are may block. So one is always reading, or busy with a request that it
 * does not block on and soon back at reading.
 */
static bool block_slot_take(struct fs *fs)
{
	if (atomic_fetch_sub(&fs->block_slots, 1) > 0)
		return true;
	(void)atomic_fetch_add(&fs->block_slots, 1);
	return false;
}

void request_submit(struct request *r, zn_done_fn *done)
{
	struct fs *fs = r->fs;
	bool slot = (r->zn.flags & ZN_REQ_LAZY) == 0 && block_slot_take(fs);

	r->zn.done = done;
	if (slot)
		r->zn.flags |= ZN_REQ_MAY_BLOCK;
	zn_submit(fs->store, &r->zn);
	if (slot)
		(void)atomic_fetch_add(&fs->block_slots, 1);
}

void request_resubmit(struct request *r, zn_done_fn *done)
{
	r->zn.flags &= ~(uint32_t)ZN_REQ_MAY_BLOCK;
	r->zn.done = done;
	zn_submit(r->fs->store, &r->zn);
}

void request_txn(struct request *r, unsigned ops_count, uint32_t flags, zn_done_fn *done)
{
	ZN_ASSERT(ops_count <= REQUEST_OPS_MAX);
	r->zn.type = ZN_TXN;
	r->zn.flags = flags;
	r->zn.ops = r->op;
	r->zn.ops_count = ops_count;
	request_submit(r, done);
}

void request_reply_error(struct request *r, int error)
{
	(void)fuse_reply_err(r->fuse, -error);
	request_end(r);
}

void request_reply_node_error(struct request *r, int error)
{
	request_reply_error(r, error == -ENOENT ? -ESTALE : error);
}

void request_done(struct zn_request *zn)
{
	request_reply_error(request_of(zn), zn->result);
}

void request_node_done(struct zn_request *zn)
{
	request_reply_node_error(request_of(zn), zn->result);
}

void request_reply_data(struct request *r)
{
	const struct zn_request *zn = &r->zn;

	if (zn->iov_count <= 1)
		(void)fuse_reply_buf(r->fuse, zn->iov_count ? zn->iov[0].iov_base : NULL,
				     zn->bytes);
	else
		(void)fuse_reply_iov(r->fuse, zn->iov, (int)zn->iov_count);
	request_end(r);
}

static void forget_done(struct zn_request *zn)
{
	free(zn);
}

void request_forget(struct fs *fs, uint64_t id, uint64_t count)
{
	struct zn_request *zn = calloc(1, sizeof(*zn));

	if (!zn) { /* UNTESTED: costs memory until the next start if the node is unlinked */
		message(LOG_WARNING, "out of memory: node %llu stays referenced, going on",
			(unsigned long long)id);
		return;
	}
	zn->type = ZN_FORGET;
	zn->done = forget_done;
	zn->id = id;
	zn->count = count;
	zn_submit(fs->store, zn);
}
