/* SPDX-License-Identifier: Apache-2.0 */
/* attr: pure conversions. */
#include "attr.h"

#include <sys/stat.h>

#include "fs.h"

#define NS_PER_S INT64_C(1000000000)
#define BLOCK_BYTES 4096
#define SECTOR_BYTES 512 /* the unit of st_blocks */

static struct timespec time_of_ns(int64_t ns)
{
	struct timespec ts = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

	if (ts.tv_nsec < 0) { /* before 1970: C rounds towards zero */
		ts.tv_nsec += NS_PER_S;
		ts.tv_sec--;
	}
	return ts;
}

static void fill_size(uint64_t bytes, struct stat *attr)
{
	attr->st_size = (off_t)bytes;
	attr->st_blocks = (blkcnt_t)((bytes + SECTOR_BYTES - 1) / SECTOR_BYTES);
	attr->st_blksize = BLOCK_BYTES;
}

void attr_fill(const struct zn_stat *st, struct stat *ret_attr)
{
	*ret_attr = (struct stat){
		.st_ino = st->id,
		.st_mode = st->mode,
		.st_nlink = st->nlink,
		.st_uid = st->uid,
		.st_gid = st->gid,
		.st_rdev = st->rdev,
		.st_atim = time_of_ns(st->atime_ns),
		.st_mtim = time_of_ns(st->mtime_ns),
		.st_ctim = time_of_ns(st->ctime_ns),
	};
	/* A directory's size is its number of entries; its data show as @data. */
	fill_size(S_ISDIR(st->mode) ? 0 : st->data_bytes, ret_attr);
	if (S_ISDIR(st->mode))
		ret_attr->st_size = (off_t)st->children_count;
}

void attr_fill_data(const struct zn_stat *dir, struct stat *ret_attr)
{
	*ret_attr = (struct stat){
		.st_ino = dir->id | ID_DATA,
		.st_mode = S_IFREG | (dir->mode & 0666),
		.st_nlink = 1,
		.st_uid = dir->uid,
		.st_gid = dir->gid,
		.st_atim = time_of_ns(dir->data_ns),
		.st_mtim = time_of_ns(dir->data_ns),
		.st_ctim = time_of_ns(dir->ctime_ns),
	};
	fill_size(dir->data_bytes, ret_attr);
}

double attr_timeout(const struct zn_stat *st, bool durable)
{
	if (!durable)
		return 0;
	if (!S_ISDIR(st->mode) && (st->mode & (S_ISUID | S_ISGID)) != 0)
		return 0;
	return ATTR_TIMEOUT_S;
}

void attr_fill_entry(const struct zn_stat *st, bool durable, struct fuse_entry_param *ret_entry)
{
	*ret_entry = (struct fuse_entry_param){
		.ino = st->id,
		.attr_timeout = attr_timeout(st, true),
		.entry_timeout = durable ? ENTRY_TIMEOUT_S : 0,
	};
	attr_fill(st, &ret_entry->attr);
}
