/* SPDX-License-Identifier: Apache-2.0 */
/* record: transactions to bytes and back. Pure functions over memory. Format: docs/on-disk-format.md. */
#ifndef ENGINE_RECORD_H
#define ENGINE_RECORD_H

#include "log_format.h"
#include "txn.h"

/*
 * A transaction as the log knows it: like struct txn, or the epoch record, which has no operations
 * but says where node ids go on.
 */
struct record {
	struct txn txn;
	bool is_epoch;
	uint64_t epoch_next_id;
};

/* How long the record is: known before the transaction is applied. UINT64_MAX if it is too long. */
uint64_t record_bytes(const struct record *record);

/*
 * Encode into @to, which has record_bytes() bytes. Segment and checksum are filled in by
 * record_seal(), once it is known in which segment the record will stand.
 */
void record_encode(const struct record *record, unsigned char *to);

/* Returns the record's length. */
uint32_t record_seal(unsigned char *record, uint64_t segment, uint64_t seed);

/*
 * Decode the record at @from, at most @bytes long. Names and data point into @from.
 * @ops         takes the operations; grows as needed (realloc), *ops_room is its size
 * @ret_bytes   the record's length
 * @ret_reason  on -EBADMSG, what is wrong
 * Returns 0, -EBADMSG or -ENOMEM.
 */
int record_decode(const unsigned char *from, size_t bytes, uint64_t segment, uint64_t seed,
		  struct zn_op **ops, unsigned *ops_room, struct record *ret_record,
		  uint32_t *ret_bytes, const char **ret_reason);

#endif
