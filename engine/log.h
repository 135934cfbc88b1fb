/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: the writing side of the write-ahead log. Records are appended to the batch being formed; a
 * batch is taken, sealed, written and synced by whoever commits; one is on its way at a time, so
 * whatever stands behind a batch that did not arrive was never acknowledged.
 *
 * Passive: it starts nothing and touches no disk. log_seal() works on a batch that its caller owns
 * and needs no lock; the rest is guarded by the lock around the engine.
 */
#ifndef ENGINE_LOG_H
#define ENGINE_LOG_H

#include "disk.h"
#include "record.h"

/* Batches of up to this many bytes share buffers that are allocated once, for fixed ring buffers. */
#define LOG_BUFFER_RECORDS_BYTES ((1U << 20) + (64U << 10))
#define LOG_BUFFERS 4

struct log_batch {
	struct log_batch *next;
	unsigned char *memory; /* a block for a segment's head, then the batch; aligned */
	size_t memory_bytes;
	int buffer; /* which of the shared buffers; -1: its own */
	uint32_t records_bytes;
	uint32_t records_count;
	uint64_t first_zxid;
	uint64_t last_zxid;
	bool starts_segment;
	uint64_t sequence;
	/* From log_take(): where the bytes go. log_seal() says which. */
	struct disk_file *file;
	uint64_t offset;
	const unsigned char *bytes;
	size_t bytes_count;
};

enum log_spare {
	LOG_SPARE_WANTED, /* somebody should prepare log_next_segment() */
	LOG_SPARE_UNDER_WAY,
	LOG_SPARE_READY,
	LOG_SPARE_FAILED, /* try again later */
};

struct log {
	uint32_t block_bytes;
	uint64_t segment_bytes; /* of segments yet to be made */
	uint64_t store_id;
	/* The segment being written; NULL before the first is ready. */
	struct disk_file *current;
	uint64_t offset;     /* where its next batch goes; 0: its head comes first */
	bool current_closed; /* takes no more, whatever its room */
	bool head_durable;   /* the current segment has its head on the disk */
	struct disk_file *spare;
	enum log_spare spare_state;
	int spare_error;       /* why the last attempt failed; 0 after a success */
	uint64_t sequence;     /* of the last batch taken */
	uint64_t chain;        /* the checksum of the last batch sealed: the committer's own */
	uint64_t last_zxid;    /* of the last batch taken */
	uint64_t previous_end; /* of the segment before the current one */
	/* Batches waiting to be taken; records are appended to the last. */
	struct log_batch *first;
	struct log_batch *last;
	uint64_t pending_bytes;
	unsigned char *buffers[LOG_BUFFERS];
	size_t buffer_bytes;
	unsigned buffers_free; /* bit n: buffers[n] */
};

/* Where recovery found the end of the log. Zeros for an empty directory. */
struct log_position {
	uint64_t store_id;
	struct disk_file *current; /* ownership passes */
	bool current_closed;       /* takes no more: it has another block size */
	uint64_t offset;
	struct disk_file *spare; /* ownership passes */
	uint64_t sequence;
	uint64_t chain;
	uint64_t last_zxid;
	uint64_t previous_end;
};

/* Returns 0 or -ENOMEM. @block_bytes is a power of two. */
int log_init(struct log *log, uint32_t block_bytes, uint64_t segment_bytes,
	     const struct log_position *at);

/* Frees buffers and unwritten batches. The files are the caller's to close. */
void log_fini(struct log *log);

/* The longest record that fits into a segment. */
uint64_t log_record_bytes_max(const struct log *log);

/*
 * Is there a place in the segments that are ready for everything that waits and a record of @bytes
 * behind it, and are @reserve bytes left then? Asked before a transaction is applied.
 */
bool log_can_take(const struct log *log, uint64_t bytes, uint64_t reserve);

/*
 * Reserve room for a record of @bytes in the batch being formed; encode into what is returned, then
 * log_append(). NULL without memory: nothing has changed. A reservation that is not used costs nothing.
 */
unsigned char *log_reserve(struct log *log, uint64_t bytes);
void log_append(struct log *log, uint64_t bytes, uint64_t zxid);

static inline bool log_has_pending(const struct log *log)
{
	return log->pending_bytes > 0;
}

/*
 * Should a segment be prepared now? Not before the current one has its head on the disk: recovery
 * knows one segment without a head, not two.
 */
bool log_wants_spare(const struct log *log);

/* The number the next prepared segment gets. */
uint64_t log_next_segment(const struct log *log);

/* The outcome of preparing a segment: @file, or why not. The log takes over the file. */
void log_spare_done(struct log *log, struct disk_file *file, int result);

/*
 * The oldest waiting batch, with its place in the log; NULL if there is none, or if it needs a
 * segment that is not ready.
 * @ret_retired  a segment that is full now, for the caller to close once nothing uses it; or NULL
 */
struct log_batch *log_take(struct log *log, struct disk_file **ret_retired);

/* Fill in heads and checksums: the batch is ready to be written. Committing thread; no lock. */
void log_seal(struct log *log, struct log_batch *batch, int64_t now_ns);

/* Forget what waits: it will never be written. */
void log_drop_pending(struct log *log);

/* The batch is not needed any more, written or not. */
void log_release(struct log *log, struct log_batch *batch);

#endif
