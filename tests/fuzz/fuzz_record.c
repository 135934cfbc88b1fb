/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_decode() on any bytes. Length and checksum are made right first, so that what is behind them
 * is reached; once in four runs they are left as they are. What decodes can be
 * encoded again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "record.h"

#define SEGMENT 1
#define SEED 99

int LLVMFuzzerTestOneInput(const uint8_t *from, size_t bytes);

static void mend(unsigned char *raw, size_t bytes)
{
	struct record_head head;

	memcpy(&head, raw, sizeof(head));
	head.record_bytes = to_le32((uint32_t)bytes);
	head.version = to_le16(LOG_FORMAT_VERSION);
	head.segment = to_le64(SEGMENT);
	memcpy(raw, &head, sizeof(head));
	head.checksum = to_le64(XXH3_64bits_withSeed(raw + 8, bytes - 8, SEED));
	memcpy(raw, &head, sizeof(head));
}

/* Reads everything that a name or data points to. */
static unsigned touch(struct zn_bytes b)
{
	const unsigned char *p = b.data;
	unsigned sum = 0;

	for (size_t i = 0; i < b.bytes; i++)
		sum += p[i];
	return sum;
}

static unsigned check(const struct record *record, uint32_t length)
{
	unsigned sum = 0;
	unsigned char *again;

	for (unsigned i = 0; !record->is_epoch && i < record->txn.ops_count; i++) {
		sum += touch(record->txn.ops[i].name);
		sum += touch(record->txn.ops[i].new_name);
		sum += touch(record->txn.ops[i].data);
	}
	if (record->txn.ops_count > TXN_OPS_MAX || record_bytes(record) != length)
		return sum;
	again = malloc(length);
	ZN_ASSERT(again != NULL);
	record_encode(record, again);
	ZN_ASSERT(record_seal(again, SEGMENT, SEED) == length);
	free(again);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *from, size_t bytes)
{
	struct zn_op *ops = NULL;
	unsigned ops_room = 0;
	struct record record;
	const char *reason = NULL;
	uint32_t length = 0;
	unsigned char *raw;
	int r;

	raw = malloc(bytes + 1);
	ZN_ASSERT(raw != NULL);
	if (bytes > 0)
		memcpy(raw, from, bytes);
	if (bytes >= sizeof(struct record_head) && bytes % 8 == 0 && from[0] % 4 != 0)
		mend(raw, bytes);
	r = record_decode(raw, bytes, SEGMENT, SEED, &ops, &ops_room, &record, &length, &reason);
	ZN_ASSERT(r == 0 || r == -EBADMSG);
	if (r == 0)
		(void)check(&record, length);
	else
		ZN_ASSERT(reason != NULL);
	free(ops);
	free(raw);
	return 0;
}
