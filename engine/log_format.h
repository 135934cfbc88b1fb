/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_format: the bytes of the log on disk. docs/on-disk-format.md explains every field; both change
 * in the same commit.
 */
#ifndef ENGINE_LOG_FORMAT_H
#define ENGINE_LOG_FORMAT_H

#include <assert.h>
#include <stddef.h>

#include "le.h"

#define LOG_FORMAT_VERSION 1

#define SEGMENT_MAGIC 0x47535a4eU /* "NZSG" */
#define BATCH_MAGIC 0x54425a4eU   /* "NZBT" */

/* A batch is padded to this, or to the device's logical block where that is larger. */
#define LOG_BLOCK_BYTES 4096U
#define LOG_BLOCK_BYTES_MAX 65536U

/* The first block of a segment; written together with the segment's first batch, never before. */
struct segment_head {
	struct le32 magic;
	struct le16 version;
	struct le16 head_bytes;    /* of this structure; what follows is padding */
	struct le32 compatible;    /* feature bits that a reader may ignore; none yet */
	struct le32 incompatible;  /* feature bits that a reader must know; none yet */
	struct le64 segment;       /* 1, 2, 3 ...; also the file's name */
	struct le64 segment_bytes; /* of the file */
	struct le32 block_bytes;   /* all batches start at and are padded to multiples of it */
	struct le32 reserved;
	struct le64 store_id;       /* random, the same in all segments; seeds all checksums */
	struct le64 first_sequence; /* of the first batch here */
	struct le64 base_zxid;      /* the last zxid before this segment; 0 in the first */
	struct le64 previous_end; /* where the batches of the segment before end; 0 in the first */
	struct le64 previous_chain; /* checksum of the last batch before; 0 in the first */
	struct le64 created_ns;
	struct le64 checksum; /* of all before it */
};
static_assert(sizeof(struct segment_head) == 96, "on disk");
static_assert(offsetof(struct segment_head, store_id) == 40, "on disk");
static_assert(sizeof(struct segment_head) <= 512, "in one sector, so that it is never torn");

/* What one write makes durable: a head, records, zeros up to the block. */
struct batch_head {
	struct le32 magic;
	struct le16 version;
	struct le16 head_bytes;
	struct le32 batch_bytes; /* with head and padding */
	struct le32 records_bytes;
	struct le32 records_count;
	struct le32 reserved;
	struct le64 segment;
	struct le64 sequence; /* previous + 1, across segments too */
	struct le64 first_zxid;
	struct le64 last_zxid;
	struct le64 chain;         /* the previous batch's checksum */
	struct le64 body_checksum; /* of records and padding */
	struct le64 checksum;      /* of all before it */
};
static_assert(sizeof(struct batch_head) == 80, "on disk");
static_assert(offsetof(struct batch_head, chain) == 56, "on disk");
static_assert(sizeof(struct batch_head) <= 512, "in one sector, so that it is never torn");

/* One transaction. Its operations follow. */
struct record_head {
	struct le64 checksum;     /* of all after it, to the end of the record */
	struct le32 record_bytes; /* with this head; a multiple of 8 */
	struct le16 version;
	struct le16 ops_count;
	struct le64 zxid; /* previous + 1, or the first of a new epoch */
	struct le64 time_ns;
	struct le64 segment;
};
static_assert(sizeof(struct record_head) == 40, "on disk");

/*
 * An operation: this, then the fields that its type has, 8 bytes each, in the order of enum op_field,
 * then name, new name and data. The record is padded with zeros, not the operation.
 */
struct op_head {
	uint8_t type; /* enum zn_op_type, or OP_EPOCH */
	uint8_t name_bytes;
	uint8_t new_name_bytes;
	uint8_t reserved;
	struct le32 flags; /* enum zn_op_flags */
	struct le32 data_bytes;
};
static_assert(sizeof(struct op_head) == 12, "on disk");

/* An opening of the store: the epoch in the record's zxid is new, and ids go on from the field ID. */
#define OP_EPOCH 64

/* So that a batch is one write: Linux writes up to 2 GiB - 4 KiB at once. */
#define RECORD_BYTES_MAX (UINT32_C(1) << 30)

#endif
