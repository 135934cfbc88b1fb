/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_disk: a simulated disk. Every segment has two layers: what is on the medium, and what a reader sees
 * now. They differ in the sectors (512 bytes) that were written and not synced; at a power cut each of
 * these is kept or lost by itself. A name that was not synced may be lost with all that is under it.
 *
 * Rules:
 *   prepare()        all or nothing, and durable, as engine/disk.h promises
 *   half_prepare()   the process died in prepare(): nothing is there, or a name that is not synced yet
 *   sync()           makes the sectors of one file durable; sync_directory() makes names durable
 *   power_cut()      takes a mode that says what becomes of unsynced sectors
 *   a process that is killed loses nothing: what it wrote stays in the upper layer
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "disk.h"
#include "rng.h"

#define SIM_SECTOR_BYTES 512U
#define SIM_SEGMENTS_MAX 256

enum power_cut_mode {
	CUT_DROP_ALL,
	CUT_KEEP_ALL,
	CUT_RANDOM,
	CUT_PREFIX, /* the sectors up to one, in the order of their place */
	CUT_MODES,
};

struct sim_segment;

struct sim_disk {
	struct disk disk;
	struct rng rng;
	int64_t clock_ns;
	struct sim_segment *segments[SIM_SEGMENTS_MAX];
	bool full; /* prepare() gets ENOSPC */
	unsigned open_files;
	unsigned fail_in; /* the n-th next read, open or sync fails with EIO; 0: none does */
};

void sim_disk_init(struct sim_disk *disk, uint64_t seed, uint32_t block_bytes);
void sim_disk_fini(struct sim_disk *disk);

/* Write to the upper layer. */
void sim_disk_write(struct sim_disk *disk, const struct disk_file *file, uint64_t offset,
		    const unsigned char *from, size_t bytes);

/* Write only some sectors of it, chosen as @mode says: a write that failed. */
void sim_disk_write_part(struct sim_disk *disk, const struct disk_file *file, uint64_t offset,
			 const unsigned char *from, size_t bytes, enum power_cut_mode mode);

/* What was written to [offset, offset + bytes) is on the medium. */
void sim_disk_sync_range(struct sim_disk *disk, const struct disk_file *file, uint64_t offset,
			 size_t bytes);

/* The process died while it prepared @segment. */
void sim_disk_half_prepare(struct sim_disk *disk, uint64_t segment, uint64_t bytes);

void sim_disk_power_cut(struct sim_disk *disk, enum power_cut_mode mode);

#endif
