/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: the core of the local store. Takes requests, applies them to the tree, appends mutations to
 * the log, and holds back each answer until what it depends on is durable (the gate).
 *
 * Passive: a state machine that is driven. It starts no thread, takes no lock and does no I/O after
 * engine_open(); the driver (local.c, or the simulation) calls it with one lock held, and asks:
 *   engine_take()        is there a batch to write? then seal it, write it, sync it, and
 *   engine_committed()   say how that went;
 *   engine_spare()       should a segment be prepared? then do so, and
 *   engine_spare_done()  say how that went;
 *   engine_completed()   which requests are answered? then call complete() without the lock.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "log.h"
#include "tree.h"
#include "undo.h"

struct engine_options {
	bool relaxed;
	uint64_t max_data;
	uint64_t max_memory;
	uint64_t segment_bytes;
};

struct request_queue {
	struct zn_request *first;
	struct zn_request *last;
	uint64_t count;
};

struct engine {
	struct disk *disk;
	struct engine_options opt;
	struct tree tree;
	struct undo undo;
	struct log log;
	uint64_t zxid_applied;
	uint64_t zxid_durable;
	struct log_batch *inflight;
	struct request_queue inflight_waiters; /* for the batch on its way */
	struct request_queue pending_waiters;  /* for batches after it */
	struct request_queue stalled; /* transactions that wait for a segment, not applied */
	struct request_queue done;
	bool flush;  /* commit what is pending though nobody waits for it */
	bool failed; /* the log has failed */
	uint64_t batches;
	uint64_t records;
	uint64_t log_bytes;
};

/*
 * Recover from the disk and open a new epoch: its record is the first in the log to be committed, and
 * nothing may be served before it is durable (zxid_durable == zxid_applied).
 * @error  RECOVER_ERROR_BYTES, filled in on failure
 * Returns as recover(); on failure nothing is left to free but @disk, which is the caller's.
 */
int engine_open(struct engine *engine, struct disk *disk, const struct engine_options *opt,
		char *error);

/* Closes files and frees everything. No batch may be on its way; waiting requests are forgotten. */
void engine_close(struct engine *engine);

/* Take a request. It is completed now (engine_completed()) or later. */
void engine_submit(struct engine *engine, struct zn_request *req);

/* Is there a batch that somebody waits for and that could go to the disk now? */
bool engine_wants_commit(const struct engine *engine);

/*
 * The batch to write now, or NULL if there is none, none is wanted, or one is on its way already.
 * @ret_retired  as log_take()
 */
struct log_batch *engine_take(struct engine *engine, struct disk_file **ret_retired);

/*
 * The batch is durable (@result 0), or could not be made so: then everything since the last durable
 * transaction is taken back, who waits for it gets EIO, and the engine is read-only from then on.
 */
void engine_committed(struct engine *engine, struct log_batch *batch, int result);

/* Commit all that is pending, though nobody waits for it. */
void engine_flush(struct engine *engine);

static inline bool engine_wants_spare(const struct engine *engine)
{
	return !engine->failed && log_wants_spare(&engine->log);
}

/* Is a segment wanted? Then its number and size; it counts as under way from then on. */
bool engine_spare(struct engine *engine, uint64_t *ret_segment, uint64_t *ret_bytes);
void engine_spare_done(struct engine *engine, struct disk_file *file, int result);

/* After a failure to prepare a segment: try again. */
void engine_spare_retry(struct engine *engine);

/* The requests that are answered; the queue is empty then. */
struct request_queue engine_completed(struct engine *engine);

/* Tell the owners, and release what the answers pointed to. No lock held. */
void complete(struct request_queue *queue);

/* Numbers that the engine knows: all of zn_stats but times and "way". */
void engine_stats(const struct engine *engine, struct zn_stats *stats);

/* Asserts what must hold; walks the tree. For tests. */
void engine_check(const struct engine *engine);

#endif
