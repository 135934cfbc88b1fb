/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle: the two moments of a request. When the engine has run it, the model runs it too and the
 * outcomes are compared. When it is completed, what was promised by that is checked: a strict
 * transaction is durable, and no answer shows what a crash could take back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

void handed_add(struct world *w, uint64_t id)
{
	for (size_t i = 0; i < w->handed_count; i++) {
		if (w->handed[i].id == id) {
			w->handed[i].count++;
			return;
		}
	}
	ZN_ASSERT(w->handed_count < HANDED_MAX);
	w->handed[w->handed_count].id = id;
	w->handed[w->handed_count++].count = 1;
}

typedef void ref_fn(struct world *w, uint64_t id);

/* For each look-up reference that an answer carries. */
static void for_each_ref(struct world *w, const struct job *job, ref_fn *fn)
{
	const struct zn_request *req = &job->req;

	if (!(req->flags & ZN_REQ_REF) || req->result < 0)
		return;
	if (req->type == ZN_LOOKUP)
		fn(w, req->stat.id);
	for (unsigned i = 0; i < req->ops_count; i++) {
		if (req->ops[i].type == ZN_OP_CREATE || req->ops[i].type == ZN_OP_LINK)
			fn(w, req->ops[i].stat.id);
	}
	if (req->type == ZN_READDIR && req->flags & ZN_REQ_READDIR_STAT) {
		for (size_t at = 0; at < req->entries_bytes;) {
			const struct zn_dirent *e = (const void *)((const char *)req->buffer + at);

			fn(w, e->id);
			at += e->bytes;
		}
	}
}

static void take_model_ref(struct world *w, uint64_t id)
{
	/* A node that the same transaction deleted again is not there to be held. */
	if (model_find(w->applied, id))
		model_ref(w->applied, id);
}

static void give_handed(struct world *w, uint64_t id)
{
	if (model_find(w->applied, id))
		handed_add(w, id);
}

static void drop_model_ref(struct world *w, uint64_t id)
{
	model_forget(w->applied, id, 1);
}

static void check_op_stats(struct world *w, const struct job *job, const struct zn_stat *stats)
{
	for (unsigned i = 0; i < job->req.ops_count; i++) {
		const char *field = NULL;

		if (job->ops[i].type != ZN_OP_DELETE)
			field = model_stat_differs(&job->ops[i].stat, &stats[i]);
		if (field)
			world_fail(w, "operation %u's stat differs in %s from the model's: %s", i,
				   field, job_text(job));
	}
}

/* Ids and zxids that clients learn are new. */
static void check_new(struct world *w, const struct job *job)
{
	uint64_t last = w->given_id;

	if (job->zxid <= w->given_zxid)
		world_fail(w, "zxid 0x%" PRIx64 " is given again: %s", job->zxid, job_text(job));
	for (unsigned i = 0; i < job->req.ops_count; i++) {
		if (job->ops[i].type != ZN_OP_CREATE)
			continue;
		if (job->ops[i].id <= last)
			world_fail(w, "id %" PRIu64 " is given again: %s", job->ops[i].id,
				   job_text(job));
		last = job->ops[i].id;
	}
}

static void check_result(struct world *w, const struct job *job, int expected)
{
	if (job->req.result != expected)
		world_fail(w, "result %d, the model says %d: %s", job->req.result, expected,
			   job_text(job));
}

/* The change of an unlinked node is durable as far as it ever will be. */
static void volatile_ran(struct world *w, struct job *job, uint64_t id)
{
	struct zn_stat stats[JOB_OPS_MAX];
	struct model_node *n = model_find(w->applied, id);
	uint64_t zxid = n->changed;
	int r;

	job->met_unlinked = true;
	if (n->vague)
		return;
	r = model_apply(w->applied, zxid, job->time_ns, job->ops, job->req.ops_count, stats);
	check_result(w, job, r);
	if (r == 0)
		check_op_stats(w, job, stats);
}

/* Is there a reason to refuse for want of room? The model has none of its own. */
static bool may_want_room(const struct world *w, const struct job *job)
{
	uint64_t bytes = 1000;

	for (unsigned i = 0; i < job->req.ops_count; i++)
		bytes += job->ops[i].data.bytes + job->ops[i].offset + 1000;
	return w->engine.log.spare_error < 0 ||
	       (w->little_memory && w->engine.tree.memory + bytes > w->engine.tree.memory_max);
}

static void txn_ran(struct world *w, struct job *job, bool engine_failed)
{
	struct zn_stat stats[JOB_OPS_MAX];
	const struct model_node *n = model_volatile(w->applied, job->ops, job->req.ops_count);
	int r;

	if (job->req.result == -ENOSPC && may_want_room(w, job)) {
		job->refused_room = true;
		return;
	}
	if (n) {
		volatile_ran(w, job, n->stat.id);
		return;
	}
	if (engine_failed) {
		check_result(w, job, -EROFS);
		job->refused_room = true;
		return;
	}
	job->zxid = w->applied->zxid + 1;
	r = model_apply(w->applied, job->zxid, job->time_ns, job->ops, job->req.ops_count, stats);
	check_result(w, job, r);
	if (r < 0) {
		job->zxid = 0;
		return;
	}
	w->applied->zxid = job->zxid;
	w->transactions++;
	check_op_stats(w, job, stats);
	check_new(w, job);
	history_add(w, job);
	for_each_ref(w, job, take_model_ref);
}

/*
 * Does it name a node that is not there? Nobody may who holds no reference, so such an answer is not
 * held back until that is durable.
 */
static bool names_unknown(const struct world *w, const struct job *job)
{
	bool unknown = false;

	for (unsigned i = 0; i < job->req.ops_count; i++) {
		const struct zn_op *op = &job->ops[i];

		if (op->id != 0 && op->type != ZN_OP_CREATE)
			unknown |= !model_find(w->applied, op->id);
		if (op->parent != 0)
			unknown |= !model_find(w->applied, op->parent);
		if (op->new_parent != 0)
			unknown |= !model_find(w->applied, op->new_parent);
	}
	return unknown;
}

void job_ran(struct world *w, struct job *job, bool engine_failed)
{
	const struct model_node *n = model_find(w->applied, job->req.id);

	job->time_ns = w->disk.clock_ns;
	job->at = w->applied->zxid;
	job->unknown_id = job->req.type == ZN_TXN ? names_unknown(w, job) : !n;
	job->met_unlinked = n && n->stat.nlink == 0;
	switch (job->req.type) {
	case ZN_TXN:
		txn_ran(w, job, engine_failed);
		break;
	case ZN_FORGET:
		model_forget(w->applied, job->req.id, job->req.count);
		break;
	case ZN_SYNC:
		check_result(w, job, engine_failed ? -EIO : job->req.id && !n ? -ENOENT : 0);
		job->zxid = n ? n->changed : job->req.id ? 0 : w->applied->zxid;
		break;
	default:
		answer_check(w, w->applied, job, "when it ran");
		for_each_ref(w, job, take_model_ref);
		break;
	}
	job->digest = answer_digest(job);
}

/* The log has failed: what waited was refused, or answered again from the durable state. */
void job_ran_again(struct world *w, struct job *job)
{
	struct zn_request *req = &job->req;

	if (req->type == ZN_TXN || req->type == ZN_SYNC) {
		check_result(w, job, -EIO);
		job->zxid = 0;
		job->refused_room = true;
		job->digest = answer_digest(job);
		return;
	}
	job_ran(w, job, true);
}

static void check_gate(struct world *w, struct job *job)
{
	struct zn_stat stats[JOB_OPS_MAX];
	int r;

	/* The same answer must come from what was durable when it left. */
	if (w->opt.relaxed || job->at <= w->engine.zxid_durable || job->refused_room ||
	    job->unknown_id || job->met_unlinked)
		return;
	if (w->base->zxid != w->engine.zxid_durable)
		world_fail(w, "simulation: base is not where durable is");
	if (job->req.type != ZN_TXN) {
		answer_check(w, w->base, job, "shows what is not durable");
		return;
	}
	if (job->req.result == 0)
		return;
	model_copy(w->scratch, w->base);
	r = model_apply(w->scratch, w->scratch->zxid + 1, 0, job->ops, job->req.ops_count, stats);
	if (r != job->req.result)
		world_fail(w, "refused with %d by what is not durable (there: %d): %s",
			   job->req.result, r, job_text(job));
}

static void txn_done(struct world *w, const struct job *job)
{
	bool lazy = w->opt.relaxed || job->req.flags & ZN_REQ_LAZY;

	if (job->req.result < 0 || job->zxid == 0)
		return;
	if (!lazy && w->engine.zxid_durable < job->zxid)
		world_fail(w, "acknowledged at 0x%" PRIx64 " before it is durable: %s",
			   w->engine.zxid_durable, job_text(job));
	if (!lazy)
		w->acknowledged = zn_max_u64(w->acknowledged, job->zxid);
	w->given_zxid = zn_max_u64(w->given_zxid, job->zxid);
	for (unsigned i = 0; i < job->req.ops_count; i++) {
		if (job->ops[i].type == ZN_OP_CREATE)
			w->given_id = zn_max_u64(w->given_id, job->ops[i].id);
	}
}

static void sync_done(struct world *w, const struct job *job)
{
	if (job->req.result < 0)
		return;
	if (w->engine.zxid_durable < job->zxid)
		world_fail(w, "synced at 0x%" PRIx64 " before 0x%" PRIx64 " is durable: %s",
			   w->engine.zxid_durable, job->zxid, job_text(job));
	w->acknowledged = zn_max_u64(w->acknowledged, job->zxid);
}

void job_done(struct zn_request *req)
{
	struct job *job = container_of(req, struct job, req);
	struct world *w = job->world;

	if (!w->dead) {
		world_trace(w, "done %s: %d", job_text(job), req->result);
		if (answer_digest(job) != job->digest)
			world_fail(w, "the answer changed while it waited: %s", job_text(job));
		check_gate(w, job);
		if (req->type == ZN_TXN)
			txn_done(w, job);
		if (req->type == ZN_SYNC)
			sync_done(w, job);
		for_each_ref(w, job, give_handed);
	}
	job_free(job);
}

void job_drop_refs(struct world *w, const struct job *job)
{
	for_each_ref(w, job, drop_model_ref);
}
