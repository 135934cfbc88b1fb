/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record: each type of operation has a set of fields; one table says which, and encoding, decoding
 * and measuring all go by it.
 */
#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

/* In the order in which they stand on disk; 8 bytes each. */
enum op_field {
	FIELD_ID = 1 << 0,
	FIELD_PARENT = 1 << 1,
	FIELD_NEW_PARENT = 1 << 2,
	FIELD_OFFSET = 1 << 3,
	FIELD_MODE_RDEV = 1 << 4, /* mode in the low half, rdev in the high */
	FIELD_OWNER = 1 << 5,     /* uid in the low half, gid in the high */
	FIELD_ATIME = 1 << 6,
	FIELD_MTIME = 1 << 7,
};

struct op_shape {
	uint8_t fields;
	bool name;
	bool new_name;
	bool data;
};

static const struct op_shape op_shapes[] = {
	[ZN_OP_CREATE] = { FIELD_ID | FIELD_PARENT | FIELD_MODE_RDEV | FIELD_OWNER, true, false,
			   true },
	[ZN_OP_SET] = { FIELD_ID, false, false, true },
	[ZN_OP_WRITE] = { FIELD_ID | FIELD_OFFSET, false, false, true },
	[ZN_OP_TRUNCATE] = { FIELD_ID | FIELD_OFFSET, false, false, false },
	[ZN_OP_DELETE] = { FIELD_PARENT, true, false, false },
	[ZN_OP_RENAME] = { FIELD_PARENT | FIELD_NEW_PARENT, true, true, false },
	[ZN_OP_LINK] = { FIELD_ID | FIELD_NEW_PARENT, false, true, false },
	[ZN_OP_SETATTR] = { FIELD_ID | FIELD_MODE_RDEV | FIELD_OWNER | FIELD_ATIME | FIELD_MTIME,
			    false, false, false },
	[ZN_OP_SETXATTR] = { FIELD_ID, true, false, true },
	[ZN_OP_REMOVEXATTR] = { FIELD_ID, true, false, false },
	[OP_EPOCH] = { FIELD_ID, false, false, false },
};

static uint64_t op_bytes(const struct zn_op *op)
{
	const struct op_shape *shape = &op_shapes[op->type];
	uint64_t bytes = sizeof(struct op_head) + 8U * (unsigned)__builtin_popcount(shape->fields);

	if (shape->name)
		bytes += op->name.bytes;
	if (shape->new_name)
		bytes += op->new_name.bytes;
	if (shape->data)
		bytes += op->data.bytes;
	return bytes;
}

static bool op_encodable(const struct zn_op *op)
{
	const struct op_shape *shape;

	if ((unsigned)op->type >= ARRAY_SIZE(op_shapes) || op_shapes[op->type].fields == 0)
		return false;
	shape = &op_shapes[op->type];
	return !(shape->name && op->name.bytes > UINT8_MAX) &&
	       !(shape->new_name && op->new_name.bytes > UINT8_MAX) &&
	       !(shape->data && op->data.bytes > VALUE_BYTES_MAX);
}

/* The epoch record travels as an operation that only this file sees. */
static struct zn_op epoch_op(uint64_t next_id)
{
	return (struct zn_op){ .type = (enum zn_op_type)OP_EPOCH, .id = next_id };
}

uint64_t record_bytes(const struct record *record)
{
	uint64_t bytes = sizeof(struct record_head);
	struct zn_op epoch = epoch_op(0);

	if (record->is_epoch)
		return zn_align_up(bytes + op_bytes(&epoch), 8);
	if (record->txn.ops_count > TXN_OPS_MAX)
		return UINT64_MAX;
	for (unsigned i = 0; i < record->txn.ops_count; i++) {
		if (!op_encodable(&record->txn.ops[i]))
			return UINT64_MAX;
		bytes += op_bytes(&record->txn.ops[i]);
	}
	bytes = zn_align_up(bytes, 8);
	return bytes <= RECORD_BYTES_MAX ? bytes : UINT64_MAX;
}

static unsigned char *put_u64(unsigned char *p, uint64_t n)
{
	struct le64 raw = to_le64(n);

	memcpy(p, &raw, sizeof(raw));
	return p + sizeof(raw);
}

static unsigned char *put_bytes(unsigned char *p, struct zn_bytes b)
{
	if (b.bytes > 0)
		memcpy(p, b.data, b.bytes);
	return p + b.bytes;
}

static unsigned char *op_encode(const struct zn_op *op, unsigned char *p)
{
	const struct op_shape *shape = &op_shapes[op->type];
	struct op_head head = {
		.type = (uint8_t)op->type,
		.name_bytes = shape->name ? (uint8_t)op->name.bytes : 0,
		.new_name_bytes = shape->new_name ? (uint8_t)op->new_name.bytes : 0,
		.flags = to_le32(op->flags),
		.data_bytes = to_le32(shape->data ? (uint32_t)op->data.bytes : 0),
	};

	memcpy(p, &head, sizeof(head));
	p += sizeof(head);
	if (shape->fields & FIELD_ID)
		p = put_u64(p, op->id);
	if (shape->fields & FIELD_PARENT)
		p = put_u64(p, op->parent);
	if (shape->fields & FIELD_NEW_PARENT)
		p = put_u64(p, op->new_parent);
	if (shape->fields & FIELD_OFFSET)
		p = put_u64(p, op->offset);
	if (shape->fields & FIELD_MODE_RDEV)
		p = put_u64(p, op->mode | op->rdev << 32);
	if (shape->fields & FIELD_OWNER)
		p = put_u64(p, op->uid | (uint64_t)op->gid << 32);
	if (shape->fields & FIELD_ATIME)
		p = put_u64(p, (uint64_t)op->atime_ns);
	if (shape->fields & FIELD_MTIME)
		p = put_u64(p, (uint64_t)op->mtime_ns);
	if (shape->name)
		p = put_bytes(p, op->name);
	if (shape->new_name)
		p = put_bytes(p, op->new_name);
	if (shape->data)
		p = put_bytes(p, op->data);
	return p;
}

void record_encode(const struct record *record, unsigned char *to)
{
	uint64_t bytes = record_bytes(record);
	struct zn_op epoch = epoch_op(record->epoch_next_id);
	struct record_head head = {
		.record_bytes = to_le32((uint32_t)bytes),
		.version = to_le16(LOG_FORMAT_VERSION),
		.ops_count = to_le16(record->is_epoch ? 1 : (uint16_t)record->txn.ops_count),
		.zxid = to_le64(record->txn.zxid),
		.time_ns = to_le64((uint64_t)record->txn.time_ns),
	};
	unsigned char *p = to;

	ZN_ASSERT(bytes <= RECORD_BYTES_MAX);
	memcpy(p, &head, sizeof(head));
	p += sizeof(head);
	if (record->is_epoch)
		p = op_encode(&epoch, p);
	for (unsigned i = 0; !record->is_epoch && i < record->txn.ops_count; i++)
		p = op_encode(&record->txn.ops[i], p);
	ZN_ASSERT(p <= to + bytes);
	memset(p, 0, (size_t)(to + bytes - p));
}

uint32_t record_seal(unsigned char *record, uint64_t segment, uint64_t seed)
{
	struct record_head *head = (struct record_head *)record;
	uint32_t bytes = from_le32(head->record_bytes);

	head->segment = to_le64(segment);
	head->checksum = to_le64(XXH3_64bits_withSeed(record + sizeof(head->checksum),
						      bytes - sizeof(head->checksum), seed));
	return bytes;
}

/* A cursor over bytes from the disk that never runs past their end. */
struct reader {
	const unsigned char *at;
	const unsigned char *end;
	bool bad;
};

static const void *take(struct reader *in, size_t bytes)
{
	const unsigned char *p = in->at;

	if (in->bad || (size_t)(in->end - in->at) < bytes) {
		in->bad = true;
		return NULL;
	}
	in->at += bytes;
	return p;
}

static uint64_t take_u64(struct reader *in)
{
	const void *p = take(in, sizeof(struct le64));
	struct le64 raw;

	if (!p)
		return 0;
	memcpy(&raw, p, sizeof(raw));
	return from_le64(raw);
}

static struct zn_bytes take_bytes(struct reader *in, size_t bytes)
{
	return (struct zn_bytes){ take(in, bytes), bytes };
}

static int op_decode(struct reader *in, struct zn_op *op)
{
	const struct op_shape *shape;
	const void *p = take(in, sizeof(struct op_head));
	struct op_head head;
	uint64_t pair;

	if (!p)
		return -EBADMSG;
	memcpy(&head, p, sizeof(head));
	if (head.type >= ARRAY_SIZE(op_shapes) || op_shapes[head.type].fields == 0)
		return -EBADMSG;
	shape = &op_shapes[head.type];
	if ((!shape->name && head.name_bytes > 0) ||
	    (!shape->new_name && head.new_name_bytes > 0) ||
	    (!shape->data && from_le32(head.data_bytes) > 0))
		return -EBADMSG;
	*op = (struct zn_op){
		.type = (enum zn_op_type)head.type,
		.flags = from_le32(head.flags),
		.version = ZN_ANY_VERSION,
	};
	if (shape->fields & FIELD_ID)
		op->id = take_u64(in);
	if (shape->fields & FIELD_PARENT)
		op->parent = take_u64(in);
	if (shape->fields & FIELD_NEW_PARENT)
		op->new_parent = take_u64(in);
	if (shape->fields & FIELD_OFFSET)
		op->offset = take_u64(in);
	if (shape->fields & FIELD_MODE_RDEV) {
		pair = take_u64(in);
		op->mode = (uint32_t)pair;
		op->rdev = pair >> 32;
	}
	if (shape->fields & FIELD_OWNER) {
		pair = take_u64(in);
		op->uid = (uint32_t)pair;
		op->gid = (uint32_t)(pair >> 32);
	}
	if (shape->fields & FIELD_ATIME)
		op->atime_ns = (int64_t)take_u64(in);
	if (shape->fields & FIELD_MTIME)
		op->mtime_ns = (int64_t)take_u64(in);
	op->name = take_bytes(in, head.name_bytes);
	op->new_name = take_bytes(in, head.new_name_bytes);
	op->data = take_bytes(in, from_le32(head.data_bytes));
	return in->bad ? -EBADMSG : 0;
}

static int grow_ops(struct zn_op **ops, unsigned *room, unsigned count)
{
	struct zn_op *more;

	if (count <= *room)
		return 0;
	more = realloc(*ops, count * sizeof(**ops));
	if (!more)
		return -ENOMEM;
	*ops = more;
	*room = count;
	return 0;
}

static int bad(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return -EBADMSG;
}

static int decode_ops(struct reader *in, struct zn_op *ops, unsigned count, struct record *record,
		      const char **ret_reason)
{
	for (unsigned i = 0; i < count; i++) {
		if (op_decode(in, &ops[i]) < 0)
			return bad(ret_reason, "an operation of a record cannot be read");
	}
	for (; in->at < in->end; in->at++) {
		if (*in->at != 0)
			return bad(ret_reason, "a record is longer than its operations");
	}
	record->is_epoch = count == 1 && ops[0].type == (enum zn_op_type)OP_EPOCH;
	record->epoch_next_id = record->is_epoch ? ops[0].id : 0;
	for (unsigned i = 0; !record->is_epoch && i < count; i++) {
		if (ops[i].type == (enum zn_op_type)OP_EPOCH)
			return bad(ret_reason, "an epoch stands among other operations");
	}
	return 0;
}

int record_decode(const unsigned char *from, size_t bytes, uint64_t segment, uint64_t seed,
		  struct zn_op **ops, unsigned *ops_room, struct record *ret_record,
		  uint32_t *ret_bytes, const char **ret_reason)
{
	struct record record = { 0 };
	struct record_head head;
	struct reader in;
	uint32_t length;
	int r;

	if (bytes < sizeof(head))
		return bad(ret_reason, "a record is cut off");
	memcpy(&head, from, sizeof(head));
	length = from_le32(head.record_bytes);
	if (length < sizeof(head) || length > bytes || length % 8 != 0)
		return bad(ret_reason, "a record has an impossible length");
	if (from_le64(head.checksum) != XXH3_64bits_withSeed(from + sizeof(head.checksum),
							     length - sizeof(head.checksum), seed))
		return bad(ret_reason, "the checksum of a record does not match");
	if (from_le16(head.version) != LOG_FORMAT_VERSION)
		return bad(ret_reason, "a record has another format version");
	if (from_le64(head.segment) != segment)
		return bad(ret_reason, "a record belongs to another segment");
	r = grow_ops(ops, ops_room, from_le16(head.ops_count));
	if (r < 0)
		return r;
	in = (struct reader){ from + sizeof(head), from + length, false };
	r = decode_ops(&in, *ops, from_le16(head.ops_count), &record, ret_reason);
	if (r < 0)
		return r;
	record.txn.zxid = from_le64(head.zxid);
	record.txn.time_ns = (int64_t)from_le64(head.time_ns);
	record.txn.ops = *ops;
	record.txn.ops_count = from_le16(head.ops_count);
	*ret_record = record;
	*ret_bytes = length;
	return 0;
}
