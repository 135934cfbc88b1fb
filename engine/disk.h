/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: the small table of functions through which the engine's core reaches the disk, the clock and
 * random numbers. Behind it stands the real thing (disk_posix.c) or the simulation (tests/sim).
 *
 * All files are segments in one directory, known by number. Functions return 0 or a negative errno.
 */
#ifndef ENGINE_DISK_H
#define ENGINE_DISK_H

#include "znodefs/base.h"

struct disk;

/* An open segment. */
struct disk_file {
	uint64_t segment;
	uint64_t bytes;
	int fd; /* the real disk's; -1 elsewhere */
};

struct disk_ops {
	/*
	 * All segments in the directory, ascending, in memory that the caller frees. A file that is no
	 * segment and was not left by an interrupted prepare() is an error, named in @error.
	 */
	int (*list)(struct disk *disk, uint64_t **ret_segments, size_t *ret_count, char *error);
	int (*open)(struct disk *disk, uint64_t segment, struct disk_file **ret_file);
	void (*close)(struct disk *disk, struct disk_file *file);
	/* All of it or an error. @to is aligned to the block. */
	int (*read)(struct disk *disk, struct disk_file *file, uint64_t offset, void *to,
		    size_t bytes);
	/* What earlier runs wrote to the file, or did to the directory, is on the disk after it. */
	int (*sync)(struct disk *disk, struct disk_file *file);
	int (*sync_directory)(struct disk *disk);
	/*
	 * Make a segment of zeros, on the disk with its name when it returns, and open it. Any thread.
	 * Leaves nothing behind when it fails, but for a power cut: then tidy() removes the rest.
	 */
	int (*prepare)(struct disk *disk, uint64_t segment, uint64_t bytes,
		       struct disk_file **ret_file);
	/* Remove what interrupted prepare() calls left. */
	int (*tidy)(struct disk *disk);
	/* Where the file is, for messages. Valid until the next call on this thread. */
	const char *(*path)(struct disk *disk, uint64_t segment);
	int64_t (*now_ns)(struct disk *disk);
	uint64_t (*random)(struct disk *disk);
};

struct disk {
	const struct disk_ops *ops;
	uint32_t block_bytes; /* writes are aligned to and padded to it */
};

#endif
