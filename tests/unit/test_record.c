/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "record.h"

#define SEGMENT 7
#define SEED 0x1234567890abcdefU

static const struct zn_op samples[] = {
	{ .type = ZN_OP_CREATE,
	  .id = 5,
	  .parent = 1,
	  .name = { "name", 4 },
	  .mode = S_IFREG | 0644,
	  .uid = 4000000000U,
	  .gid = 7,
	  .rdev = UINT32_MAX,
	  .data = { "data", 4 } },
	{ .type = ZN_OP_SET, .id = UINT64_MAX, .data = { "", 0 }, .flags = ZN_CLEAR_SETID },
	{ .type = ZN_OP_WRITE,
	  .id = 5,
	  .offset = UINT64_C(1) << 40,
	  .data = { "xyz", 3 },
	  .flags = ZN_WRITE_APPEND },
	{ .type = ZN_OP_TRUNCATE, .id = 5, .offset = 12345 },
	{ .type = ZN_OP_DELETE, .parent = 9, .name = { "gone", 4 }, .flags = ZN_DELETE_FILE },
	{ .type = ZN_OP_RENAME,
	  .parent = 1,
	  .name = { "a", 1 },
	  .new_parent = 2,
	  .new_name = { "bb", 2 },
	  .flags = ZN_RENAME_EXCHANGE },
	{ .type = ZN_OP_LINK, .id = 5, .new_parent = 2, .new_name = { "link", 4 } },
	{ .type = ZN_OP_SETATTR,
	  .id = 5,
	  .mode = 0600,
	  .uid = 1,
	  .gid = 2,
	  .atime_ns = -1,
	  .mtime_ns = INT64_MAX,
	  .flags = ZN_SET_MODE | ZN_SET_ATIME },
	{ .type = ZN_OP_SETXATTR,
	  .id = 5,
	  .name = { "user.a", 6 },
	  .data = { "v\0v", 3 },
	  .flags = ZN_XATTR_CREATE },
	{ .type = ZN_OP_REMOVEXATTR, .id = 5, .name = { "user.a", 6 } },
};

static struct zn_op *ops;
static unsigned ops_room;

static int teardown(void **unused)
{
	(void)unused;
	free(ops);
	ops = NULL;
	ops_room = 0;
	return 0;
}

/* Encoded and sealed; exactly as long as it says, so that ASan sees a byte too many. */
static unsigned char *encoded(const struct zn_op *from, unsigned count, uint32_t *ret_bytes)
{
	struct record record = {
		.txn = { .zxid = UINT64_C(0x100000002),
			 .time_ns = -5,
			 .ops = (struct zn_op *)(uintptr_t)from,
			 .ops_count = count },
	};
	uint64_t bytes = record_bytes(&record);
	unsigned char *to = malloc(bytes);

	assert_non_null(to);
	assert_int_equal(bytes % 8, 0);
	record_encode(&record, to);
	*ret_bytes = record_seal(to, SEGMENT, SEED);
	assert_int_equal(*ret_bytes, bytes);
	return to;
}

static int decode(const unsigned char *from, size_t bytes, struct record *record)
{
	const char *reason = NULL;
	uint32_t length = 0;
	int r = record_decode(from, bytes, SEGMENT, SEED, &ops, &ops_room, record, &length,
			      &reason);

	if (r == 0)
		assert_int_equal(length, bytes);
	if (r == -EBADMSG)
		assert_non_null(reason);
	return r;
}

static void expect_bytes(struct zn_bytes a, struct zn_bytes b)
{
	assert_int_equal(a.bytes, b.bytes);
	if (a.bytes > 0)
		assert_memory_equal(a.data, b.data, a.bytes);
}

/* Fields that a type does not have are zero in the samples, as they must be after decoding. */
static void expect_op(const struct zn_op *a, const struct zn_op *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->parent, b->parent);
	assert_int_equal(a->new_parent, b->new_parent);
	assert_int_equal(a->offset, b->offset);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->rdev, b->rdev);
	assert_int_equal(a->atime_ns, b->atime_ns);
	assert_int_equal(a->mtime_ns, b->mtime_ns);
	assert_int_equal(a->version, ZN_ANY_VERSION);
	expect_bytes(a->name, b->name);
	expect_bytes(a->new_name, b->new_name);
	expect_bytes(a->data, b->data);
}

static void round_trip_keeps(const struct zn_op *from, unsigned count)
{
	struct record record;
	uint32_t bytes;
	unsigned char *raw = encoded(from, count, &bytes);

	assert_int_equal(decode(raw, bytes, &record), 0);
	assert_false(record.is_epoch);
	assert_int_equal(record.txn.zxid, UINT64_C(0x100000002));
	assert_int_equal(record.txn.time_ns, -5);
	assert_int_equal(record.txn.ops_count, count);
	for (unsigned i = 0; i < count; i++)
		expect_op(&record.txn.ops[i], &from[i]);
	free(raw);
}

static void each_operation_survives_a_round_trip(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < ARRAY_SIZE(samples); i++)
		round_trip_keeps(&samples[i], 1);
}

static void all_operations_in_one_record_survive(void **unused)
{
	(void)unused;
	round_trip_keeps(samples, ARRAY_SIZE(samples));
}

static void a_record_without_operations_survives(void **unused)
{
	(void)unused;
	round_trip_keeps(samples, 0);
}

static void the_epoch_record_survives(void **unused)
{
	struct record record = { .is_epoch = true,
				 .epoch_next_id = 77,
				 .txn.zxid = UINT64_C(3) << 32 };
	unsigned char raw[128];
	uint64_t bytes = record_bytes(&record);

	(void)unused;
	assert_true(bytes <= sizeof(raw));
	record_encode(&record, raw);
	(void)record_seal(raw, SEGMENT, SEED);
	memset(&record, 0, sizeof(record));
	assert_int_equal(decode(raw, bytes, &record), 0);
	assert_true(record.is_epoch);
	assert_int_equal(record.epoch_next_id, 77);
	assert_int_equal(record.txn.zxid, UINT64_C(3) << 32);
}

static void flipping_any_bit_is_refused(void **unused)
{
	struct record record;
	uint32_t bytes;
	unsigned char *raw = encoded(samples, ARRAY_SIZE(samples), &bytes);

	(void)unused;
	for (uint32_t i = 0; i < 8 * bytes; i++) {
		raw[i / 8] ^= (unsigned char)(1U << i % 8);
		assert_int_equal(decode(raw, bytes, &record), -EBADMSG);
		raw[i / 8] ^= (unsigned char)(1U << i % 8);
	}
	free(raw);
}

static void each_cut_is_refused(void **unused)
{
	struct record record;
	uint32_t bytes;
	unsigned char *raw = encoded(samples, ARRAY_SIZE(samples), &bytes);

	(void)unused;
	for (uint32_t n = 0; n < bytes; n++) {
		unsigned char *cut = malloc(n + !n);

		memcpy(cut, raw, n);
		assert_int_equal(decode(cut, n, &record), -EBADMSG);
		free(cut);
	}
	free(raw);
}

static void too_long_is_not_encodable(void **unused)
{
	struct zn_op op = { .type = ZN_OP_CREATE, .name = { "x", 256 } };
	struct zn_op unknown = { .type = (enum zn_op_type)99 };
	struct zn_op zero = { .type = (enum zn_op_type)0 };
	struct record record = { .txn = { .ops = &op, .ops_count = 1 } };

	(void)unused;
	assert_int_equal(record_bytes(&record), UINT64_MAX);
	record.txn.ops = &unknown;
	assert_int_equal(record_bytes(&record), UINT64_MAX);
	record.txn.ops = &zero;
	assert_int_equal(record_bytes(&record), UINT64_MAX);
	record.txn.ops_count = TXN_OPS_MAX + 1;
	assert_int_equal(record_bytes(&record), UINT64_MAX);
}

/* Malformed records whose checksum is right. */
struct malformed {
	const char *name;
	void (*change)(unsigned char *raw);
};

static struct record_head *head_of(unsigned char *raw)
{
	return (struct record_head *)raw;
}

static struct op_head *op_of(unsigned char *raw)
{
	return (struct op_head *)(raw + sizeof(struct record_head));
}

static void length_zero(unsigned char *raw)
{
	head_of(raw)->record_bytes = to_le32(0);
}

static void length_odd(unsigned char *raw)
{
	head_of(raw)->record_bytes = to_le32(from_le32(head_of(raw)->record_bytes) - 1);
}

static void length_too_long(unsigned char *raw)
{
	head_of(raw)->record_bytes = to_le32(from_le32(head_of(raw)->record_bytes) + 8);
}

static void length_huge(unsigned char *raw)
{
	head_of(raw)->record_bytes = to_le32(UINT32_MAX & ~7U);
}

static void version_newer(unsigned char *raw)
{
	head_of(raw)->version = to_le16(2);
}

static void more_operations(unsigned char *raw)
{
	head_of(raw)->ops_count = to_le16(2);
}

static void most_operations(unsigned char *raw)
{
	head_of(raw)->ops_count = to_le16(UINT16_MAX);
}

static void no_operations(unsigned char *raw)
{
	head_of(raw)->ops_count = to_le16(0);
}

static void other_segment(unsigned char *raw)
{
	head_of(raw)->segment = to_le64(SEGMENT + 1);
}

static void type_zero(unsigned char *raw)
{
	op_of(raw)->type = 0;
}

static void type_between(unsigned char *raw)
{
	op_of(raw)->type = 40;
}

static void type_beyond(unsigned char *raw)
{
	op_of(raw)->type = 255;
}

static void type_without_data(unsigned char *raw)
{
	op_of(raw)->type = ZN_OP_DELETE;
}

static void name_too_long(unsigned char *raw)
{
	op_of(raw)->name_bytes = 255;
}

static void new_name_of_create(unsigned char *raw)
{
	op_of(raw)->new_name_bytes = 1;
}

static void data_too_long(unsigned char *raw)
{
	op_of(raw)->data_bytes = to_le32(UINT32_MAX);
}

static void data_too_short(unsigned char *raw)
{
	op_of(raw)->data_bytes = to_le32(0);
}

static const struct malformed malformed[] = {
	{ "decode: length zero is refused", length_zero },
	{ "decode: length that is no multiple of 8 is refused", length_odd },
	{ "decode: length past the end is refused", length_too_long },
	{ "decode: huge length is refused", length_huge },
	{ "decode: newer version is refused", version_newer },
	{ "decode: more operations than there are is refused", more_operations },
	{ "decode: the most operations is refused", most_operations },
	{ "decode: fewer operations than there are is refused", no_operations },
	{ "decode: record of another segment is refused", other_segment },
	{ "decode: operation type zero is refused", type_zero },
	{ "decode: unknown operation type is refused", type_between },
	{ "decode: operation type beyond the table is refused", type_beyond },
	{ "decode: data of an operation without data is refused", type_without_data },
	{ "decode: name past the end is refused", name_too_long },
	{ "decode: new name of a create is refused", new_name_of_create },
	{ "decode: data past the end is refused", data_too_long },
	{ "decode: bytes that no operation has are refused", data_too_short },
};

static void malformed_is_refused(void **state)
{
	const struct malformed *m = *state;
	struct record record;
	uint32_t bytes, length;
	unsigned char *raw = encoded(samples, 1, &bytes);

	m->change(raw);
	/* The checksum over what the record now claims to be, as far as there is memory. */
	length = from_le32(head_of(raw)->record_bytes);
	if (length >= 8 && length <= bytes)
		head_of(raw)->checksum = to_le64(XXH3_64bits_withSeed(raw + 8, length - 8, SEED));
	assert_int_equal(decode(raw, bytes, &record), -EBADMSG);
	free(raw);
}

static void an_epoch_among_operations_is_refused(void **unused)
{
	struct zn_op two[2] = { { .type = ZN_OP_SET, .id = 1 }, { .type = ZN_OP_SET, .id = 2 } };
	struct record record;
	uint32_t bytes;
	unsigned char *raw = encoded(two, 2, &bytes);

	(void)unused;
	op_of(raw)->type = OP_EPOCH;
	(void)record_seal(raw, SEGMENT, SEED);
	assert_int_equal(decode(raw, bytes, &record), -EBADMSG);
	free(raw);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(malformed) + 8] = {
		cmocka_unit_test_teardown(each_operation_survives_a_round_trip, teardown),
		cmocka_unit_test_teardown(all_operations_in_one_record_survive, teardown),
		cmocka_unit_test_teardown(a_record_without_operations_survives, teardown),
		cmocka_unit_test_teardown(the_epoch_record_survives, teardown),
		cmocka_unit_test_teardown(flipping_any_bit_is_refused, teardown),
		cmocka_unit_test_teardown(each_cut_is_refused, teardown),
		cmocka_unit_test_teardown(too_long_is_not_encodable, teardown),
		cmocka_unit_test_teardown(an_epoch_among_operations_is_refused, teardown),
	};

	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++)
		tests[8 + i] = (struct CMUnitTest){
			.name = malformed[i].name,
			.test_func = malformed_is_refused,
			.teardown_func = teardown,
			.initial_state = (void *)(uintptr_t)&malformed[i],
		};
	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
