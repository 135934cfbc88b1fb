/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_dir: the directory that a store lives in: created on first use, marked with the format's
 * version, and held by one process at a time.
 *   format   one line that says what this is; written once, when the log has begun
 *   lock     held while a daemon runs; its text says who, since when
 *   log/     the segments
 */
#ifndef ENGINE_STATE_DIR_H
#define ENGINE_STATE_DIR_H

#include "znodefs/base.h"

#define STATE_DIR_ERROR_BYTES 512

struct state_dir {
	char *path;  /* absolute */
	bool is_new; /* has no format file yet: state_dir_format() writes it */
	int fd;
	int lock_fd;
	int log_fd; /* of the directory log/ */
};

/*
 * Open @path, or create it; lock it.
 * @error  STATE_DIR_ERROR_BYTES; on failure one line that names the thing
 * Returns 0; -EBUSY if another process holds it; -EPROTONOSUPPORT for another format version;
 * -ENOTEMPTY if it holds something else; or what the file system said. Changes nothing on failure,
 * but for an empty directory that it may have created.
 */
int state_dir_open(struct state_dir *dir, const char *path, char *error);

/*
 * Mark a new directory as a state directory: once its log has begun, so that from then on a missing
 * log is seen to be missing. Errors as above.
 */
int state_dir_format(struct state_dir *dir, char *error);

/* Write down who holds the directory, once it is sure that this process does. Errors are ignored. */
void state_dir_sign(const struct state_dir *dir);

/* Gives up the lock. */
void state_dir_close(struct state_dir *dir);

#endif
