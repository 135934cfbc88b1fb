/* SPDX-License-Identifier: Apache-2.0 */
/* disk_posix: the real disk: segments as files LOG_DIRECTORY/<16 hex digits>.seg, written with O_DIRECT. */
#ifndef ENGINE_DISK_POSIX_H
#define ENGINE_DISK_POSIX_H

#include "disk.h"

struct disk_posix {
	struct disk disk;
	int log_fd;       /* borrowed */
	const char *path; /* of the state directory; borrowed */
	bool direct;      /* the file system takes O_DIRECT */
};

/* @log_fd and @path stay the caller's and valid. @without_direct: do not use O_DIRECT. */
void disk_posix_init(struct disk_posix *disk, int log_fd, const char *path, bool without_direct);

/* Write all of it, and sync, with plain calls on this thread. Returns 0 or a negative errno. */
int disk_posix_write_sync(const struct disk_file *file, uint64_t offset, const void *from,
			  size_t bytes);

#endif
