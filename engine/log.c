/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: a queue of batches. Usually there is one, being filled while the one before it is on its way
 * to the disk; another is started when a record does not fit. A batch knows its place only when it is
 * taken, and only then the segment's and its own numbers are final, so checksums are left to
 * log_seal(), which the committing thread does outside the lock.
 */
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int log_init(struct log *log, uint32_t block_bytes, uint64_t segment_bytes,
	     const struct log_position *at)
{
	ZN_ASSERT(block_bytes >= 512 && (block_bytes & (block_bytes - 1)) == 0);
	*log = (struct log){
		.block_bytes = block_bytes,
		.segment_bytes = segment_bytes,
		.store_id = at->store_id,
		.current = at->current,
		.offset = at->offset,
		.current_closed = at->current_closed,
		.head_durable = at->current != NULL,
		.spare = at->spare,
		.spare_state = at->spare ? LOG_SPARE_READY : LOG_SPARE_WANTED,
		.sequence = at->sequence,
		.chain = at->chain,
		.last_zxid = at->last_zxid,
		.previous_end = at->previous_end,
		.buffer_bytes = block_bytes +
				zn_align_up(sizeof(struct batch_head) + LOG_BUFFER_RECORDS_BYTES,
					    block_bytes),
	};
	for (unsigned i = 0; i < LOG_BUFFERS; i++) {
		log->buffers[i] = aligned_alloc(block_bytes, log->buffer_bytes);
		if (!log->buffers[i]) {
			log_fini(log);
			return -ENOMEM;
		}
		log->buffers_free |= 1U << i;
	}
	return 0;
}

void log_fini(struct log *log)
{
	log_drop_pending(log);
	for (unsigned i = 0; i < LOG_BUFFERS; i++)
		free(log->buffers[i]);
	*log = (struct log){ 0 };
}

/* What a batch of @records_bytes takes in a segment. */
static uint64_t batch_bytes(const struct log *log, uint64_t records_bytes)
{
	return zn_align_up(sizeof(struct batch_head) + records_bytes, log->block_bytes);
}

uint64_t log_record_bytes_max(const struct log *log)
{
	return log->segment_bytes - 2 * log->block_bytes - sizeof(struct batch_head);
}

static uint64_t segment_room(const struct log *log)
{
	if (!log->current || log->current_closed)
		return 0;
	return log->current->bytes - (log->offset ? log->offset : log->block_bytes);
}

/*
 * A record joins the last batch if it fits into the memory, and if the batch stays short enough to
 * go into one segment whatever its size.
 */
static bool fits(const struct log *log, const struct log_batch *b, uint64_t bytes)
{
	uint64_t records = b->records_bytes + bytes;

	return b->records_count == 0
		       ? log->block_bytes + batch_bytes(log, bytes) <= b->memory_bytes
		       : log->block_bytes + batch_bytes(log, records) <= b->memory_bytes &&
				 records <= log_record_bytes_max(log);
}

/* Where a batch would go. */
struct place {
	uint64_t room;  /* in the segment */
	uint64_t spare; /* what the prepared one has, 0 if there is none or it is in use already */
};

/* As log_take() does it: what does not fit goes to the prepared segment. */
static bool place_batch(const struct log *log, struct place *place, uint64_t records_bytes)
{
	uint64_t need = batch_bytes(log, records_bytes);

	if (need > place->room) {
		place->room = place->spare;
		place->spare = 0;
	}
	if (need > place->room)
		return false;
	place->room -= need;
	return true;
}

bool log_can_take(const struct log *log, uint64_t bytes, uint64_t reserve)
{
	struct place place = { .room = segment_room(log) };
	const struct log_batch *b = log->first;
	bool joins = log->last && fits(log, log->last, bytes);

	if (log->spare_state == LOG_SPARE_READY)
		place.spare = log->spare->bytes - log->block_bytes;
	for (; b; b = b->next) {
		if (!place_batch(log, &place, b->records_bytes + (joins && !b->next ? bytes : 0)))
			return false;
	}
	if (!joins && !place_batch(log, &place, bytes))
		return false;
	return place.room + place.spare >= reserve;
}

void log_drop_pending(struct log *log)
{
	while (log->first) {
		struct log_batch *b = log->first;

		log->first = b->next;
		log_release(log, b);
	}
	log->last = NULL;
	log->pending_bytes = 0;
}

static struct log_batch *batch_new(struct log *log, uint64_t records_bytes)
{
	struct log_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	if (records_bytes <= LOG_BUFFER_RECORDS_BYTES && log->buffers_free) {
		b->buffer = __builtin_ctz(log->buffers_free);
		log->buffers_free &= log->buffers_free - 1;
		b->memory = log->buffers[b->buffer];
		b->memory_bytes = log->buffer_bytes;
		return b;
	}
	b->buffer = -1;
	b->memory_bytes = log->block_bytes +
			  batch_bytes(log, zn_max_u64(records_bytes, LOG_BUFFER_RECORDS_BYTES));
	b->memory = aligned_alloc(log->block_bytes, b->memory_bytes);
	if (!b->memory) {
		free(b);
		return NULL;
	}
	return b;
}

void log_release(struct log *log, struct log_batch *batch)
{
	if (batch->buffer >= 0)
		log->buffers_free |= 1U << batch->buffer;
	else
		free(batch->memory);
	free(batch);
}

unsigned char *log_reserve(struct log *log, uint64_t bytes)
{
	struct log_batch *b = log->last;

	if (!b || !fits(log, b, bytes)) {
		b = batch_new(log, bytes);
		if (!b)
			return NULL;
		if (log->last)
			log->last->next = b;
		else
			log->first = b;
		log->last = b;
	}
	return b->memory + log->block_bytes + sizeof(struct batch_head) + b->records_bytes;
}

void log_append(struct log *log, uint64_t bytes, uint64_t zxid)
{
	struct log_batch *b = log->last;

	ZN_ASSERT(bytes % 8 == 0);
	ZN_ASSERT(fits(log, b, bytes));
	ZN_ASSERT(zxid > b->last_zxid);
	if (b->records_count == 0)
		b->first_zxid = zxid;
	b->last_zxid = zxid;
	b->records_bytes += (uint32_t)bytes;
	b->records_count++;
	log->pending_bytes += bytes;
}

bool log_wants_spare(const struct log *log)
{
	return log->spare_state == LOG_SPARE_WANTED && (!log->current || log->head_durable);
}

uint64_t log_next_segment(const struct log *log)
{
	return log->current ? log->current->segment + 1 : 1;
}

void log_spare_done(struct log *log, struct disk_file *file, int result)
{
	ZN_ASSERT(log->spare_state == LOG_SPARE_UNDER_WAY);
	ZN_ASSERT(!log->spare);
	log->spare = file;
	log->spare_error = result;
	log->spare_state = file ? LOG_SPARE_READY : LOG_SPARE_FAILED;
}

/* The prepared segment becomes the current one. Returns the old one; NULL if there was none. */
static struct disk_file *switch_segment(struct log *log)
{
	struct disk_file *old = log->current;

	log->previous_end = old ? log->offset : 0;
	log->current = log->spare;
	log->current_closed = false;
	log->head_durable = false;
	log->offset = 0;
	log->spare = NULL;
	log->spare_state = LOG_SPARE_WANTED;
	return old;
}

struct log_batch *log_take(struct log *log, struct disk_file **ret_retired)
{
	struct log_batch *b = log->first;
	uint64_t bytes;

	*ret_retired = NULL;
	/* An unused reservation may have left an empty batch in front. */
	while (b && b->records_count == 0 && b->next) {
		log->first = b->next;
		log_release(log, b);
		b = log->first;
	}
	if (!b || b->records_count == 0)
		return NULL;
	bytes = batch_bytes(log, b->records_bytes);
	if (bytes > segment_room(log)) {
		if (log->spare_state != LOG_SPARE_READY)
			return NULL;
		*ret_retired = switch_segment(log);
	}
	ZN_ASSERT(bytes <= segment_room(log));
	log->first = b->next;
	if (!log->first)
		log->last = NULL;
	b->next = NULL;
	log->pending_bytes -= b->records_bytes;
	b->starts_segment = log->offset == 0;
	b->sequence = ++log->sequence;
	b->file = log->current;
	b->offset = log->offset;
	b->bytes_count = bytes + (b->starts_segment ? log->block_bytes : 0);
	b->bytes = b->memory + (b->starts_segment ? 0 : log->block_bytes);
	log->offset += b->bytes_count;
	return b;
}

static void seal_segment(const struct log *log, struct log_batch *b, int64_t now_ns)
{
	struct segment_head head = {
		.magic = to_le32(SEGMENT_MAGIC),
		.version = to_le16(LOG_FORMAT_VERSION),
		.head_bytes = to_le16(sizeof(head)),
		.segment = to_le64(b->file->segment),
		.segment_bytes = to_le64(b->file->bytes),
		.block_bytes = to_le32(log->block_bytes),
		.store_id = to_le64(log->store_id),
		.first_sequence = to_le64(b->sequence),
		.base_zxid = to_le64(log->last_zxid),
		.previous_end = to_le64(log->previous_end),
		.previous_chain = to_le64(log->chain),
		.created_ns = to_le64((uint64_t)now_ns),
	};

	head.checksum = to_le64(XXH3_64bits_withSeed(&head, offsetof(struct segment_head, checksum),
						     log->store_id));
	memset(b->memory, 0, log->block_bytes);
	memcpy(b->memory, &head, sizeof(head));
}

void log_seal(struct log *log, struct log_batch *b, int64_t now_ns)
{
	unsigned char *batch = b->memory + log->block_bytes;
	unsigned char *records = batch + sizeof(struct batch_head);
	size_t whole = batch_bytes(log, b->records_bytes);
	struct batch_head head = {
		.magic = to_le32(BATCH_MAGIC),
		.version = to_le16(LOG_FORMAT_VERSION),
		.head_bytes = to_le16(sizeof(head)),
		.batch_bytes = to_le32((uint32_t)whole),
		.records_bytes = to_le32(b->records_bytes),
		.records_count = to_le32(b->records_count),
		.segment = to_le64(b->file->segment),
		.sequence = to_le64(b->sequence),
		.first_zxid = to_le64(b->first_zxid),
		.last_zxid = to_le64(b->last_zxid),
		.chain = to_le64(log->chain),
	};

	if (b->starts_segment)
		seal_segment(log, b, now_ns);
	for (uint32_t at = 0; at < b->records_bytes;)
		at += record_seal(records + at, b->file->segment, log->store_id);
	memset(records + b->records_bytes, 0, whole - sizeof(head) - b->records_bytes);
	head.body_checksum = to_le64(
		XXH3_64bits_withSeed(records, whole - sizeof(head), log->store_id));
	head.checksum = to_le64(
		XXH3_64bits_withSeed(&head, offsetof(struct batch_head, checksum), log->store_id));
	memcpy(batch, &head, sizeof(head));
	log->chain = from_le64(head.checksum);
	log->last_zxid = b->last_zxid;
}
