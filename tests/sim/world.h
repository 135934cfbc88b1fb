/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world: one run of the simulation: an engine on a simulated disk, requests on their way, and two
 * models: "applied", which is where the engine should be, and "base", which is what is durable. Between
 * them lies the history, in the order of zxids.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <setjmp.h>

#include "engine.h"
#include "model.h"
#include "sim_disk.h"

#define JOB_OPS_MAX 4
#define JOB_ENTRIES_BYTES 65536
#define HANDED_MAX 512

/* A request and what is known of it. */
struct job {
	struct zn_request req;
	struct job *next; /* in world->jobs */
	struct world *world;
	unsigned number;
	bool stalled;      /* the engine has not looked at it yet */
	bool refused_room; /* ENOSPC: the model has no opinion */
	bool unknown_id;   /* it named a node that is not there */
	bool met_unlinked;
	bool delivered;
	uint64_t at; /* zxid of the state it was answered from */
	int64_t time_ns;
	uint64_t zxid;   /* of a transaction that was applied and logged */
	uint64_t digest; /* of the answer */
	struct zn_op ops[JOB_OPS_MAX];
	unsigned char *bytes[3 * JOB_OPS_MAX + 1]; /* what names and data point to */
	unsigned bytes_count;
	uint64_t *entries; /* READDIR's buffer */
};

/* A transaction that was applied, or the beginning of an epoch (no operations). */
struct event {
	uint64_t zxid;
	int64_t time_ns;
	unsigned ops_count;
	struct zn_op ops[JOB_OPS_MAX];
	unsigned char *bytes;
};

struct world {
	uint64_t seed;
	struct rng rng;
	bool verbose;
	sigjmp_buf *failed_run;

	/* What kind of run this is. */
	bool failing_writes;
	bool filling_disk;
	bool little_memory;
	unsigned crash_per_mille;
	uint32_t data_bytes_max;

	struct sim_disk disk;
	struct engine_options opt;
	struct engine engine;
	bool engine_open;
	struct log_batch *batch;
	struct disk_file *retired;
	bool preparing;
	uint64_t preparing_segment;
	uint64_t preparing_bytes;

	struct model *base;
	struct model *applied;
	struct model *scratch;
	struct event *history;
	size_t history_count;
	size_t history_room;
	uint64_t epoch_pending; /* the last epoch begun, perhaps not durable */
	uint64_t epoch_after;   /* and the zxid it was begun behind */

	struct job *jobs;
	unsigned jobs_count;
	unsigned jobs_made;
	bool dead; /* completions are nobody's any more */

	uint64_t acknowledged; /* must be there after a crash */
	uint64_t given_zxid;   /* must not be given again */
	uint64_t given_id;
	struct {
		uint64_t id;
		uint64_t count;
	} handed[HANDED_MAX]; /* look-up references that clients have */
	size_t handed_count;

	unsigned crashes;
	unsigned transactions;
};

/* The run has failed: says why and does not return. */
_Noreturn void ZN_PRINTF(2, 3) world_fail(struct world *w, const char *format, ...);
void ZN_PRINTF(2, 3) world_trace(const struct world *w, const char *format, ...);

/* One whole run. Returns through world_fail() if something is wrong. */
void world_run(struct world *w);
void world_free(struct world *w);

/* jobs.c: a request at random; freed by job_free(). */
struct job *job_random(struct world *w);
struct job *job_new(struct world *w, enum zn_request_type type);
void job_free(struct job *job);
const char *job_text(const struct job *job);

/* history.c: the two models and what lies between. */
void history_add(struct world *w, const struct job *job);
void history_advance(struct world *w, uint64_t zxid, bool keep_unlinked);
void history_cut(struct world *w);
bool history_has(const struct world *w, uint64_t zxid);

/* answers.c: is an answer right? */
void answer_check(struct world *w, const struct model *m, const struct job *job, const char *when);
uint64_t answer_digest(const struct job *job);
void tree_check_all(struct world *w, const struct model *m);

/* settle.c: what a request did to the model when it ran, and what its completion promises. */
void job_ran(struct world *w, struct job *job, bool engine_failed);
void job_ran_again(struct world *w, struct job *job);
void job_done(struct zn_request *req);
/* The references of an answer that never left are taken back. */
void job_drop_refs(struct world *w, const struct job *job);
void handed_add(struct world *w, uint64_t id);

#endif
