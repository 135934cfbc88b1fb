/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: one FUSE request from the moment it is read until its reply is sent, on whatever threads.
 *
 * A reader thread reads each message straight into a struct request. A handler that needs the store
 * takes that struct with request_begin(), fills in the zn_request inside and submits it; names and
 * data are not copied, they stay in the struct, which lives until the completion has replied. A
 * handler that can answer at once leaves the struct alone and the thread reads into it again.
 * Messages that do not fit (writes beyond 4 KiB) go to a large buffer of the thread, which changes
 * hands in the same way.
 */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include "fs.h"
#include "handle.h"

/* Holds a 4 KiB write with its headers, and any request that carries only names. */
#define REQUEST_MESSAGE_BYTES 4352
#define REQUEST_OPS_MAX 2

struct request {
	fuse_req_t fuse;
	struct fs *fs;
	struct zn_request zn;
	struct zn_op op[REQUEST_OPS_MAX];
	/* What the operation keeps for its completion; each uses what it needs. */
	fuse_ino_t ino; /* as the kernel named it */
	struct fs_handle *handle;
	struct fuse_file_info fi; /* CREATE, OPEN of a control file */
	size_t size;
	off_t offset;
	unsigned attempts;
	void *memory; /* freed with the request */
	char *large;  /* the large buffer that holds the message, or NULL */
	_Alignas(16) char message[REQUEST_MESSAGE_BYTES];
};

/* The largest write, and what a message can have besides. */
#define REQUEST_WRITE_BYTES_MAX (UINT64_C(1) << 20)

/*
 * Reads one message from the FUSE device into the calling thread's next request. Blocks.
 * Returns 0 and fills in @ret_buf for fuse_session_process_buf(); -ENODEV after the unmount; -EINTR
 * after a signal; -ENOMEM; or what the device says.
 */
int request_receive(int fd, struct fuse_buf *ret_buf);

/* Gives back what request_receive() keeps for the calling thread, before the thread ends. */
void request_thread_fini(void);

/* Takes the request that the calling handler was called for; at most once in a handler. */
struct request *request_begin(fuse_req_t fuse);

/* After the reply: frees the request. */
void request_end(struct request *r);

static inline struct request *request_of(struct zn_request *zn)
{
	return container_of(zn, struct request, zn);
}

/*
 * Submits @r->zn, which has been filled in but for its completion, @done. By the time this returns
 * the request may be gone. From a handler; the calling thread may block in the store if another one
 * is left to read.
 */
void request_submit(struct request *r, zn_done_fn *done);

/* The same from a completion, for requests of several steps. Never blocks. */
void request_resubmit(struct request *r, zn_done_fn *done);

/* Submits the first @ops_count of @r->op as one transaction; see request_submit(). */
void request_txn(struct request *r, unsigned ops_count, uint32_t flags, zn_done_fn *done);

/* Sends the error (negative, or 0 for a plain success) and ends the request. */
void request_reply_error(struct request *r, int error);

/*
 * The same where the request named a node and not a name: what the store does not know has gone away
 * (ESTALE).
 */
void request_reply_node_error(struct request *r, int error);

/* Sends what the store has returned in zn.iov, in full, and ends the request. */
void request_reply_data(struct request *r);

/* A completion for requests whose success has no content, by name and by node. */
void request_done(struct zn_request *zn);
void request_node_done(struct zn_request *zn);

/* Gives back @count look-up references on @id, on nobody's behalf. */
void request_forget(struct fs *fs, uint64_t id, uint64_t count);

static inline struct zn_bytes request_string(const char *s)
{
	return (struct zn_bytes){ s, __builtin_strlen(s) };
}

#endif
