/* SPDX-License-Identifier: Apache-2.0 */
/* local: opens the store that keeps its tree in memory and its log in a directory of this machine. */
#ifndef ZNODEFS_LOCAL_H
#define ZNODEFS_LOCAL_H

#include "znodefs/store.h"

#define ZN_LOCAL_ERROR_BYTES 512
#define ZN_MAX_DATA_DEFAULT (UINT64_C(1) << 20)
#define ZN_MAX_DATA_MAX (UINT64_C(1) << 31)
#define ZN_SEGMENT_BYTES_DEFAULT (UINT64_C(64) << 20)
#define ZN_SEGMENT_BYTES_MIN (UINT64_C(4) << 20)
#define ZN_SEGMENT_BYTES_MAX (UINT64_C(4) << 30)
#define ZN_COMMIT_INTERVAL_MS_DEFAULT 5

enum zn_log_sync {
	ZN_LOG_SYNC_AUTO,   /* what measures best at start */
	ZN_LOG_SYNC_RING,   /* through io_uring */
	ZN_LOG_SYNC_DIRECT, /* by a plain call on the thread that has the mutation */
};

/*
 * A line worth telling the operator. @priority is one of syslog's LOG_*. Any thread, no lock held;
 * @text is valid during the call.
 */
typedef void zn_message_fn(void *arg, int priority, const char *text);

struct zn_local_options {
	const char *state_dir;       /* created (0700) if missing */
	bool relaxed;                /* complete transactions before they are durable */
	unsigned commit_interval_ms; /* relaxed and lazy transactions reach the disk within this time */
	uint64_t max_data;           /* bytes of one value, at most ZN_MAX_DATA_MAX */
	uint64_t max_memory; /* bytes of tree past which what grows it gets ENOSPC; 0: half of RAM */
	uint64_t segment_bytes; /* a multiple of 1 MiB within MIN..MAX */
	enum zn_log_sync log_sync;
	bool without_ring;      /* behave as if the kernel had no io_uring */
	bool without_direct_io; /* behave as if the file system had no O_DIRECT */
	zn_message_fn *message; /* may be NULL */
	void *message_arg;
};

/* Fills in the defaults; the caller sets state_dir. */
void zn_local_options_init(struct zn_local_options *opt);

/*
 * Opens the state directory, recovers the tree from its log, raises the epoch durably and starts the
 * store's threads.
 * @ret_store  release with zn_store_close()
 * @error      ZN_LOCAL_ERROR_BYTES long; on failure one line that names the file and what to do
 * Returns 0; -EBUSY if another process holds the directory; -EBADMSG, -EUCLEAN if it is damaged;
 * -EPROTONOSUPPORT if it has another format version; -EINVAL for a bad option; or what the disk said.
 * A refusal changes nothing on disk. Blocks. Fork before it, not after: it starts threads.
 */
int zn_local_open(const struct zn_local_options *opt, struct zn_store **ret_store, char *error);

#endif
