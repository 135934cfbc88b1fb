/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover: reads segment by segment, batch by batch, and applies record by record until a batch is
 * not valid. That is the end of the log if nothing that was written later exists. One batch is on its
 * way at a time, so a later batch proves that the invalid one had been durable: damage. So whatever
 * follows the end is searched for a head with a valid checksum and a higher sequence number, in the
 * rest of the segment and in all segments after it.
 *
 * What is at the end: the batch that was being written when the machine stopped, in any state; at
 * most one segment whose head is still zero (prepared, or its first write was torn).
 */
#include "recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define WINDOW_BYTES (UINT64_C(1) << 20)

struct recovery {
	struct disk *disk;
	struct tree *tree;
	struct undo undo; /* off */
	struct log_position at;
	uint64_t last_zxid;   /* of the last record applied */
	uint32_t block_bytes; /* of the segment being read */
	/* A window onto the file being read. */
	struct disk_file *file;
	unsigned char *buffer;
	size_t buffer_bytes;
	uint64_t window_start;
	uint64_t window_bytes;
	struct zn_op *ops; /* for decoding; grows */
	unsigned ops_room;
	char *error;
};

static void ZN_PRINTF(3, 4) explain(struct recovery *rec, uint64_t segment, const char *format, ...)
{
	int n = snprintf(rec->error, RECOVER_ERROR_BYTES,
			 "%s: ", rec->disk->ops->path(rec->disk, segment));
	va_list args;

	if (n < 0 || n >= RECOVER_ERROR_BYTES)
		return;
	va_start(args, format);
	(void)vsnprintf(rec->error + n, RECOVER_ERROR_BYTES - (size_t)n, format, args);
	va_end(args);
}

/* Says why, and is @result: return refuse(rec, -EBADMSG, segment, "offset ..."); */
#define refuse(rec, result, segment, ...) (explain(rec, segment, __VA_ARGS__), (result))

/* @bytes at @offset of the file, both multiples of the block and inside it. Valid until the next. */
static int window_get(struct recovery *rec, uint64_t offset, uint64_t bytes,
		      const unsigned char **ret_bytes)
{
	uint64_t end = rec->window_start + rec->window_bytes;
	uint64_t want;
	int r;

	ZN_ASSERT(offset + bytes <= rec->file->bytes);
	if (offset >= rec->window_start && offset + bytes <= end) {
		*ret_bytes = rec->buffer + (offset - rec->window_start);
		return 0;
	}
	want = zn_min_u64(zn_max_u64(bytes, WINDOW_BYTES), rec->file->bytes - offset);
	rec->window_bytes = 0;
	if (want > rec->buffer_bytes) {
		free(rec->buffer);
		rec->buffer_bytes = 0;
		rec->buffer = aligned_alloc(LOG_BLOCK_BYTES_MAX,
					    zn_align_up(want, LOG_BLOCK_BYTES_MAX));
		if (!rec->buffer)
			return -ENOMEM;
		rec->buffer_bytes = zn_align_up(want, LOG_BLOCK_BYTES_MAX);
	}
	rec->window_bytes = 0;
	r = rec->disk->ops->read(rec->disk, rec->file, offset, rec->buffer, want);
	if (r < 0)
		return refuse(rec, r, rec->file->segment, "offset %" PRIu64 ": cannot be read: %s",
			      offset, strerror(-r));
	rec->window_start = offset;
	rec->window_bytes = want;
	*ret_bytes = rec->buffer;
	return 0;
}

static bool all_zero(const unsigned char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/* Is there the head of a batch that claims to be later than all that was read? */
static bool is_later_batch(const struct recovery *rec, const unsigned char *bytes)
{
	struct batch_head head;

	memcpy(&head, bytes, sizeof(head));
	return from_le32(head.magic) == BATCH_MAGIC &&
	       from_le64(head.segment) == rec->file->segment &&
	       from_le64(head.sequence) > rec->at.sequence + 1 &&
	       (rec->at.store_id ==
			0 || /* the first segment's head is missing: nothing to check by */
		from_le64(head.checksum) ==
			XXH3_64bits_withSeed(&head, offsetof(struct batch_head, checksum),
					     rec->at.store_id));
}

/* Search the current file from @offset. Returns 0 if nothing later is there. */
static int search_later(struct recovery *rec, uint64_t offset, uint64_t *ret_found)
{
	const unsigned char *bytes = NULL;
	int r;

	for (; offset + LOG_BLOCK_BYTES <= rec->file->bytes; offset += LOG_BLOCK_BYTES) {
		r = window_get(rec, offset, LOG_BLOCK_BYTES, &bytes);
		if (r < 0)
			return r;
		if (is_later_batch(rec, bytes)) {
			*ret_found = offset;
			return 1;
		}
	}
	return 0;
}

static int apply_record(struct recovery *rec, const struct record *record, uint64_t offset)
{
	uint64_t zxid = record->txn.zxid;
	uint64_t expected = rec->last_zxid + 1;
	uint64_t seen;
	int r;

	if (record->is_epoch)
		expected = ((rec->last_zxid >> 32) + 1) << 32;
	if (zxid != expected)
		return refuse(rec, -EUCLEAN, rec->file->segment,
			      "offset %" PRIu64 ": zxid 0x%" PRIx64 " where 0x%" PRIx64 " belongs",
			      offset, zxid, expected);
	rec->last_zxid = zxid;
	if (record->is_epoch) {
		if (record->epoch_next_id < rec->tree->next_id || record->epoch_next_id > ZN_ID_MAX)
			return refuse(rec, -EUCLEAN, rec->file->segment,
				      "offset %" PRIu64 ": node ids would go backwards", offset);
		rec->tree->next_id = record->epoch_next_id;
		return 0;
	}
	r = txn_apply(rec->tree, &record->txn, &rec->undo, zxid, &seen);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return refuse(rec, -EUCLEAN, rec->file->segment,
			      "offset %" PRIu64 ": transaction 0x%" PRIx64 " does not apply: %s",
			      offset, zxid, strerror(-r));
	return 0;
}

static int apply_batch(struct recovery *rec, const struct batch_head *head,
		       const unsigned char *records, uint64_t offset)
{
	size_t left = from_le32(head->records_bytes);
	uint32_t count = from_le32(head->records_count);
	const char *reason = "";
	struct record record;
	uint32_t bytes;
	int r;

	for (uint32_t i = 0; i < count; i++) {
		r = record_decode(records, left, rec->file->segment, rec->at.store_id, &rec->ops,
				  &rec->ops_room, &record, &bytes, &reason);
		if (r == -EBADMSG)
			return refuse(rec, r, rec->file->segment, "offset %" PRIu64 ": %s", offset,
				      reason);
		if (r == 0 && i == 0 && record.txn.zxid != from_le64(head->first_zxid))
			return refuse(rec, -EUCLEAN, rec->file->segment,
				      "offset %" PRIu64 ": the first zxid is not the batch's",
				      offset);
		if (r == 0)
			r = apply_record(rec, &record, offset);
		if (r < 0)
			return r;
		records += bytes;
		left -= bytes;
	}
	if (left != 0 || count == 0 || rec->last_zxid != from_le64(head->last_zxid))
		return refuse(rec, -EUCLEAN, rec->file->segment,
			      "offset %" PRIu64
			      ": the batch holds other records than its head says",
			      offset);
	return 0;
}

/*
 * Is the batch at @offset the next one, whole and sound? Returns 1 if so, 0 if not (with the reason),
 * or an error.
 */
static int check_batch(struct recovery *rec, uint64_t offset, struct batch_head *head,
		       const unsigned char **ret_records, const char **ret_reason)
{
	const unsigned char *bytes = NULL;
	uint32_t whole;
	int r = window_get(rec, offset, rec->block_bytes, &bytes);

	if (r < 0)
		return r;
	memcpy(head, bytes, sizeof(*head));
	whole = from_le32(head->batch_bytes);
	*ret_reason = "no batch begins here";
	if (from_le32(head->magic) != BATCH_MAGIC)
		return 0;
	*ret_reason = "the checksum of a batch's head does not match";
	if (from_le64(head->checksum) !=
	    XXH3_64bits_withSeed(head, offsetof(struct batch_head, checksum), rec->at.store_id))
		return 0;
	/* Its checksum is right, so this head was not torn: whatever is wrong with it now is damage. */
	if (from_le16(head->version) != LOG_FORMAT_VERSION ||
	    from_le16(head->head_bytes) != sizeof(*head))
		return refuse(rec, -EPROTONOSUPPORT, rec->file->segment,
			      "offset %" PRIu64 ": a batch has another format version", offset);
	*ret_reason = "a batch does not follow the one before it";
	if (from_le64(head->segment) != rec->file->segment ||
	    from_le64(head->sequence) != rec->at.sequence + 1)
		return 0;
	/* Whatever was torn here was written behind the batch that was read before it. */
	if (from_le64(head->chain) != rec->at.chain)
		return refuse(rec, -EBADMSG, rec->file->segment,
			      "offset %" PRIu64
			      ": a batch continues another one than stands before it",
			      offset);
	if (whole < sizeof(*head) || whole % rec->block_bytes != 0 ||
	    whole > rec->file->bytes - offset ||
	    from_le32(head->records_bytes) > whole - sizeof(*head))
		return refuse(rec, -EUCLEAN, rec->file->segment,
			      "offset %" PRIu64 ": a batch has an impossible length", offset);
	r = window_get(rec, offset, whole, &bytes);
	if (r < 0)
		return r;
	*ret_reason = "the checksum of a batch does not match";
	if (from_le64(head->body_checksum) !=
	    XXH3_64bits_withSeed(bytes + sizeof(*head), whole - sizeof(*head), rec->at.store_id))
		return 0;
	*ret_records = bytes + sizeof(*head);
	return 1;
}

/* Apply batches until one is not valid; rec->at.offset stands there then. */
static int replay_batches(struct recovery *rec, const char **ret_reason)
{
	const unsigned char *records = NULL;
	struct batch_head head;
	int r;

	*ret_reason = "the segment is full";
	while (rec->at.offset < rec->file->bytes) {
		r = check_batch(rec, rec->at.offset, &head, &records, ret_reason);
		if (r <= 0)
			return r;
		r = apply_batch(rec, &head, records, rec->at.offset);
		if (r < 0)
			return r;
		rec->at.sequence = from_le64(head.sequence);
		rec->at.chain = from_le64(head.checksum);
		rec->at.last_zxid = rec->last_zxid;
		rec->at.offset += from_le32(head.batch_bytes);
	}
	return 0;
}

enum head_kind { HEAD_VALID, HEAD_ZERO };

/* What stands in the first block. Everything but a sound head and zeros is refused. */
static int read_head(struct recovery *rec, struct segment_head *head, enum head_kind *ret_kind)
{
	uint64_t segment = rec->file->segment;
	const unsigned char *bytes = NULL;
	uint32_t block;
	int r;

	if (rec->file->bytes < 2 * LOG_BLOCK_BYTES || rec->file->bytes % LOG_BLOCK_BYTES != 0)
		return refuse(rec, -EBADMSG, segment,
			      "is cut off: %" PRIu64 " bytes are no segment", rec->file->bytes);
	r = window_get(rec, 0, LOG_BLOCK_BYTES, &bytes);
	if (r < 0)
		return r;
	memcpy(head, bytes, sizeof(*head));
	*ret_kind = HEAD_ZERO;
	if (all_zero(bytes, LOG_BLOCK_BYTES))
		return 0;
	if (from_le32(head->magic) != SEGMENT_MAGIC)
		return refuse(rec, -EBADMSG, segment, "offset 0: not a segment of a znodefs log");
	if (from_le16(head->version) != LOG_FORMAT_VERSION)
		return refuse(rec, -EPROTONOSUPPORT, segment,
			      "offset 4: has format version %u, this program reads version %u",
			      from_le16(head->version), LOG_FORMAT_VERSION);
	if (from_le64(head->checksum) !=
	    XXH3_64bits_withSeed(head, offsetof(struct segment_head, checksum),
				 from_le64(head->store_id)))
		return refuse(rec, -EBADMSG, segment,
			      "offset 0: the checksum of the segment's head does not match");
	if (from_le32(head->incompatible) != 0)
		return refuse(rec, -EPROTONOSUPPORT, segment,
			      "offset 12: uses features (0x%x) that this program does not know",
			      from_le32(head->incompatible));
	block = from_le32(head->block_bytes);
	if (from_le64(head->segment) != segment)
		return refuse(rec, -EBADMSG, segment,
			      "offset 16: is segment %" PRIu64 " under another name",
			      from_le64(head->segment));
	if (from_le64(head->segment_bytes) != rec->file->bytes)
		return refuse(rec, -EBADMSG, segment,
			      "is cut off: has %" PRIu64 " of %" PRIu64 " bytes", rec->file->bytes,
			      from_le64(head->segment_bytes));
	if (block < LOG_BLOCK_BYTES || block > LOG_BLOCK_BYTES_MAX || (block & (block - 1)) != 0 ||
	    rec->file->bytes % block != 0)
		return refuse(rec, -EUCLEAN, segment, "offset 32: impossible block size %u", block);
	rec->block_bytes = block;
	*ret_kind = HEAD_VALID;
	return 0;
}

/* The head of a segment says how the one before ended; that must be where reading it ended. */
static int check_follows(struct recovery *rec, const struct segment_head *head,
			 const char *end_reason)
{
	uint64_t segment = rec->file->segment;

	if (segment == 1) {
		rec->at.store_id = from_le64(head->store_id);
		if (from_le64(head->base_zxid) != 0 || from_le64(head->first_sequence) != 1)
			return refuse(rec, -EUCLEAN, segment,
				      "offset 48: the log does not begin here");
		return 0;
	}
	if (from_le64(head->store_id) != rec->at.store_id)
		return refuse(rec, -EBADMSG, segment, "offset 40: belongs to another store");
	if (from_le64(head->previous_end) != rec->at.offset ||
	    from_le64(head->previous_chain) != rec->at.chain)
		return refuse(rec, -EBADMSG, segment - 1,
			      "offset %" PRIu64 ": %s, but segment %" PRIu64
			      " says that the log goes on up to %" PRIu64,
			      rec->at.offset, end_reason, segment, from_le64(head->previous_end));
	if (from_le64(head->first_sequence) != rec->at.sequence + 1 ||
	    from_le64(head->base_zxid) != rec->at.last_zxid)
		return refuse(rec, -EUCLEAN, segment,
			      "offset 48: does not follow the segment before it");
	return 0;
}

/* After the end of the log at @end in segment @end_segment: nothing later may be in rec->file. */
static int check_nothing_later(struct recovery *rec, uint64_t from, uint64_t end_segment,
			       uint64_t end, const char *end_reason)
{
	uint64_t found;
	int r = search_later(rec, from, &found);

	if (r <= 0)
		return r;
	return refuse(rec, -EBADMSG, end_segment,
		      "offset %" PRIu64 ": %s, but a later batch is at offset %" PRIu64
		      " of segment %" PRIu64,
		      end, end_reason, found, rec->file->segment);
}

struct segments {
	uint64_t *numbers;
	size_t count;
	size_t with_head; /* that many have one; they come first */
};

static int check_numbers(struct recovery *rec, const struct segments *all)
{
	for (size_t i = 0; i < all->count; i++) {
		if (all->numbers[i] != i + 1)
			return refuse(rec, -EBADMSG, i + 1,
				      "is missing; the log goes on with segment %" PRIu64,
				      all->numbers[i]);
	}
	return 0;
}

/* Open a segment as the one being read; the one before is closed. */
static int use_segment(struct recovery *rec, uint64_t segment)
{
	int r;

	if (rec->file)
		rec->disk->ops->close(rec->disk, rec->file);
	rec->file = NULL;
	rec->window_start = 0;
	rec->window_bytes = 0;
	r = rec->disk->ops->open(rec->disk, segment, &rec->file);
	if (r < 0)
		return refuse(rec, r, segment, "cannot be opened: %s", strerror(-r));
	return 0;
}

/* The file being read stays open for its owner. */
static struct disk_file *keep_segment(struct recovery *rec)
{
	struct disk_file *file = rec->file;

	rec->file = NULL;
	return file;
}

/*
 * Before anything is believed, it must be on the disk: what an earlier run wrote and did not live to
 * sync could be read now and be gone after a power cut.
 */
static int sync_all(struct recovery *rec, const struct segments *all)
{
	int r = rec->disk->ops->sync_directory(rec->disk);

	if (r < 0)
		return refuse(rec, r, 1, "its directory cannot be synced: %s", strerror(-r));
	for (size_t i = 0; r == 0 && i < all->count; i++) {
		r = use_segment(rec, all->numbers[i]);
		if (r < 0)
			return r;
		r = rec->disk->ops->sync(rec->disk, rec->file);
		if (r < 0)
			return refuse(rec, r, all->numbers[i], "cannot be synced: %s",
				      strerror(-r));
	}
	return r;
}

/*
 * Read all segments in order. On return rec->at says where the log ends: in the last of those with a
 * head. At most one may have none, the last: it was prepared, or its first write was torn.
 */
static int replay_segments(struct recovery *rec, struct segments *all)
{
	const char *end_reason = "the segment's head is missing";
	enum head_kind kind = HEAD_ZERO;
	struct segment_head head;
	int r;

	for (uint64_t segment = 1; segment <= all->count; segment++) {
		r = use_segment(rec, segment);
		if (r == 0)
			r = read_head(rec, &head, &kind);
		if (r < 0)
			return r;
		if (kind == HEAD_ZERO) {
			r = check_nothing_later(rec, LOG_BLOCK_BYTES, zn_max_u64(all->with_head, 1),
						rec->at.offset, end_reason);
			if (r < 0)
				return r;
			continue;
		}
		if (all->with_head + 1 < segment)
			return refuse(rec, -EBADMSG, all->with_head + 1,
				      "offset 0: the segment's head is missing");
		r = check_follows(rec, &head, end_reason);
		if (r < 0)
			return r;
		rec->at.previous_end = from_le64(head.previous_end);
		rec->at.offset = rec->block_bytes;
		r = replay_batches(rec, &end_reason);
		if (r < 0)
			return r;
		all->with_head = segment;
	}
	if (all->count > all->with_head + 1)
		return refuse(rec, -EBADMSG, all->with_head + 1,
			      "has no head, and is not the last segment");
	if (all->with_head == 0)
		return 0;
	r = use_segment(rec, all->with_head);
	if (r < 0)
		return r;
	return check_nothing_later(rec, rec->at.offset, all->with_head, rec->at.offset, end_reason);
}

/* Keep the segment to write to, and a prepared one. */
static int keep_files(struct recovery *rec, const struct segments *all)
{
	int r;

	if (all->with_head > 0) {
		rec->at.current = keep_segment(rec);
		rec->at.current_closed = rec->block_bytes != rec->disk->block_bytes;
	}
	if (all->count == all->with_head)
		return 0;
	r = use_segment(rec, all->count);
	if (r == 0)
		rec->at.spare = keep_segment(rec);
	else if (rec->at.current)
		rec->disk->ops->close(rec->disk, rec->at.current);
	return r;
}

int recover(struct disk *disk, struct tree *tree, struct log_position *ret_at, char *error)
{
	struct recovery rec = { .disk = disk, .tree = tree, .undo.off = true, .error = error };
	struct segments all = { 0 };
	int r;

	rec.block_bytes = disk->block_bytes;
	r = disk->ops->list(disk, &all.numbers, &all.count, error);
	if (r == 0)
		r = check_numbers(&rec, &all);
	if (r == 0)
		r = sync_all(&rec, &all);
	if (r == 0)
		r = replay_segments(&rec, &all);
	if (r == 0)
		r = keep_files(&rec, &all);
	if (r == 0) {
		if (rec.at.store_id == 0)
			rec.at.store_id = disk->ops->random(disk) | 1;
		*ret_at = rec.at;
	} else if (r == -ENOMEM) {
		(void)snprintf(error, RECOVER_ERROR_BYTES, "not enough memory to load the log");
	}
	if (rec.file)
		disk->ops->close(disk, rec.file);
	free(all.numbers);
	free(rec.buffer);
	free(rec.ops);
	return r;
}
