/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_posix: a segment is made under a temporary name, filled with zeros (so that a later write
 * changes no metadata: a sync then costs half), synced, and renamed; so a file with a segment's name is
 * always whole. Recovery reads through the page cache, which reads ahead; the log is written past it.
 */
#include "disk_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "log_format.h"
#include "recover.h"

#define NAME_BYTES 32
#define NAME_DIGITS 16
#define ZERO_BYTES (256U << 10)

struct posix_file {
	struct disk_file file;
	int read_fd;
};

static struct disk_posix *posix_of(struct disk *disk)
{
	return container_of(disk, struct disk_posix, disk);
}

static void name_of(uint64_t segment, const char *suffix, char *to)
{
	(void)snprintf(to, NAME_BYTES, "%0*" PRIx64 "%s", NAME_DIGITS, segment, suffix);
}

/* Returns 0 if @name is not a segment's with this suffix. */
static uint64_t number_of(const char *name, const char *suffix)
{
	char canonical[NAME_BYTES];
	uint64_t n = strtoull(name, NULL, 16);

	name_of(n, suffix, canonical);
	return strcmp(name, canonical) == 0 ? n : 0;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* NULL: see errno. */
static DIR *open_directory(const struct disk_posix *p)
{
	int fd = openat(p->log_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int e = errno;

	if (!d && fd >= 0)
		(void)close(fd);
	errno = e;
	return d;
}

/* NULL at the end, or after an error, which is put into *ret_error. */
static const struct dirent *next_entry(DIR *d, int *ret_error)
{
	const struct dirent *e;

	errno = 0;
	e = readdir(d);
	if (!e && errno != 0)
		*ret_error = zn_errno();
	return e;
}

static int add_number(uint64_t **numbers, size_t *count, uint64_t n)
{
	uint64_t *more = *numbers;

	if ((*count & (*count - 1)) == 0)
		more = realloc(*numbers, (*count ? 2 * *count : 1) * sizeof(**numbers));
	if (!more)
		return -ENOMEM;
	more[(*count)++] = n;
	*numbers = more;
	return 0;
}

static int posix_list(struct disk *disk, uint64_t **ret_segments, size_t *ret_count, char *error)
{
	const struct disk_posix *p = posix_of(disk);
	uint64_t *numbers = NULL;
	size_t count = 0;
	const struct dirent *e;
	DIR *d = open_directory(p);
	int r = d ? 0 : zn_errno();

	if (!d) {
		(void)snprintf(error, RECOVER_ERROR_BYTES, "%s/log: cannot be read: %s", p->path,
			       strerror(-r));
		return r;
	}
	while (r == 0 && (e = next_entry(d, &r)) != NULL) {
		uint64_t n = number_of(e->d_name, ".seg");

		if (n > 0) {
			r = add_number(&numbers, &count, n);
		} else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
			   number_of(e->d_name, ".tmp") == 0) {
			(void)snprintf(error, RECOVER_ERROR_BYTES,
				       "%s/log/%s: is not part of a znodefs log; move it away",
				       p->path, e->d_name);
			r = -EBADMSG;
		}
	}
	(void)closedir(d);
	if (r < 0) {
		if (!error[0])
			(void)snprintf(error, RECOVER_ERROR_BYTES, "%s/log: cannot be read: %s",
				       p->path, strerror(-r));
		free(numbers);
		return r;
	}
	if (count > 0)
		qsort(numbers, count, sizeof(*numbers), compare_numbers);
	*ret_segments = numbers;
	*ret_count = count;
	return 0;
}

static const char *posix_path(struct disk *disk, uint64_t segment)
{
	static _Thread_local char path[RECOVER_ERROR_BYTES];
	char name[NAME_BYTES];

	name_of(segment, ".seg", name);
	(void)snprintf(path, sizeof(path), "%s/log/%s", posix_of(disk)->path, name);
	return path;
}

/* Takes over @fd, unless it returns NULL: see errno. */
static struct posix_file *file_new(uint64_t segment, int fd)
{
	struct posix_file *f;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return NULL;
	if (!S_ISREG(st.st_mode)) {
		errno = EBADMSG;
		return NULL;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->file = (struct disk_file){ .segment = segment, .bytes = (uint64_t)st.st_size, .fd = fd };
	f->read_fd = -1;
	return f;
}

static void posix_close(struct disk *disk, struct disk_file *file)
{
	struct posix_file *f = container_of(file, struct posix_file, file);

	(void)disk;
	if (f->read_fd >= 0)
		(void)close(f->read_fd);
	(void)close(file->fd);
	free(f);
}

static int posix_open(struct disk *disk, uint64_t segment, struct disk_file **ret_file)
{
	const struct disk_posix *p = posix_of(disk);
	int direct = p->direct ? O_DIRECT : 0;
	struct posix_file *f;
	char name[NAME_BYTES];
	int fd, r;

	name_of(segment, ".seg", name);
	fd = openat(p->log_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | direct);
	if (fd < 0)
		return zn_errno();
	f = file_new(segment, fd);
	if (!f) {
		r = zn_errno();
		(void)close(fd);
		return r;
	}
	f->read_fd = openat(p->log_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (f->read_fd < 0) {
		r = zn_errno();
		posix_close(disk, &f->file);
		return r;
	}
	(void)posix_fadvise(f->read_fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*ret_file = &f->file;
	return 0;
}

static int posix_read(struct disk *disk, struct disk_file *file, uint64_t offset, void *to,
		      size_t bytes)
{
	int fd = container_of(file, struct posix_file, file)->read_fd;

	(void)disk;
	while (bytes > 0) {
		ssize_t n = pread(fd, to, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? zn_errno() : -EIO;
		to = (char *)to + n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int posix_sync(struct disk *disk, struct disk_file *file)
{
	(void)disk;
	if (fsync(file->fd) < 0)
		return zn_errno();
	/* Nor must anything be read that is in the page cache only, after a write-back that failed. */
	(void)posix_fadvise(container_of(file, struct posix_file, file)->read_fd, 0, 0,
			    POSIX_FADV_DONTNEED);
	return 0;
}

static int posix_sync_directory(struct disk *disk)
{
	return fsync(posix_of(disk)->log_fd) < 0 ? zn_errno() : 0;
}

static int write_all(int fd, uint64_t offset, const void *from, size_t bytes, int flags)
{
	while (bytes > 0) {
		struct iovec iov = { (void *)(uintptr_t)from, bytes };
		ssize_t n = pwritev2(fd, &iov, 1, (off_t)offset, flags);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? zn_errno() : -EIO;
		from = (const char *)from + n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

int disk_posix_write_sync(const struct disk_file *file, uint64_t offset, const void *from,
			  size_t bytes)
{
	int r = write_all(file->fd, offset, from, bytes, RWF_DSYNC);

	if (r != -EOPNOTSUPP)
		return r;
	r = write_all(file->fd, offset, from, bytes, 0);
	return r == 0 && fdatasync(file->fd) < 0 ? zn_errno() : r;
}

static int fill_zeros(int fd, uint64_t bytes)
{
	void *zeros;
	int r = 0;

	/* Says at once if there is no room, and keeps the file in one piece. */
	if (fallocate(fd, 0, 0, (off_t)bytes) < 0 && errno != EOPNOTSUPP)
		return zn_errno();
	zeros = aligned_alloc(LOG_BLOCK_BYTES_MAX, ZERO_BYTES);
	if (!zeros)
		return -ENOMEM;
	memset(zeros, 0, ZERO_BYTES);
	for (uint64_t at = 0; r == 0 && at < bytes; at += ZERO_BYTES)
		r = write_all(fd, at, zeros, zn_min_u64(ZERO_BYTES, bytes - at), 0);
	free(zeros);
	return r == 0 && fsync(fd) < 0 ? zn_errno() : r;
}

static int posix_prepare(struct disk *disk, uint64_t segment, uint64_t bytes,
			 struct disk_file **ret_file)
{
	const struct disk_posix *p = posix_of(disk);
	char temporary[NAME_BYTES], name[NAME_BYTES];
	struct posix_file *f = NULL;
	int fd, r;

	name_of(segment, ".tmp", temporary);
	name_of(segment, ".seg", name);
	fd = openat(p->log_fd, temporary,
		    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | (p->direct ? O_DIRECT : 0),
		    0600);
	if (fd < 0)
		return zn_errno();
	r = fill_zeros(fd, bytes);
	if (r == 0) {
		f = file_new(segment, fd);
		r = f ? 0 : zn_errno();
	}
	if (r == 0 && renameat(p->log_fd, temporary, p->log_fd, name) < 0)
		r = zn_errno();
	if (r == 0 && fsync(p->log_fd) < 0) {
		r = zn_errno();
		(void)unlinkat(p->log_fd, name, 0);
	}
	if (r == 0) {
		*ret_file = &f->file;
		return 0;
	}
	free(f);
	(void)close(fd);
	(void)unlinkat(p->log_fd, temporary, 0);
	return r;
}

static int posix_tidy(struct disk *disk)
{
	const struct disk_posix *p = posix_of(disk);
	const struct dirent *e;
	DIR *d = open_directory(p);
	int r = 0;

	if (!d)
		return zn_errno();
	while ((e = next_entry(d, &r)) != NULL) {
		if (number_of(e->d_name, ".tmp") > 0 && unlinkat(p->log_fd, e->d_name, 0) < 0)
			r = zn_errno();
	}
	(void)closedir(d);
	return r;
}

static int64_t posix_now_ns(struct disk *disk)
{
	struct timespec ts;

	(void)disk;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static uint64_t posix_random(struct disk *disk)
{
	uint64_t n;

	(void)disk;
	ZN_ASSERT(getrandom(&n, sizeof(n), 0) == (ssize_t)sizeof(n));
	return n;
}

static const struct disk_ops posix_ops = {
	.list = posix_list,
	.open = posix_open,
	.close = posix_close,
	.read = posix_read,
	.sync = posix_sync,
	.sync_directory = posix_sync_directory,
	.prepare = posix_prepare,
	.tidy = posix_tidy,
	.path = posix_path,
	.now_ns = posix_now_ns,
	.random = posix_random,
};

/* What O_DIRECT needs here: 0 if it cannot be used, else the alignment of offsets. */
static uint32_t direct_alignment(int log_fd)
{
	const char name[] = "ffffffffffffffff.tmp"; /* what tidy() would remove */
	zn_cleanup_close int fd = openat(log_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_DIRECT,
					 0600);
	uint32_t align = 0;
	void *block;

	if (fd < 0)
		return 0;
	(void)unlinkat(log_fd, name, 0);
	/* Found by trying: STATX_DIOALIGN is not there on older kernels. */
	block = aligned_alloc(LOG_BLOCK_BYTES_MAX, LOG_BLOCK_BYTES_MAX);
	if (!block)
		return 0;
	memset(block, 0, LOG_BLOCK_BYTES_MAX);
	for (uint32_t n = LOG_BLOCK_BYTES; align == 0 && n <= LOG_BLOCK_BYTES_MAX; n *= 2) {
		if (pwrite(fd, block, n, 0) == (ssize_t)n)
			align = n;
	}
	free(block);
	return align;
}

void disk_posix_init(struct disk_posix *disk, int log_fd, const char *path, bool without_direct)
{
	uint32_t align = without_direct ? 0 : direct_alignment(log_fd);

	*disk = (struct disk_posix){
		.disk.ops = &posix_ops,
		.disk.block_bytes = align ? align : LOG_BLOCK_BYTES,
		.log_fd = log_fd,
		.path = path,
		.direct = align > 0,
	};
}
