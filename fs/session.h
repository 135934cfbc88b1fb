/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: one mount, from mount(2) to the end of the last reader thread. The order is
 * session_open(), session_run(), then zn_store_close() by the caller, whose completions still need
 * the device, then session_close().
 */
#ifndef FS_SESSION_H
#define FS_SESSION_H

#include <signal.h>

#include "fs.h"

struct session;

/*
 * Mounts @store on @mount_point (absolute) and handles INIT, so that the mount answers as soon as
 * session_run() reads. @fuse_options is libfuse's -o string.
 * Returns 0 and @ret_session, or -errno after a message. Main thread, before others exist in fs/.
 */
int session_open(struct zn_store *store, const char *fuse_options, const char *mount_point,
		 struct session **ret_session);

/*
 * Starts the reader threads, calls @ready, and serves until the mount is gone or one of @stop
 * arrives, which must be blocked in all threads. Then unmounts, lets the readers answer what is
 * queued, and ends them. Returns 0, or -errno after a message if threads could not be started.
 */
int session_run(struct session *s, const sigset_t *stop, void (*ready)(void));

/* Lets go of the device: whatever is unanswered fails. NULL is allowed. */
void session_close(struct session *s);

/* The op INIT, for the table in ops.c. */
void session_init_op(void *userdata, struct fuse_conn_info *conn);

#endif
