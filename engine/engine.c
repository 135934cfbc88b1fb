/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine: mutations and the gate. A transaction is measured, checked for room in the log, applied with
 * undo steps, and encoded into the batch being formed; it is answered when that batch is durable. Any
 * other answer carries the highest zxid it saw, and waits for that in the same way (P2). With
 * relaxed durability only SYNC waits.
 *
 * If the log fails, the tree goes back to the last durable transaction: reads go on from there, and
 * those that waited are asked again.
 */
#include "engine.h"

#include <errno.h>
#include <string.h>

#include "read.h"
#include "recover.h"
#include "txn.h"

/* A new epoch skips so many ids: none that was given out without becoming durable comes again. */
#define EPOCH_ID_GAP (UINT64_C(1) << 20)
/* Pending bytes past which a transaction waits for its batch even if it is lazy. */
#define PENDING_BYTES_MAX (UINT64_C(4) << 20)
/* Pending bytes past which a batch goes out though nobody waits. */
#define PENDING_BYTES_FLUSH (UINT64_C(512) << 10)
/* A create takes more than 64 bytes of a record, so no more of them than this can be lost in a crash. */
static_assert(PENDING_BYTES_MAX / 64 < EPOCH_ID_GAP / 4, "an epoch skips all ids that may be lost");

static void queue_push(struct request_queue *queue, struct zn_request *req)
{
	req->priv.next = NULL;
	if (queue->last)
		queue->last->priv.next = req;
	else
		queue->first = req;
	queue->last = req;
	queue->count++;
}

static struct zn_request *queue_pop(struct request_queue *queue)
{
	struct zn_request *req = queue->first;

	if (!req)
		return NULL;
	queue->first = req->priv.next;
	if (!queue->first)
		queue->last = NULL;
	queue->count--;
	return req;
}

static void queue_append(struct request_queue *to, struct request_queue *from)
{
	if (!from->first)
		return;
	if (to->last)
		to->last->priv.next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	to->count += from->count;
	*from = (struct request_queue){ 0 };
}

/* The answer stands in @req; it leaves when @zxid is durable. */
static void answer(struct engine *engine, struct zn_request *req, uint64_t zxid)
{
	req->priv.zxid = zxid;
	if (zxid <= engine->zxid_durable)
		queue_push(&engine->done, req);
	else if (engine->inflight && zxid <= engine->inflight->last_zxid)
		queue_push(&engine->inflight_waiters, req);
	else
		queue_push(&engine->pending_waiters, req);
}

/* The same where relaxed durability does not wait. */
static void answer_gated(struct engine *engine, struct zn_request *req, uint64_t zxid)
{
	answer(engine, req, engine->opt.relaxed ? 0 : zxid);
}

static void submit_sync(struct engine *engine, struct zn_request *req)
{
	const struct node *node = req->id ? tree_find(&engine->tree, req->id) : NULL;

	/* What was acknowledged without waiting may be among what was lost. */
	if (engine->failed)
		req->result = -EIO;
	else if (req->id && !node)
		req->result = -ENOENT;
	else
		req->result = 0;
	if (engine->opt.relaxed && req->flags & ZN_REQ_CLOSE)
		answer(engine, req, 0);
	else
		answer(engine, req, node ? node->changed_zxid : req->id ? 0 : engine->zxid_applied);
}

/* Can the log take the record? 0, an error, or -EAGAIN: a segment is being prepared. */
static int check_log(const struct engine *engine, const struct record *record, uint64_t bytes)
{
	/* The last attempt to make a segment failed, and none has succeeded since. */
	bool full = engine->log.spare_error < 0;
	uint64_t reserve = 0;

	if (bytes > log_record_bytes_max(&engine->log))
		return -EFBIG;
	/* While no further segment is there, the rest of this one is kept for what makes room. */
	if (engine->log.spare_state != LOG_SPARE_READY && engine->log.current &&
	    txn_may_grow(&record->txn))
		reserve = engine->log.current->bytes / 4;
	if (log_can_take(&engine->log, bytes, reserve))
		return 0;
	return full ? -ENOSPC : -EAGAIN;
}

/* What is held for transactions that are not durable: records, and what they can be taken back by. */
static uint64_t pending_bytes(const struct engine *engine)
{
	return zn_max_u64(engine->log.pending_bytes, engine->undo.bytes);
}

static void take_refs(struct engine *engine, const struct zn_request *req)
{
	for (unsigned i = 0; i < req->ops_count; i++) {
		const struct zn_op *op = &req->ops[i];

		struct node *node = NULL;

		if (op->type == ZN_OP_CREATE || op->type == ZN_OP_LINK)
			node = tree_find(&engine->tree, op->stat.id);
		if (node) /* a later operation may have deleted it */
			node_ref(node);
	}
}

/* A change to a node that is already unlinked: no crash brings it back, so the log need not know. */
static void submit_volatile(struct engine *engine, struct zn_request *req, struct txn *txn,
			    const struct node *node)
{
	struct undo_mark mark = undo_mark(&engine->undo);
	uint64_t seen;

	txn->is_volatile = true;
	txn->zxid = node->changed_zxid;
	req->result = txn_apply(&engine->tree, txn, &engine->undo, engine->zxid_applied, &seen);
	/* If the log fails, a node whose unlinking is durable keeps what was done to it. */
	if (txn->zxid <= engine->zxid_durable)
		undo_drop_to(&engine->undo, &engine->tree, mark);
	/* Until the unlinking is durable, a crash could bring back the file as it was. */
	answer_gated(engine, req, req->flags & ZN_REQ_LAZY ? 0 : txn->zxid);
}

static void submit_logged(struct engine *engine, struct zn_request *req, struct record *record)
{
	uint64_t bytes = record_bytes(record);
	unsigned char *to;
	uint64_t seen;
	bool lazy;
	int r = check_log(engine, record, bytes);

	if (r == -EAGAIN) {
		queue_push(&engine->stalled, req);
		engine->flush = true;
		return;
	}
	req->result = r;
	if (r < 0) {
		answer(engine, req, 0);
		return;
	}
	to = log_reserve(&engine->log, bytes);
	req->result = to ? txn_apply(&engine->tree, &record->txn, &engine->undo, record->txn.zxid,
				     &seen)
			 : -ENOMEM;
	if (req->result < 0) {
		answer_gated(engine, req, to ? seen : 0);
		return;
	}
	if (req->flags & ZN_REQ_REF)
		take_refs(engine, req);
	record_encode(record, to);
	log_append(&engine->log, bytes, record->txn.zxid);
	engine->zxid_applied = record->txn.zxid;
	lazy = (engine->opt.relaxed || req->flags & ZN_REQ_LAZY) &&
	       pending_bytes(engine) <= PENDING_BYTES_MAX;
	answer(engine, req, lazy ? 0 : record->txn.zxid);
}

static void submit_txn(struct engine *engine, struct zn_request *req)
{
	struct record record = {
		.txn = {
			.zxid = engine->zxid_applied + 1,
			.time_ns = engine->disk->ops->now_ns(engine->disk),
			.ops = req->ops,
			.ops_count = req->ops_count,
		},
	};
	const struct node *node;

	req->result = txn_check_shape(&record.txn);
	if (req->result < 0) {
		answer(engine, req, 0);
		return;
	}
	for (unsigned i = 0; i < req->ops_count; i++) {
		if (req->ops[i].type == ZN_OP_CREATE)
			req->ops[i].id = 0;
	}
	node = txn_volatile_node(&engine->tree, &record.txn);
	if (node) {
		submit_volatile(engine, req, &record.txn, node);
	} else if (engine->failed) {
		req->result = -EROFS;
		answer(engine, req, 0);
	} else if (engine->stalled.first) {
		queue_push(&engine->stalled, req);
	} else {
		submit_logged(engine, req, &record);
	}
}

static void submit_forget(struct engine *engine, struct zn_request *req)
{
	struct node *node = tree_find(&engine->tree, req->id);

	/* A node that went with a failed log took its references along. */
	if (node)
		txn_forget(&engine->tree, &engine->undo, engine->zxid_applied, node,
			   zn_min_u64(req->count, node->refs));
	req->result = 0;
	answer(engine, req, 0);
}

static void submit_statfs(const struct engine *engine, struct zn_request *req)
{
	req->statfs = (struct zn_statfs){
		.nodes = engine->tree.nodes.count,
		.bytes = engine->tree.memory,
		.bytes_max = engine->tree.memory_max,
	};
	req->result = 0;
}

void engine_submit(struct engine *engine, struct zn_request *req)
{
	req->priv.hold = NULL;
	req->priv.release = NULL;
	req->priv.bytes = req->bytes;
	switch (req->type) {
	case ZN_TXN:
		submit_txn(engine, req);
		break;
	case ZN_SYNC:
		submit_sync(engine, req);
		break;
	case ZN_FORGET:
		submit_forget(engine, req);
		break;
	case ZN_STATFS:
		submit_statfs(engine, req);
		answer(engine, req, 0);
		break;
	case ZN_STATS:
		engine_stats(engine, &req->stats);
		req->result = 0;
		answer(engine, req, 0);
		break;
	case ZN_LOOKUP:
	case ZN_STAT:
	case ZN_READ:
	case ZN_READDIR:
	case ZN_GETXATTR:
	case ZN_LISTXATTR:
	case ZN_PATH:
		answer_gated(engine, req, read_tree(&engine->tree, req));
		break;
	}
}

/* The log has changed: what did not find room may find it now. */
static void retry_stalled(struct engine *engine)
{
	struct request_queue stalled = engine->stalled;
	struct zn_request *req;

	engine->stalled = (struct request_queue){ 0 };
	while ((req = queue_pop(&stalled)) != NULL)
		engine_submit(engine, req);
}

bool engine_wants_commit(const struct engine *engine)
{
	const struct log *log = &engine->log;

	if (engine->inflight || engine->failed || !log_has_pending(log))
		return false;
	return engine->pending_waiters.first || engine->flush || log->first != log->last ||
	       pending_bytes(engine) >= PENDING_BYTES_FLUSH;
}

/* Who waits for what the batch brings now waits for the batch. */
static void move_waiters(struct engine *engine, uint64_t zxid)
{
	struct request_queue later = { 0 };
	struct zn_request *req;

	if (!log_has_pending(&engine->log)) {
		queue_append(&engine->inflight_waiters, &engine->pending_waiters);
		return;
	}
	while ((req = queue_pop(&engine->pending_waiters)) != NULL)
		queue_push(req->priv.zxid <= zxid ? &engine->inflight_waiters : &later, req);
	engine->pending_waiters = later;
}

struct log_batch *engine_take(struct engine *engine, struct disk_file **ret_retired)
{
	struct log_batch *batch;

	*ret_retired = NULL;
	if (!engine_wants_commit(engine))
		return NULL;
	batch = log_take(&engine->log, ret_retired);
	if (!batch)
		return NULL;
	engine->inflight = batch;
	move_waiters(engine, batch->last_zxid);
	if (!log_has_pending(&engine->log))
		engine->flush = false;
	return batch;
}

/* Everything since the last durable transaction never was. */
static void fail(struct engine *engine)
{
	struct request_queue waiting = { 0 };
	struct zn_request *req;

	engine->failed = true;
	engine->flush = false;
	log_drop_pending(&engine->log);
	undo_revert_all(&engine->undo, &engine->tree);
	engine->undo.off = true;
	tree_remove_unused(&engine->tree);
	engine->zxid_applied = engine->zxid_durable;
	queue_append(&waiting, &engine->inflight_waiters);
	queue_append(&waiting, &engine->pending_waiters);
	while ((req = queue_pop(&waiting)) != NULL) {
		if (req->priv.release)
			req->priv.release(req->priv.hold);
		read_drop_refs(&engine->tree, &engine->undo, req);
		if (req->type == ZN_TXN || req->type == ZN_SYNC) {
			req->priv.release = NULL;
			req->result = -EIO;
			queue_push(&engine->done, req);
		} else {
			req->bytes = req->priv.bytes;
			engine_submit(engine, req);
		}
	}
	while ((req = queue_pop(&engine->stalled)) != NULL) {
		req->result = -EIO;
		queue_push(&engine->done, req);
	}
}

void engine_committed(struct engine *engine, struct log_batch *batch, int result)
{
	ZN_ASSERT(batch == engine->inflight);
	engine->inflight = NULL;
	if (result == 0) {
		ZN_ASSERT(batch->last_zxid > engine->zxid_durable);
		engine->zxid_durable = batch->last_zxid;
		engine->log.head_durable |= batch->starts_segment;
		engine->batches++;
		engine->records += batch->records_count;
		engine->log_bytes += batch->bytes_count;
		undo_drop(&engine->undo, &engine->tree, engine->zxid_durable);
		queue_append(&engine->done, &engine->inflight_waiters);
		log_release(&engine->log, batch);
		retry_stalled(engine);
	} else {
		fail(engine);
		log_release(&engine->log, batch);
	}
}

void engine_flush(struct engine *engine)
{
	engine->flush = log_has_pending(&engine->log);
}

bool engine_spare(struct engine *engine, uint64_t *ret_segment, uint64_t *ret_bytes)
{
	if (!engine_wants_spare(engine))
		return false;
	engine->log.spare_state = LOG_SPARE_UNDER_WAY;
	*ret_segment = log_next_segment(&engine->log);
	*ret_bytes = engine->log.segment_bytes;
	return true;
}

void engine_spare_done(struct engine *engine, struct disk_file *file, int result)
{
	log_spare_done(&engine->log, file, result);
	retry_stalled(engine);
}

void engine_spare_retry(struct engine *engine)
{
	if (engine->log.spare_state == LOG_SPARE_FAILED)
		engine->log.spare_state = LOG_SPARE_WANTED;
}

struct request_queue engine_completed(struct engine *engine)
{
	struct request_queue done = engine->done;

	engine->done = (struct request_queue){ 0 };
	return done;
}

void complete(struct request_queue *queue)
{
	struct zn_request *req;

	while ((req = queue_pop(queue)) != NULL) {
		void (*release)(void *hold) = req->priv.release;
		void *hold = req->priv.hold;

		req->done(req); /* may free it */
		if (release)
			release(hold);
	}
}

static int append_epoch(struct engine *engine)
{
	struct record record = {
		.is_epoch = true,
		.epoch_next_id = engine->tree.next_id + EPOCH_ID_GAP,
		.txn.zxid = ((engine->zxid_applied >> 32) + 1) << 32,
		.txn.time_ns = engine->disk->ops->now_ns(engine->disk),
	};
	uint64_t bytes = record_bytes(&record);
	unsigned char *to = log_reserve(&engine->log, bytes);

	if (!to)
		return -ENOMEM;
	record_encode(&record, to);
	log_append(&engine->log, bytes, record.txn.zxid);
	engine->tree.next_id = record.epoch_next_id;
	engine->zxid_applied = record.txn.zxid;
	engine->flush = true;
	return 0;
}

static void close_files(struct engine *engine)
{
	if (engine->log.current)
		engine->disk->ops->close(engine->disk, engine->log.current);
	if (engine->log.spare)
		engine->disk->ops->close(engine->disk, engine->log.spare);
}

int engine_open(struct engine *engine, struct disk *disk, const struct engine_options *opt,
		char *error)
{
	struct log_position at = { 0 };
	int r;

	*engine = (struct engine){ .disk = disk, .opt = *opt };
	undo_init(&engine->undo);
	r = tree_init(&engine->tree, disk->ops->random(disk));
	if (r < 0)
		return r;
	r = recover(disk, &engine->tree, &at, error);
	if (r < 0)
		goto out_tree;
	engine->zxid_applied = at.last_zxid;
	engine->zxid_durable = at.last_zxid;
	/* One that was prepared smaller, or is cut off, holds nothing: it is made again. */
	if (at.spare && at.spare->bytes < opt->segment_bytes) {
		disk->ops->close(disk, at.spare);
		at.spare = NULL;
	}
	r = log_init(&engine->log, disk->block_bytes, opt->segment_bytes, &at);
	if (r < 0)
		goto out_files;
	engine->tree.data_max = opt->max_data;
	engine->tree.memory_max = opt->max_memory;
	r = append_epoch(engine);
	if (r == 0)
		return 0;
	log_fini(&engine->log);
out_files:
	engine->log.current = at.current;
	engine->log.spare = at.spare;
	close_files(engine);
out_tree:
	tree_fini(&engine->tree);
	return r;
}

void engine_close(struct engine *engine)
{
	ZN_ASSERT(!engine->inflight);
	close_files(engine);
	undo_fini(&engine->undo, &engine->tree);
	log_fini(&engine->log);
	tree_fini(&engine->tree);
}

void engine_stats(const struct engine *engine, struct zn_stats *stats)
{
	*stats = (struct zn_stats){
		.zxid_applied = engine->zxid_applied,
		.zxid_durable = engine->zxid_durable,
		.batches = engine->batches,
		.records = engine->records,
		.log_bytes = engine->log_bytes,
		.nodes = engine->tree.nodes.count,
		.bytes = engine->tree.memory,
		.bytes_max = engine->tree.memory_max,
		.segment = engine->log.current ? engine->log.current->segment : 0,
		.waiting = engine->inflight_waiters.count + engine->pending_waiters.count +
			   engine->stalled.count,
		.failed = engine->failed,
		.full = engine->log.spare_error < 0,
	};
}

void engine_check(const struct engine *engine)
{
	tree_check(&engine->tree);
	ZN_ASSERT(engine->zxid_durable <= engine->zxid_applied);
	ZN_ASSERT(engine->inflight || !engine->inflight_waiters.first);
	ZN_ASSERT(engine->failed || log_has_pending(&engine->log) || engine->inflight ||
		  engine->zxid_durable == engine->zxid_applied);
}
