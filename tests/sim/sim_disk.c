/* SPDX-License-Identifier: Apache-2.0 */
/* sim_disk: see sim_disk.h. */
#include "sim_disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_segment {
	uint64_t bytes;
	bool name_durable;
	unsigned char *now; /* what a reader sees */
	unsigned char *medium;
	bool *dirty;         /* by sector: the layers may differ */
	uint64_t dirty_from; /* all dirty sectors are in dirty_from..dirty_to - 1 */
	uint64_t dirty_to;
};

static struct sim_disk *sim_of(struct disk *disk)
{
	return container_of(disk, struct sim_disk, disk);
}

static struct sim_segment *segment_of(const struct sim_disk *d, uint64_t number)
{
	ZN_ASSERT(number < SIM_SEGMENTS_MAX);
	return d->segments[number];
}

static void *zeros(size_t bytes)
{
	void *p = calloc(1, bytes);

	ZN_ASSERT(p != NULL);
	return p;
}

static struct sim_segment *segment_new(uint64_t bytes, bool name_durable)
{
	struct sim_segment *s = zeros(sizeof(*s));

	s->bytes = bytes;
	s->name_durable = name_durable;
	s->now = zeros(bytes);
	s->medium = zeros(bytes);
	s->dirty = zeros(bytes / SIM_SECTOR_BYTES * sizeof(bool));
	s->dirty_from = bytes / SIM_SECTOR_BYTES;
	return s;
}

static void segment_free(struct sim_segment *s)
{
	free(s->now);
	free(s->medium);
	free(s->dirty);
	free(s);
}

static void mark_dirty(struct sim_segment *s, uint64_t sector)
{
	s->dirty[sector] = true;
	s->dirty_from = zn_min_u64(s->dirty_from, sector);
	s->dirty_to = zn_max_u64(s->dirty_to, sector + 1);
}

static void mark_all_clean(struct sim_segment *s)
{
	s->dirty_from = s->bytes / SIM_SECTOR_BYTES;
	s->dirty_to = 0;
}

/* The sector's new contents reach the medium, or the old ones come back. */
static void settle_sector(struct sim_segment *s, uint64_t sector, bool keep)
{
	unsigned char *now = s->now + sector * SIM_SECTOR_BYTES;
	unsigned char *medium = s->medium + sector * SIM_SECTOR_BYTES;

	if (keep)
		memcpy(medium, now, SIM_SECTOR_BYTES);
	else
		memcpy(now, medium, SIM_SECTOR_BYTES);
	s->dirty[sector] = false;
}

static bool keeps(struct sim_disk *d, enum power_cut_mode mode, uint64_t index, uint64_t prefix)
{
	switch (mode) {
	case CUT_DROP_ALL:
		return false;
	case CUT_KEEP_ALL:
		return true;
	case CUT_PREFIX:
		return index < prefix;
	case CUT_RANDOM:
	case CUT_MODES:
		break;
	}
	return rng_chance(&d->rng, 500);
}

/* An error that was asked for. */
static int failing(struct sim_disk *d)
{
	return d->fail_in > 0 && --d->fail_in == 0 ? -EIO : 0;
}

static int sim_list(struct disk *disk, uint64_t **ret_segments, size_t *ret_count, char *error)
{
	const struct sim_disk *d = sim_of(disk);
	uint64_t *numbers = zeros(SIM_SEGMENTS_MAX * sizeof(*numbers));
	size_t count = 0;

	(void)error;
	for (uint64_t i = 1; i < SIM_SEGMENTS_MAX; i++) {
		if (d->segments[i])
			numbers[count++] = i;
	}
	*ret_segments = numbers;
	*ret_count = count;
	return 0;
}

static struct disk_file *file_new(struct sim_disk *d, uint64_t number, uint64_t bytes)
{
	struct disk_file *f = zeros(sizeof(*f));

	*f = (struct disk_file){ .segment = number, .bytes = bytes, .fd = -1 };
	d->open_files++;
	return f;
}

static int sim_open(struct disk *disk, uint64_t segment, struct disk_file **ret_file)
{
	struct sim_disk *d = sim_of(disk);
	const struct sim_segment *s = segment_of(d, segment);
	int r = failing(d);

	if (r < 0)
		return r;
	if (!s)
		return -ENOENT;
	*ret_file = file_new(d, segment, s->bytes);
	return 0;
}

static void sim_close(struct disk *disk, struct disk_file *file)
{
	sim_of(disk)->open_files--;
	free(file);
}

static int sim_read(struct disk *disk, struct disk_file *file, uint64_t offset, void *to,
		    size_t bytes)
{
	struct sim_disk *d = sim_of(disk);
	const struct sim_segment *s = segment_of(d, file->segment);
	int r = failing(d);

	if (r < 0)
		return r;
	ZN_ASSERT(offset + bytes <= s->bytes);
	memcpy(to, s->now + offset, bytes);
	return 0;
}

static int sim_sync(struct disk *disk, struct disk_file *file)
{
	struct sim_disk *d = sim_of(disk);
	struct sim_segment *s = segment_of(d, file->segment);
	int r = failing(d);

	if (r < 0)
		return r;
	for (uint64_t i = s->dirty_from; i < s->dirty_to; i++) {
		if (s->dirty[i])
			settle_sector(s, i, true);
	}
	mark_all_clean(s);
	return 0;
}

static int sim_sync_directory(struct disk *disk)
{
	struct sim_disk *d = sim_of(disk);
	int r = failing(d);

	for (uint64_t i = 1; r == 0 && i < SIM_SEGMENTS_MAX; i++) {
		if (d->segments[i])
			d->segments[i]->name_durable = true;
	}
	return r;
}

static int sim_prepare(struct disk *disk, uint64_t segment, uint64_t bytes,
		       struct disk_file **ret_file)
{
	struct sim_disk *d = sim_of(disk);

	if (d->full)
		return -ENOSPC;
	ZN_ASSERT(segment > 0 && !segment_of(d, segment));
	d->segments[segment] = segment_new(bytes, true);
	*ret_file = file_new(d, segment, bytes);
	return 0;
}

static int sim_tidy(struct disk *disk)
{
	(void)disk;
	return 0;
}

static const char *sim_path(struct disk *disk, uint64_t segment)
{
	static char path[64];

	(void)disk;
	(void)snprintf(path, sizeof(path), "sim/%016" PRIx64 ".seg", segment);
	return path;
}

static int64_t sim_now_ns(struct disk *disk)
{
	return sim_of(disk)->clock_ns;
}

static uint64_t sim_random(struct disk *disk)
{
	return rng_next(&sim_of(disk)->rng);
}

static const struct disk_ops sim_ops = {
	.list = sim_list,
	.open = sim_open,
	.close = sim_close,
	.read = sim_read,
	.sync = sim_sync,
	.sync_directory = sim_sync_directory,
	.prepare = sim_prepare,
	.tidy = sim_tidy,
	.path = sim_path,
	.now_ns = sim_now_ns,
	.random = sim_random,
};

void sim_disk_init(struct sim_disk *disk, uint64_t seed, uint32_t block_bytes)
{
	*disk = (struct sim_disk){
		.disk.ops = &sim_ops,
		.disk.block_bytes = block_bytes,
		.rng.state = seed,
		.clock_ns = INT64_C(1700000000000000000),
	};
}

void sim_disk_fini(struct sim_disk *disk)
{
	for (size_t i = 0; i < SIM_SEGMENTS_MAX; i++) {
		if (disk->segments[i])
			segment_free(disk->segments[i]);
		disk->segments[i] = NULL;
	}
}

void sim_disk_write_part(struct sim_disk *disk, const struct disk_file *file, uint64_t offset,
			 const unsigned char *from, size_t bytes, enum power_cut_mode mode)
{
	struct sim_segment *s = segment_of(disk, file->segment);
	size_t sectors = bytes / SIM_SECTOR_BYTES;
	size_t prefix = rng_below(&disk->rng, (unsigned)sectors + 1);

	ZN_ASSERT(offset % disk->disk.block_bytes == 0 && bytes % disk->disk.block_bytes == 0);
	ZN_ASSERT(offset + bytes <= s->bytes);
	for (size_t i = 0; i < sectors; i++) {
		if (!keeps(disk, mode, i, prefix))
			continue;
		memcpy(s->now + offset + i * SIM_SECTOR_BYTES, from + i * SIM_SECTOR_BYTES,
		       SIM_SECTOR_BYTES);
		mark_dirty(s, offset / SIM_SECTOR_BYTES + i);
	}
}

void sim_disk_write(struct sim_disk *disk, const struct disk_file *file, uint64_t offset,
		    const unsigned char *from, size_t bytes)
{
	sim_disk_write_part(disk, file, offset, from, bytes, CUT_KEEP_ALL);
}

void sim_disk_sync_range(struct sim_disk *disk, const struct disk_file *file, uint64_t offset,
			 size_t bytes)
{
	struct sim_segment *s = segment_of(disk, file->segment);

	for (uint64_t i = offset / SIM_SECTOR_BYTES; i < (offset + bytes) / SIM_SECTOR_BYTES; i++) {
		if (s->dirty[i])
			settle_sector(s, i, true);
	}
}

void sim_disk_half_prepare(struct sim_disk *disk, uint64_t segment, uint64_t bytes)
{
	if (!disk->full && !segment_of(disk, segment) && rng_chance(&disk->rng, 500))
		disk->segments[segment] = segment_new(bytes, false);
}

static void cut_segment(struct sim_disk *disk, struct sim_segment *s, enum power_cut_mode mode)
{
	uint64_t count = 0, index = 0, prefix;

	for (uint64_t i = s->dirty_from; i < s->dirty_to; i++)
		count += s->dirty[i];
	prefix = rng_below(&disk->rng, (unsigned)count + 1);
	for (uint64_t i = s->dirty_from; i < s->dirty_to; i++) {
		if (s->dirty[i])
			settle_sector(s, i, keeps(disk, mode, index++, prefix));
	}
	mark_all_clean(s);
}

void sim_disk_power_cut(struct sim_disk *disk, enum power_cut_mode mode)
{
	for (uint64_t i = 1; i < SIM_SEGMENTS_MAX; i++) {
		struct sim_segment *s = disk->segments[i];

		if (!s)
			continue;
		cut_segment(disk, s, mode);
		if (!s->name_durable && rng_chance(&disk->rng, 500)) {
			segment_free(s);
			disk->segments[i] = NULL;
		}
	}
}
