/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world: drives the engine as the real driver does, but each step of it is an event whose moment the
 * seed decides: a request comes, a batch arrives on the disk or fails, a segment is ready, the power
 * goes. After each crash the recovered tree is compared with the model at exactly the recovered zxid.
 */
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recover.h"

#define SEGMENTS_ENOUGH (SIM_SEGMENTS_MAX - 40)
#define JOBS_MAX 200

void world_fail(struct world *w, const char *format, ...)
{
	va_list args;

	printf("seed %" PRIu64 ": ", w->seed);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	siglongjmp(*w->failed_run, 1);
}

void world_trace(const struct world *w, const char *format, ...)
{
	va_list args;

	if (!w->verbose)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static void deliver(struct world *w)
{
	struct request_queue done = engine_completed(&w->engine);

	complete(&done);
}

static bool is_stalled(const struct world *w, const struct job *job)
{
	for (const struct zn_request *r = w->engine.stalled.first; r; r = r->priv.next) {
		if (r == &job->req)
			return true;
	}
	return false;
}

static void after_run(struct world *w, struct job *job)
{
	job->stalled = is_stalled(w, job);
	if (!job->stalled)
		job_ran(w, job, w->engine.failed);
}

static void submit(struct world *w, struct job *job)
{
	w->disk.clock_ns += 1 + rng_below(&w->rng, 1000000);
	world_trace(w, "submit %s", job_text(job));
	engine_submit(&w->engine, &job->req);
	after_run(w, job);
	if (!w->engine.failed && w->engine.zxid_applied != w->applied->zxid)
		world_fail(w, "zxid 0x%" PRIx64 " applied, the model has 0x%" PRIx64,
			   w->engine.zxid_applied, w->applied->zxid);
	deliver(w);
}

static void event_submit(struct world *w)
{
	if (w->jobs_count <= JOBS_MAX)
		submit(w, job_random(w));
}

/* --- the log ----------------------------------------------------------------------------------- */

static void close_retired(struct world *w)
{
	if (w->retired)
		w->disk.disk.ops->close(&w->disk.disk, w->retired);
	w->retired = NULL;
}

static void begin_batch(struct world *w)
{
	if (w->batch)
		return;
	w->batch = engine_take(&w->engine, &w->retired);
	if (!w->batch)
		return;
	log_seal(&w->engine.log, w->batch, w->disk.clock_ns);
	world_trace(w,
		    "batch of %u to segment %" PRIu64 " at %" PRIu64 ", %zu bytes, to 0x%" PRIx64,
		    w->batch->records_count, w->batch->file->segment, w->batch->offset,
		    w->batch->bytes_count, w->batch->last_zxid);
}

static void batch_arrives(struct world *w)
{
	const struct log_batch *b = w->batch;
	uint64_t zxid = b->last_zxid;

	sim_disk_write(&w->disk, b->file, b->offset, b->bytes, b->bytes_count);
	sim_disk_sync_range(&w->disk, b->file, b->offset, b->bytes_count);
	w->batch = NULL;
	engine_committed(&w->engine, (struct log_batch *)b, 0);
	world_trace(w, "durable 0x%" PRIx64, zxid);
	history_advance(w, zxid, true);
	close_retired(w);
}

/* Where the applied state goes back to when the log fails. */
static void model_fails(struct world *w)
{
	struct model *durable = w->scratch;

	model_copy(durable, w->base);
	for (size_t i = 0; i < durable->nodes_count; i++) {
		struct model_node *n = &durable->nodes[i];
		const struct model_node *now = model_find(w->applied, n->stat.id);

		n->refs = now ? now->refs : 0;
		n->vague = n->stat.nlink == 0;
	}
	model_copy(w->applied, durable);
	model_drop_unused(w->applied);
}

static size_t collect(const struct request_queue *queue, struct job **to, size_t count)
{
	for (struct zn_request *r = queue->first; r; r = r->priv.next)
		to[count++] = container_of(r, struct job, req);
	return count;
}

static void batch_fails(struct world *w)
{
	struct job *waiting[JOBS_MAX + 8];
	struct log_batch *b = w->batch;
	size_t count = 0;

	world_trace(w, "batch fails");
	sim_disk_write_part(&w->disk, b->file, b->offset, b->bytes, b->bytes_count,
			    (enum power_cut_mode)rng_below(&w->rng, CUT_MODES));
	count = collect(&w->engine.inflight_waiters, waiting, count);
	count = collect(&w->engine.pending_waiters, waiting, count);
	count = collect(&w->engine.stalled, waiting, count);
	model_fails(w);
	for (size_t i = 0; i < count; i++) {
		if (!waiting[i]->stalled)
			job_drop_refs(w, waiting[i]);
	}
	w->batch = NULL;
	engine_committed(&w->engine, b, -EIO);
	for (size_t i = 0; i < count; i++)
		job_ran_again(w, waiting[i]);
	close_retired(w);
	if (w->engine.zxid_applied != w->base->zxid)
		world_fail(w, "after a failed write: at 0x%" PRIx64 ", durable is 0x%" PRIx64,
			   w->engine.zxid_applied, w->base->zxid);
	engine_check(&w->engine);
}

static void event_batch(struct world *w)
{
	if (!w->batch)
		return;
	if (w->failing_writes && rng_chance(&w->rng, 30))
		batch_fails(w);
	else
		batch_arrives(w);
	/* The next batch goes out before the replies of this one. */
	begin_batch(w);
	deliver(w);
}

static void event_prepare_begin(struct world *w)
{
	if (!w->preparing)
		w->preparing = engine_spare(&w->engine, &w->preparing_segment, &w->preparing_bytes);
}

static void event_prepare_end(struct world *w)
{
	struct job *stalled[JOBS_MAX + 8];
	struct disk_file *file = NULL;
	size_t count = collect(&w->engine.stalled, stalled, 0);
	int r;

	if (!w->preparing)
		return;
	w->preparing = false;
	r = w->disk.disk.ops->prepare(&w->disk.disk, w->preparing_segment, w->preparing_bytes,
				      &file);
	world_trace(w, "segment %" PRIu64 " prepared: %d", w->preparing_segment, r);
	engine_spare_done(&w->engine, file, r);
	for (size_t i = 0; i < count; i++)
		after_run(w, stalled[i]);
	deliver(w);
}

/* --- crash and recovery ------------------------------------------------------------------------ */

static void release_queue(struct request_queue *queue)
{
	while (queue->first) {
		struct zn_request *r = queue->first;

		queue->first = r->priv.next;
		if (r->priv.release)
			r->priv.release(r->priv.hold);
	}
}

/* The process is gone: its memory with it. Nothing of this reaches disk or clients. */
static void bury(struct world *w)
{
	struct request_queue done = engine_completed(&w->engine);

	w->dead = true;
	complete(&done);
	w->dead = false;
	if (w->batch)
		log_release(&w->engine.log, w->batch);
	w->batch = NULL;
	w->engine.inflight = NULL;
	release_queue(&w->engine.inflight_waiters);
	release_queue(&w->engine.pending_waiters);
	release_queue(&w->engine.stalled);
	while (w->jobs)
		job_free(w->jobs);
	close_retired(w);
	engine_close(&w->engine);
	w->engine_open = false;
	w->preparing = false;
	w->handed_count = 0;
	if (w->disk.open_files != 0)
		world_fail(w, "%u files were left open", w->disk.open_files);
}

static void crash(struct world *w)
{
	enum power_cut_mode mode = (enum power_cut_mode)rng_below(&w->rng, CUT_MODES);
	bool power = rng_chance(&w->rng, 700);
	const struct log_batch *b = w->batch;

	world_trace(w, "crash: %s, mode %d", power ? "power cut" : "killed", mode);
	w->crashes++;
	if (b && (power || rng_chance(&w->rng, 700)))
		sim_disk_write_part(&w->disk, b->file, b->offset, b->bytes, b->bytes_count,
				    power ? CUT_KEEP_ALL : CUT_PREFIX);
	if (w->preparing)
		sim_disk_half_prepare(&w->disk, w->preparing_segment, w->preparing_bytes);
	if (w->engine_open)
		bury(w);
	if (power)
		sim_disk_power_cut(&w->disk, mode);
}

/* Is what was recovered right? Sets the base to it. */
static void check_recovered(struct world *w)
{
	uint64_t zxid = w->engine.zxid_durable;
	uint64_t state = zxid;

	world_trace(w, "recovered 0x%" PRIx64 ", acknowledged 0x%" PRIx64, zxid, w->acknowledged);
	if (zxid < w->acknowledged)
		world_fail(w, "recovered to 0x%" PRIx64 ", but 0x%" PRIx64 " was acknowledged",
			   zxid, w->acknowledged);
	if (w->epoch_pending && zxid == w->epoch_pending)
		state = w->epoch_after;
	if (!history_has(w, state))
		world_fail(w, "recovered to 0x%" PRIx64 ", which never was", zxid);
	history_advance(w, state, false);
	w->base->zxid = zxid;
	/* It was synced before it was believed, so it does not go away again. */
	w->acknowledged = zxid;
	if (state != zxid)
		history_cut(w);
	tree_check_all(w, w->base);
	engine_check(&w->engine);
	if (w->engine.zxid_applied <= w->given_zxid)
		world_fail(w, "the new epoch 0x%" PRIx64 " is not above 0x%" PRIx64,
			   w->engine.zxid_applied, w->given_zxid);
	if (w->engine.tree.next_id <= w->given_id)
		world_fail(w, "the next id %" PRIu64 " was given before", w->engine.tree.next_id);
	w->epoch_pending = w->engine.zxid_applied;
	w->epoch_after = zxid;
}

static void open_engine(struct world *w)
{
	char error[RECOVER_ERROR_BYTES] = "";
	int r;

	w->disk.fail_in = rng_chance(&w->rng, 150) ? 1 + rng_below(&w->rng, 30) : 0;
	r = engine_open(&w->engine, &w->disk.disk, &w->opt, error);
	if (r == -EIO && w->disk.fail_in == 0) {
		world_trace(w, "recovery met an error: %s", error);
		if (w->disk.open_files != 0)
			world_fail(w, "%u files were left open by a failed recovery",
				   w->disk.open_files);
		if (rng_chance(&w->rng, 300))
			sim_disk_power_cut(&w->disk, CUT_RANDOM);
		r = engine_open(&w->engine, &w->disk.disk, &w->opt, error);
	}
	w->disk.fail_in = 0;
	if (r < 0)
		world_fail(w, "recovery refuses with %d: %s", r, error);
	w->engine_open = true;
	check_recovered(w);
}

/* The new epoch becomes durable; or it does not, and all begins again. */
static bool commit_epoch(struct world *w)
{
	w->disk.full = false;
	while (!w->batch) {
		begin_batch(w);
		if (w->batch)
			break;
		event_prepare_begin(w);
		if (!w->preparing)
			world_fail(w, "the epoch cannot be written and no segment is wanted");
		if (rng_chance(&w->rng, 150))
			return false;
		event_prepare_end(w);
	}
	if (rng_chance(&w->rng, 200))
		return false;
	model_fini(w->applied);
	history_cut(w);
	sim_disk_write(&w->disk, w->batch->file, w->batch->offset, w->batch->bytes,
		       w->batch->bytes_count);
	sim_disk_sync_range(&w->disk, w->batch->file, w->batch->offset, w->batch->bytes_count);
	engine_committed(&w->engine, w->batch, 0);
	w->batch = NULL;
	close_retired(w);
	w->base->zxid = w->engine.zxid_durable;
	w->epoch_pending = 0;
	model_copy(w->applied, w->base);
	for (size_t i = 0; i < w->applied->nodes_count; i++)
		w->applied->nodes[i].refs = 0;
	w->acknowledged = w->engine.zxid_durable;
	return true;
}

static void start(struct world *w)
{
	/* Another block size: what is there is read, and the log goes on in a new segment. */
	if (rng_chance(&w->rng, 50))
		w->disk.disk.block_bytes = w->disk.disk.block_bytes == 4096 ? 8192 : 4096;
	open_engine(w);
	while (!commit_epoch(w)) {
		crash(w);
		open_engine(w);
	}
}

static void event_crash(struct world *w)
{
	crash(w);
	start(w);
}

static void stop_cleanly(struct world *w)
{
	for (unsigned i = 0; i < 1000 && !w->engine.failed; i++) {
		engine_flush(&w->engine);
		begin_batch(w);
		event_prepare_begin(w);
		event_prepare_end(w);
		if (w->batch)
			batch_arrives(w);
		deliver(w);
		if (w->jobs_count == 0 && w->engine.zxid_durable == w->engine.zxid_applied)
			break;
	}
	if (w->jobs_count > 0)
		world_fail(w, "%u requests are never answered; one is %s", w->jobs_count,
			   job_text(w->jobs));
	bury(w);
}

static void step(struct world *w)
{
	unsigned dice = rng_below(&w->rng, 1000);

	if (dice < w->crash_per_mille || (w->engine.failed && dice < 100)) {
		event_crash(w);
	} else if (dice < 550) {
		event_submit(w);
	} else if (dice < 800) {
		event_batch(w);
	} else if (dice < 900) {
		event_prepare_end(w);
	} else if (dice < 950) {
		engine_flush(&w->engine);
	} else if (dice < 970) {
		engine_spare_retry(&w->engine);
	} else if (w->filling_disk) {
		w->disk.full = rng_chance(&w->rng, 700);
	}
	begin_batch(w);
	event_prepare_begin(w);
}

static void choose(struct world *w)
{
	static const uint64_t segments[] = { 65536, 65536, 131072, 262144 };

	w->failing_writes = rng_chance(&w->rng, 200);
	w->filling_disk = rng_chance(&w->rng, 250);
	w->little_memory = rng_chance(&w->rng, 100);
	w->crash_per_mille = 5 + rng_below(&w->rng, 20);
	w->opt = (struct engine_options){
		.relaxed = rng_chance(&w->rng, 250),
		.segment_bytes = segments[rng_below(&w->rng, ARRAY_SIZE(segments))],
		.max_memory = w->little_memory ? 40000 : UINT64_C(1) << 30,
	};
	w->data_bytes_max = w->opt.segment_bytes == 262144 ? 90000 : 20000;
	w->opt.max_data = w->data_bytes_max;
	sim_disk_init(&w->disk, rng_next(&w->rng), 4096);
}

static struct model *model_new(uint64_t data_max)
{
	struct model *m = calloc(1, sizeof(*m));

	ZN_ASSERT(m != NULL);
	model_init(m, data_max);
	return m;
}

void world_run(struct world *w)
{
	unsigned steps;

	w->rng.state = w->seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	choose(w);
	w->base = model_new(w->opt.max_data);
	w->applied = model_new(w->opt.max_data);
	w->scratch = model_new(w->opt.max_data);
	steps = 200 + rng_below(&w->rng, 1200);
	start(w);
	for (unsigned i = 0; i < steps && !w->disk.segments[SEGMENTS_ENOUGH]; i++) {
		step(w);
		if (i % 32 == 0)
			engine_check(&w->engine);
	}
	w->disk.full = false;
	if (w->engine.failed)
		crash(w);
	else
		stop_cleanly(w);
	open_engine(w);
	bury(w);
}

static void model_free(struct model *m)
{
	if (m)
		model_fini(m);
	free(m);
}

void world_free(struct world *w)
{
	history_cut(w);
	free(w->history);
	model_free(w->base);
	model_free(w->applied);
	model_free(w->scratch);
	sim_disk_fini(&w->disk);
}
