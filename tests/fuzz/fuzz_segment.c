/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery on any two segments. The input's first byte says how much is mended before the engine sees
 * it: checksums of records, batches and segment heads, and the chain between them, so that the fuzzer
 * gets past them. The rest is spread over the two files. Where recovery succeeds, the tree must be sound
 * and the engine must be able to go on.
 *
 * Input: one byte of flags, then pieces: one byte (bit 0: which segment, the rest: which 512-byte
 * sector), two bytes of length, and that many bytes. With no input at all an empty log is opened.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine.h"
#include "log_format.h"
#include "recover.h"

#define SEGMENT_BYTES 32768U
#define BLOCK 4096U
#define SEED_ID 77
/* A record of a few bytes may ask for a value of 2 GiB: right, but slow. */
#define OFFSET_MAX (1U << 20)

enum flags {
	MEND_RECORDS = 1,
	MEND_BATCHES = 2,
	MEND_HEADS = 4,
	MEND_CHAIN = 8,
	TWO_SEGMENTS = 16
};

struct memory_disk {
	struct disk disk;
	unsigned count;
	unsigned char bytes[2][SEGMENT_BYTES];
};

int LLVMFuzzerTestOneInput(const uint8_t *from, size_t bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t most);

static struct memory_disk *memory_of(struct disk *disk)
{
	return container_of(disk, struct memory_disk, disk);
}

static int memory_list(struct disk *disk, uint64_t **ret_segments, size_t *ret_count, char *error)
{
	uint64_t *numbers = calloc(2, sizeof(*numbers));

	(void)error;
	ZN_ASSERT(numbers != NULL);
	numbers[0] = 1;
	numbers[1] = 2;
	*ret_segments = numbers;
	*ret_count = memory_of(disk)->count;
	return 0;
}

static int memory_open(struct disk *disk, uint64_t segment, struct disk_file **ret_file)
{
	struct disk_file *f = calloc(1, sizeof(*f));

	(void)disk;
	ZN_ASSERT(f != NULL);
	*f = (struct disk_file){ .segment = segment, .bytes = SEGMENT_BYTES, .fd = -1 };
	*ret_file = f;
	return 0;
}

static void memory_close(struct disk *disk, struct disk_file *file)
{
	(void)disk;
	free(file);
}

static int memory_read(struct disk *disk, struct disk_file *file, uint64_t offset, void *to,
		       size_t bytes)
{
	ZN_ASSERT(offset + bytes <= SEGMENT_BYTES);
	memcpy(to, memory_of(disk)->bytes[file->segment - 1] + offset, bytes);
	return 0;
}

static int memory_sync(struct disk *disk, struct disk_file *file)
{
	(void)disk;
	(void)file;
	return 0;
}

static int memory_sync_directory(struct disk *disk)
{
	(void)disk;
	return 0;
}

static const char *memory_path(struct disk *disk, uint64_t segment)
{
	(void)disk;
	return segment == 1 ? "first" : "second";
}

static int64_t memory_now(struct disk *disk)
{
	(void)disk;
	return 1;
}

static uint64_t memory_random(struct disk *disk)
{
	(void)disk;
	return SEED_ID;
}

static const struct disk_ops memory_ops = {
	.list = memory_list,
	.open = memory_open,
	.close = memory_close,
	.read = memory_read,
	.sync = memory_sync,
	.sync_directory = memory_sync_directory,
	.path = memory_path,
	.now_ns = memory_now,
	.random = memory_random,
};

static uint64_t checksum(const void *from, size_t bytes)
{
	return XXH3_64bits_withSeed(from, bytes, SEED_ID);
}

/* Values that would only take memory and time are made smaller; then length and checksum. */
static void mend_records(unsigned char *records, uint32_t bytes, uint64_t segment)
{
	for (uint32_t at = 0; at + sizeof(struct record_head) <= bytes;) {
		struct record_head head;
		uint32_t length;

		memcpy(&head, records + at, sizeof(head));
		length = from_le32(head.record_bytes) & ~7U;
		if (length < sizeof(head) || length > bytes - at)
			length = bytes - at;
		head.record_bytes = to_le32(length);
		head.version = to_le16(LOG_FORMAT_VERSION);
		memcpy(records + at, &head, sizeof(head));
		if (length % 8 == 0)
			(void)record_seal(records + at, segment, SEED_ID);
		at += length;
	}
}

static uint64_t mend_batch(unsigned char *batch, uint32_t room, uint64_t segment, uint64_t chain,
			   uint64_t sequence, unsigned flags)
{
	struct batch_head head;
	uint32_t whole, records;

	memcpy(&head, batch, sizeof(head));
	whole = (from_le32(head.batch_bytes) + BLOCK - 1) / BLOCK * BLOCK;
	if (whole == 0 || whole > room)
		whole = BLOCK;
	records = from_le32(head.records_bytes) & ~7U;
	if (records > whole - sizeof(head))
		records = 0;
	if (flags & MEND_RECORDS)
		mend_records(batch + sizeof(head), records, segment);
	head.magic = to_le32(BATCH_MAGIC);
	head.version = to_le16(LOG_FORMAT_VERSION);
	head.head_bytes = to_le16(sizeof(head));
	head.batch_bytes = to_le32(whole);
	head.records_bytes = to_le32(records);
	head.segment = to_le64(segment);
	if (flags & MEND_CHAIN) {
		head.chain = to_le64(chain);
		head.sequence = to_le64(sequence);
	}
	head.body_checksum = to_le64(checksum(batch + sizeof(head), whole - sizeof(head)));
	head.checksum = to_le64(checksum(&head, offsetof(struct batch_head, checksum)));
	memcpy(batch, &head, sizeof(head));
	return from_le64(head.checksum);
}

static bool begins_batch(const unsigned char *bytes)
{
	struct le32 magic;

	memcpy(&magic, bytes, sizeof(magic));
	return from_le32(magic) == BATCH_MAGIC;
}

struct end {
	uint64_t chain;
	uint64_t sequence;
	uint64_t zxid;
	uint64_t offset;
};

static void mend_segment(unsigned char *bytes, uint64_t segment, struct end *end, unsigned flags)
{
	struct segment_head head;
	uint32_t at = BLOCK;

	memcpy(&head, bytes, sizeof(head));
	if (flags & MEND_HEADS && from_le32(head.magic) == SEGMENT_MAGIC) {
		head.version = to_le16(LOG_FORMAT_VERSION);
		head.incompatible = to_le32(0);
		head.segment = to_le64(segment);
		head.segment_bytes = to_le64(SEGMENT_BYTES);
		head.block_bytes = to_le32(BLOCK);
		head.store_id = to_le64(SEED_ID);
		head.first_sequence = to_le64(end->sequence + 1);
		head.base_zxid = to_le64(end->zxid);
		head.previous_end = to_le64(end->offset);
		head.previous_chain = to_le64(end->chain);
		head.checksum = to_le64(checksum(&head, offsetof(struct segment_head, checksum)));
		memcpy(bytes, &head, sizeof(head));
	}
	while (flags & MEND_BATCHES && at < SEGMENT_BYTES && begins_batch(bytes + at)) {
		struct batch_head batch;

		end->chain = mend_batch(bytes + at, SEGMENT_BYTES - at, segment, end->chain,
					++end->sequence, flags);
		memcpy(&batch, bytes + at, sizeof(batch));
		end->zxid = from_le64(batch.last_zxid);
		at += from_le32(batch.batch_bytes);
	}
	end->offset = at;
}

static void spread(struct memory_disk *disk, const uint8_t *from, size_t bytes)
{
	while (bytes > 3) {
		unsigned segment = from[0] & 1;
		size_t at = (size_t)(from[0] >> 1) * 512 % SEGMENT_BYTES;
		size_t length = (size_t)from[1] | (size_t)from[2] << 8;

		from += 3;
		bytes -= 3;
		if (length > bytes)
			length = bytes;
		if (length > SEGMENT_BYTES - at)
			length = SEGMENT_BYTES - at;
		memcpy(disk->bytes[segment] + at, from, length);
		from += length;
		bytes -= length;
	}
}

/* One create and the new epoch must go into what was recovered, if there is room. */
static void go_on(struct engine *engine)
{
	struct disk_file *retired;
	struct log_batch *b;

	engine_check(engine);
	b = engine_take(engine, &retired);
	if (!b)
		return;
	log_seal(&engine->log, b, 1);
	engine_committed(engine, b, 0);
	if (retired)
		free(retired);
	engine_check(engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *from, size_t bytes)
{
	static struct memory_disk disk;
	static struct engine engine;
	const struct engine_options opt = { .max_data = 1 << 20,
					    .max_memory = 1 << 28,
					    .segment_bytes = SEGMENT_BYTES };
	char error[RECOVER_ERROR_BYTES] = "";
	struct end end = { 0 };
	unsigned flags;
	int r;

	if (bytes == 0)
		return 0;
	flags = from[0];
	memset(&disk, 0, sizeof(disk));
	disk.disk = (struct disk){ .ops = &memory_ops, .block_bytes = BLOCK };
	disk.count = flags & TWO_SEGMENTS ? 2 : 1;
	spread(&disk, from + 1, bytes - 1);
	for (unsigned i = 0; i < disk.count; i++)
		mend_segment(disk.bytes[i], i + 1, &end, flags);
	r = engine_open(&engine, &disk.disk, &opt, error);
	if (r == 0) {
		go_on(&engine);
		engine_close(&engine);
	} else {
		ZN_ASSERT(r == -EBADMSG || r == -EUCLEAN || r == -EPROTONOSUPPORT || r == -ENOMEM);
		ZN_ASSERT(error[0] != '\0');
	}
	return 0;
}

/* --- seeds and mutations ----------------------------------------------------------------------- */

static size_t put_piece(uint8_t *to, unsigned segment, unsigned sector, const void *bytes,
			size_t count)
{
	to[0] = (uint8_t)(segment | sector << 1);
	to[1] = (uint8_t)count;
	to[2] = (uint8_t)(count >> 8);
	memcpy(to + 3, bytes, count);
	return count + 3;
}

/* A batch of one random transaction; heads are filled in by the mending. */
static size_t put_batch(uint8_t *to, unsigned segment, unsigned block, uint64_t zxid,
			unsigned *seed)
{
	static const uint8_t content[64] = "name-of-something-and-data";
	unsigned char raw[sizeof(struct batch_head) + 1024] = { 0 };
	struct zn_op ops[3];
	struct record record = { .txn = { .zxid = zxid, .time_ns = 5, .ops = ops } };
	struct batch_head head = { .magic = to_le32(BATCH_MAGIC),
				   .records_count = to_le32(1),
				   .batch_bytes = to_le32(BLOCK),
				   .first_zxid = to_le64(zxid),
				   .last_zxid = to_le64(zxid) };
	uint64_t bytes;

	record.is_epoch = (zxid & UINT32_MAX) == 0;
	record.epoch_next_id = 2;
	record.txn.ops_count = 1 + (unsigned)rand_r(seed) % 3;
	for (unsigned i = 0; i < record.txn.ops_count; i++) {
		ops[i] = (struct zn_op){
			.type = (enum zn_op_type)(1 + rand_r(seed) % 10),
			.id = 1 + (uint64_t)rand_r(seed) % 8,
			.parent = 1,
			.new_parent = 1 + (uint64_t)rand_r(seed) % 3,
			.name = { content + rand_r(seed) % 4, 1 + (size_t)rand_r(seed) % 3 },
			.new_name = { content + rand_r(seed) % 4, 1 + (size_t)rand_r(seed) % 3 },
			.data = { content, (size_t)rand_r(seed) % 64 },
			.offset = (uint64_t)rand_r(seed) % 100,
			.mode = rand_r(seed) % 2 ? 0100644 : 040755,
		};
	}
	bytes = record_bytes(&record);
	record_encode(&record, raw + sizeof(head));
	head.records_bytes = to_le32((uint32_t)bytes);
	memcpy(raw, &head, sizeof(head));
	return put_piece(to, segment, block * (BLOCK / 512), raw, sizeof(head) + bytes);
}

/* A small log from nothing, for the mutations to start from. */
static size_t make_log(uint8_t *data, size_t most, unsigned seed)
{
	struct segment_head head = { .magic = to_le32(SEGMENT_MAGIC) };
	unsigned segments = 1 + (unsigned)rand_r(&seed) % 2;
	uint64_t zxid = UINT64_C(1) << 32;
	size_t at = 1;

	if (most < 20000)
		return 0;
	data[0] = (uint8_t)(15 | (segments == 2 ? TWO_SEGMENTS : 0));
	for (unsigned s = 0; s < segments; s++) {
		unsigned batches = 1 + (unsigned)rand_r(&seed) % 7;

		at += put_piece(data + at, s, 0, &head, sizeof(head));
		for (unsigned b = 0; b < batches; b++)
			at += put_batch(data + at, s, 1 + b, zxid++, &seed);
	}
	return at;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t most, unsigned seed)
{
	size_t made = seed % 16 == 0 || bytes < 8 ? make_log(data, most, seed) : 0;

	return made ? made : LLVMFuzzerMutate(data, bytes, most);
}
