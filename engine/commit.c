/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit: the ring has one file slot and the log's buffers, both registered, and never more than the
 * two requests of one batch in it. A completion that is short, or out of step, is an error like any
 * other: the batch counts as not written.
 */
#include "commit.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "disk_posix.h"

#define RING_ENTRIES 4
#define MEASURE_ROUNDS 32
#define MEASURE_NS_MAX 100000000

enum tag { TAG_WRITE = 1, TAG_SYNC = 2 };

struct committer {
	struct io_uring ring;
	bool has_ring;
	bool fixed_buffers;
	bool fixed_file;
	uint64_t slot_segment; /* whose file stands in the ring's slot; 0: none */
	uint32_t block_bytes;
	const struct log_batch *batch; /* on its way */
	int start_error;               /* it is not: the ring would not take it */
	enum commit_way way;
	enum commit_way best;
	enum commit_way best_ring;
	uint64_t cost_ns[3];
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

const char *commit_way_name(enum commit_way way)
{
	static const char *const names[] = {
		[COMMIT_CALL] = "call",
		[COMMIT_LINK] = "ring-linked",
		[COMMIT_TWO] = "ring-two-step",
	};

	return names[way];
}

/* Registered buffers and files save work in each request; neither is needed. */
static void register_all(struct committer *c, const struct log *log)
{
	struct iovec iov[LOG_BUFFERS];
	int none = -1;

	for (unsigned i = 0; i < LOG_BUFFERS; i++)
		iov[i] = (struct iovec){ log->buffers[i], log->buffer_bytes };
	c->fixed_buffers = io_uring_register_buffers(&c->ring, iov, LOG_BUFFERS) == 0;
	c->fixed_file = io_uring_register_files(&c->ring, &none, 1) == 0;
}

struct committer *committer_new(const struct log *log, bool ring, int *ret_ring_error)
{
	struct committer *c = calloc(1, sizeof(*c));
	int r = -ENOSYS;

	if (!c)
		return NULL;
	c->block_bytes = log->block_bytes;
	c->best = COMMIT_CALL;
	c->best_ring = COMMIT_LINK;
	if (ring)
		r = io_uring_queue_init(RING_ENTRIES, &c->ring, 0);
	if (r == 0) {
		c->has_ring = true;
		register_all(c, log);
	}
	*ret_ring_error = r;
	return c;
}

void committer_free(struct committer *c)
{
	if (c && c->has_ring)
		io_uring_queue_exit(&c->ring);
	free(c);
}

bool committer_has_ring(const struct committer *c)
{
	return c->has_ring;
}

void committer_force_ring(struct committer *c)
{
	if (c->has_ring)
		c->best = c->best_ring;
}

enum commit_way committer_best(const struct committer *c)
{
	return c->best;
}

enum commit_way committer_best_ring(const struct committer *c)
{
	return c->best_ring;
}

uint64_t committer_cost_ns(const struct committer *c, enum commit_way way)
{
	return c->cost_ns[way];
}

/* Put the file into the ring's slot, once for each segment. */
static void use_file(struct committer *c, const struct disk_file *file)
{
	int fd = file->fd;

	if (!c->fixed_file || c->slot_segment == file->segment)
		return;
	c->slot_segment = file->segment;
	if (io_uring_register_files_update(&c->ring, 0, &fd, 1) != 1)
		c->fixed_file = false;
}

static void set_file(const struct committer *c, struct io_uring_sqe *sqe,
		     const struct disk_file *file)
{
	sqe->fd = c->fixed_file ? 0 : file->fd;
	if (c->fixed_file)
		sqe->flags |= IOSQE_FIXED_FILE;
}

static struct io_uring_sqe *take_sqe(struct committer *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&c->ring);

	ZN_ASSERT(sqe != NULL); /* RING_ENTRIES is more than a batch needs */
	return sqe;
}

static void queue_write(struct committer *c, const struct log_batch *b, unsigned flags)
{
	struct io_uring_sqe *sqe = take_sqe(c);

	if (c->fixed_buffers && b->buffer >= 0)
		io_uring_prep_write_fixed(sqe, b->file->fd, b->bytes, (unsigned)b->bytes_count,
					  b->offset, b->buffer);
	else
		io_uring_prep_write(sqe, b->file->fd, b->bytes, (unsigned)b->bytes_count,
				    b->offset);
	set_file(c, sqe, b->file);
	sqe->flags |= (uint8_t)flags;
	io_uring_sqe_set_data64(sqe, TAG_WRITE);
}

static void queue_sync(struct committer *c, const struct disk_file *file)
{
	struct io_uring_sqe *sqe = take_sqe(c);

	io_uring_prep_fsync(sqe, file->fd, IORING_FSYNC_DATASYNC);
	set_file(c, sqe, file);
	io_uring_sqe_set_data64(sqe, TAG_SYNC);
}

/*
 * Hand @count requests to the kernel. On an error none of them is under way any more: if it took only
 * some, a linked sync would no longer wait for its write, so these are waited for and count as failed.
 */
static int submit(struct committer *c, int count)
{
	struct io_uring_cqe *cqe;
	int r;

	do {
		r = io_uring_submit(&c->ring);
	} while (r == -EINTR || r == -EAGAIN || r == -EBUSY);
	if (r == count)
		return 0;
	for (int i = 0; i < r; i++) { /* UNTESTED: kernels take two requests or none */
		if (io_uring_wait_cqe(&c->ring, &cqe) == 0)
			io_uring_cqe_seen(&c->ring, cqe);
	}
	return r < 0 ? r : -EIO;
}

/* The result of the next completion, which must be @tag's. */
static int reap(struct committer *c, enum tag tag)
{
	struct io_uring_cqe *cqe;
	int r;

	do {
		r = io_uring_wait_cqe(&c->ring, &cqe);
	} while (r == -EINTR || r == -EAGAIN);
	if (r < 0)
		return r;
	ZN_ASSERT(io_uring_cqe_get_data64(cqe) == tag);
	r = cqe->res;
	io_uring_cqe_seen(&c->ring, cqe);
	return r;
}

static int reap_write(struct committer *c)
{
	int r = reap(c, TAG_WRITE);

	if (r < 0)
		return r;
	return (size_t)r == c->batch->bytes_count ? 0 : -EIO;
}

void committer_start(struct committer *c, const struct log_batch *batch, enum commit_way way)
{
	ZN_ASSERT(c->has_ring);
	ZN_ASSERT(!c->batch);
	ZN_ASSERT(way != COMMIT_CALL);
	use_file(c, batch->file);
	c->batch = batch;
	c->way = way;
	queue_write(c, batch, way == COMMIT_LINK ? IOSQE_IO_LINK : 0);
	if (way == COMMIT_LINK)
		queue_sync(c, batch->file);
	c->start_error = submit(c, way == COMMIT_LINK ? 2 : 1);
}

int committer_wait(struct committer *c)
{
	int written = c->start_error ? c->start_error : reap_write(c);
	int synced = written;

	if (c->start_error) {
		/* Nothing was begun, so nothing completes. The error is final, as the log's are. */
	} else if (c->way == COMMIT_LINK) {
		synced = reap(c, TAG_SYNC);
	} else if (written == 0) {
		queue_sync(c, c->batch->file);
		synced = submit(c, 1);
		if (synced == 0)
			synced = reap(c, TAG_SYNC);
	}
	c->batch = NULL;
	return written < 0 ? written : synced;
}

int committer_write(struct committer *c, const struct log_batch *batch, enum commit_way way)
{
	if (way == COMMIT_CALL)
		return disk_posix_write_sync(batch->file, batch->offset, batch->bytes,
					     batch->bytes_count);
	committer_start(c, batch, way);
	return committer_wait(c);
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int measure_way(struct committer *c, struct log_batch *batch, uint64_t offset,
		       uint64_t bytes, enum commit_way way)
{
	uint64_t took[MEASURE_ROUNDS];
	uint64_t start = now_ns();
	unsigned n = 0;
	int r = 0;

	while (r == 0 && n < MEASURE_ROUNDS && (n < 3 || now_ns() - start < MEASURE_NS_MAX)) {
		uint64_t before = now_ns();

		batch->offset = offset + n * batch->bytes_count % bytes;
		r = committer_write(c, batch, way);
		took[n++] = now_ns() - before;
	}
	if (r < 0)
		return r;
	qsort(took, n, sizeof(took[0]), compare_ns);
	/* The lower quartile: what the way costs when nothing else is in its way. */
	c->cost_ns[way] = took[n / 4];
	return 0;
}

int committer_measure(struct committer *c, const struct disk_file *file, uint64_t offset,
		      uint64_t bytes)
{
	struct log_batch batch = {
		.buffer = -1,
		.file = (struct disk_file *)(uintptr_t)file,
		.bytes_count = c->block_bytes,
	};
	unsigned char *zeros = aligned_alloc(LOG_BLOCK_BYTES_MAX, LOG_BLOCK_BYTES_MAX);
	int r = 0;

	if (!zeros)
		return -ENOMEM;
	memset(zeros, 0, LOG_BLOCK_BYTES_MAX);
	batch.bytes = zeros;
	r = measure_way(c, &batch, offset, bytes, COMMIT_CALL);
	for (int way = COMMIT_LINK; r == 0 && c->has_ring && way <= COMMIT_TWO; way++)
		r = measure_way(c, &batch, offset, bytes, (enum commit_way)way);
	free(zeros);
	if (r < 0 || !c->has_ring)
		return r;
	c->best_ring = c->cost_ns[COMMIT_TWO] < c->cost_ns[COMMIT_LINK] ? COMMIT_TWO : COMMIT_LINK;
	/* The call needs no other thread of the kernel to run, which counts when the CPUs are busy. */
	if (c->cost_ns[c->best_ring] < c->cost_ns[COMMIT_CALL] / 4 * 3)
		c->best = c->best_ring;
	return 0;
}
