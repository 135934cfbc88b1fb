/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damage on real files: a store of three segments is written once; each test works on a copy of it.
 * Whatever is wrong with an old segment, the start is refused with the file's name in the message, and
 * not a byte on the disk is changed by that.
 */
#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "log_format.h"

#define VALUES 40
#define VALUE_BYTES 262144
#define BLOCK 4096

static char *sample; /* the store that is copied; closed */
static char *state;  /* this test's copy */
static uint64_t ids[VALUES];
static uint64_t root_zxid;

static void value_fill(unsigned char *to, unsigned n)
{
	for (size_t i = 0; i < VALUE_BYTES; i++)
		to[i] = (unsigned char)(n + i * 31 + (i >> 9));
}

/* Some of every kind of operation first, so that their bytes are in segment 1. */
static void write_operations(struct zn_store *store)
{
	uint64_t dir = store_create(store, ZN_ROOT_ID, "dir", S_IFDIR | 0755, "");
	uint64_t file = store_create(store, dir, "file", S_IFREG | 0644, "content");
	struct zn_op ops[] = {
		{ .type = ZN_OP_SET, .id = file, .data = zb("new"), .version = ZN_ANY_VERSION },
		{ .type = ZN_OP_WRITE,
		  .id = file,
		  .offset = 5,
		  .data = zb("more"),
		  .version = ZN_ANY_VERSION },
		{ .type = ZN_OP_TRUNCATE, .id = file, .offset = 8, .version = ZN_ANY_VERSION },
		{ .type = ZN_OP_LINK, .id = file, .new_parent = ZN_ROOT_ID, .new_name = zb("link") },
		{ .type = ZN_OP_RENAME,
		  .parent = ZN_ROOT_ID,
		  .name = zb("link"),
		  .new_parent = dir,
		  .new_name = zb("moved") },
		{ .type = ZN_OP_SETATTR,
		  .id = file,
		  .flags = ZN_SET_MODE | ZN_SET_UID,
		  .mode = 0600,
		  .uid = 7 },
		{ .type = ZN_OP_SETXATTR, .id = file, .name = zb("user.a"), .data = zb("value") },
		{ .type = ZN_OP_REMOVEXATTR, .id = file, .name = zb("user.a") },
		{ .type = ZN_OP_DELETE,
		  .parent = dir,
		  .name = zb("moved"),
		  .version = ZN_ANY_VERSION },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		assert_int_equal(store_txn(store, &ops[i], 1, ZN_REQ_MAY_BLOCK), 0);
}

static int write_sample(void **unused)
{
	unsigned char *value = malloc(VALUE_BYTES);
	struct zn_store *store;

	(void)unused;
	sample = directory_new_fast();
	store = store_open(sample, NULL);
	write_operations(store);
	for (unsigned i = 0; i < VALUES; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "v%u", i);
		ids[i] = store_create(store, ZN_ROOT_ID, name, S_IFREG | 0644, "");
		value_fill(value, i);
		assert_int_equal(store_set(store, ids[i], value, VALUE_BYTES), 0);
	}
	root_zxid = store_stats(store).zxid_durable;
	zn_store_close(store);
	free(value);
	return 0;
}

static int remove_sample(void **unused)
{
	(void)unused;
	directory_remove(sample);
	return 0;
}

static int copy_sample(void **unused)
{
	(void)unused;
	state = directory_new_fast();
	directory_copy(sample, state);
	return 0;
}

static int remove_copy(void **unused)
{
	(void)unused;
	directory_remove(state);
	return 0;
}

/* The start is refused with one of these results (0: any), names @file, and changes nothing. */
static void expect_refusal_as(const int *results, size_t count, const char *file)
{
	char error[ZN_LOCAL_ERROR_BYTES] = "";
	struct zn_store *store = NULL;
	uint64_t before = directory_picture(state);
	int r = store_try(state, &store, error);
	bool known = count == 0 && r < 0;

	for (size_t i = 0; i < count; i++)
		known |= r == results[i];
	if (!known)
		fail_msg("opened with %d: %s", r, error);
	if (!strstr(error, file))
		fail_msg("the message does not name %s: %s", file, error);
	if (directory_picture(state) != before)
		fail_msg("the refusal changed the disk: %s", error);
}

static void expect_refusal(const char *file)
{
	static const int results[] = { -EBADMSG, -EUCLEAN, -EPROTONOSUPPORT };

	expect_refusal_as(results, ARRAY_SIZE(results), file);
}

static void flip_and_expect_refusal(unsigned segment, size_t offset, unsigned bit)
{
	char *path = segment_path(state, segment);
	char name[32];

	(void)snprintf(name, sizeof(name), "%016x.seg", segment);
	file_flip(path, offset, bit);
	expect_refusal(name);
	file_flip(path, offset, bit);
	free(path);
}

struct field {
	const char *name;
	size_t offset;
	size_t bytes;
};

#define FIELD(type, name) \
	{ \
#type "." #name, offsetof(struct type, name), sizeof(((struct type *)0)->name) \
	}

static const struct field segment_fields[] = {
	FIELD(segment_head, magic),          FIELD(segment_head, version),
	FIELD(segment_head, head_bytes),     FIELD(segment_head, compatible),
	FIELD(segment_head, incompatible),   FIELD(segment_head, segment),
	FIELD(segment_head, segment_bytes),  FIELD(segment_head, block_bytes),
	FIELD(segment_head, reserved),       FIELD(segment_head, store_id),
	FIELD(segment_head, first_sequence), FIELD(segment_head, base_zxid),
	FIELD(segment_head, previous_end),   FIELD(segment_head, previous_chain),
	FIELD(segment_head, created_ns),     FIELD(segment_head, checksum),
};

static const struct field batch_fields[] = {
	FIELD(batch_head, magic),         FIELD(batch_head, version),
	FIELD(batch_head, head_bytes),    FIELD(batch_head, batch_bytes),
	FIELD(batch_head, records_bytes), FIELD(batch_head, records_count),
	FIELD(batch_head, reserved),      FIELD(batch_head, segment),
	FIELD(batch_head, sequence),      FIELD(batch_head, first_zxid),
	FIELD(batch_head, last_zxid),     FIELD(batch_head, chain),
	FIELD(batch_head, body_checksum), FIELD(batch_head, checksum),
};

static const struct field record_fields[] = {
	FIELD(record_head, checksum), FIELD(record_head, record_bytes),
	FIELD(record_head, version),  FIELD(record_head, ops_count),
	FIELD(record_head, zxid),     FIELD(record_head, time_ns),
	FIELD(record_head, segment),
};

/* All bits of small fields would take long: the first, the last and one between. */
static void flip_fields(unsigned segment, size_t at, const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct field *f = &fields[i];

		print_message("%s\n", f->name);
		flip_and_expect_refusal(segment, at + f->offset, 0);
		flip_and_expect_refusal(segment, at + f->offset + f->bytes - 1, 7);
		flip_and_expect_refusal(segment, at + f->offset + test_below((unsigned)f->bytes),
					test_below(8));
	}
}

static void flipped_bit_in_a_segment_head_is_refused(void **unused)
{
	(void)unused;
	flip_fields(1, 0, segment_fields, ARRAY_SIZE(segment_fields));
}

static void flipped_bit_in_a_later_segment_head_is_refused(void **unused)
{
	(void)unused;
	flip_fields(2, 0, segment_fields, ARRAY_SIZE(segment_fields));
}

static void flipped_bit_in_a_batch_head_is_refused(void **unused)
{
	(void)unused;
	flip_fields(1, BLOCK, batch_fields, ARRAY_SIZE(batch_fields));
	flip_fields(2, BLOCK, batch_fields, ARRAY_SIZE(batch_fields));
}

static void flipped_bit_in_a_record_head_is_refused(void **unused)
{
	(void)unused;
	flip_fields(1, BLOCK + sizeof(struct batch_head), record_fields, ARRAY_SIZE(record_fields));
}

/* The batches of the operations that write_operations() made, one block each, behind the epoch's. */
static void flipped_bit_anywhere_in_an_operation_is_refused(void **unused)
{
	char *path = segment_path(state, 1);
	size_t bytes;
	unsigned char *segment = file_read(path, &bytes);
	size_t start = sizeof(struct batch_head) + sizeof(struct record_head);

	(void)unused;
	for (size_t at = BLOCK; at < 12U * BLOCK; at += BLOCK) {
		struct batch_head head;
		size_t end;

		memcpy(&head, segment + at, sizeof(head));
		assert_int_equal(from_le32(head.magic), BATCH_MAGIC);
		end = sizeof(head) + from_le32(head.records_bytes);
		for (size_t i = start; i < end; i += 1 + test_below(9))
			flip_and_expect_refusal(1, at + i, test_below(8));
	}
	free(segment);
	free(path);
}

static void flipped_bit_in_padding_of_a_batch_is_refused(void **unused)
{
	(void)unused;
	flip_and_expect_refusal(1, BLOCK + BLOCK - 1, 3);
}

static void flipped_bits_in_data_are_refused(void **unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++)
		flip_and_expect_refusal(1, 20U * BLOCK + test_below(3U << 20), test_below(8));
}

static void missing_first_segment_is_refused(void **unused)
{
	char *path = segment_path(state, 1);

	(void)unused;
	assert_int_equal(unlink(path), 0);
	expect_refusal("0000000000000001.seg");
	free(path);
}

static void missing_middle_segment_is_refused(void **unused)
{
	char *path = segment_path(state, 2);

	(void)unused;
	assert_int_equal(unlink(path), 0);
	expect_refusal("0000000000000002.seg");
	free(path);
}

static void truncated_segment_is_refused(void **unused)
{
	static const off_t sizes[] = { 0,
				       100,
				       BLOCK,
				       2 * BLOCK,
				       1000000,
				       (4 << 20) - BLOCK,
				       (4 << 20) - 1,
				       (4 << 20) + BLOCK };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (unsigned n = 1; n <= 2; n++) {
			char *path = segment_path(state, n);
			size_t bytes;
			unsigned char *was = file_read(path, &bytes);
			char name[32];

			(void)snprintf(name, sizeof(name), "%016x.seg", n);
			assert_int_equal(truncate(path, sizes[i]), 0);
			expect_refusal(name);
			file_write(path, was, bytes);
			free(was);
			free(path);
		}
	}
}

/* A store that has begun has a log. */
static void missing_log_is_refused(void **unused)
{
	(void)unused;
	for (unsigned n = 1; n <= 4; n++) {
		char *path = segment_path(state, n);

		(void)unlink(path);
		free(path);
	}
	expect_refusal_as(NULL, 0, state);
}

static void swapped_segments_are_refused(void **unused)
{
	char *a = segment_path(state, 1), *b = segment_path(state, 2), *c = path_of(state, "swap");

	(void)unused;
	assert_int_equal(rename(a, c), 0);
	assert_int_equal(rename(b, a), 0);
	assert_int_equal(rename(c, b), 0);
	expect_refusal(".seg");
	free(a);
	free(b);
	free(c);
}

static void foreign_file_is_refused_by_name(void **unused)
{
	static const char *const names[] = { "log/notes.txt", "log/1.seg",
					     "log/0000000000000001.seg.bak",
					     "log/000000000000000A.seg",
					     "log/0000000000000000.seg" };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *path = path_of(state, names[i]);

		file_write(path, "x", 1);
		expect_refusal(strrchr(names[i], '/') + 1);
		assert_int_equal(unlink(path), 0);
		free(path);
	}
}

static void text_under_a_segments_name_is_refused(void **unused)
{
	unsigned char *text = malloc(SEGMENT_BYTES);
	char *path = segment_path(state, 1);

	(void)unused;
	memset(text, 'x', SEGMENT_BYTES);
	file_write(path, text, SEGMENT_BYTES);
	expect_refusal("0000000000000001.seg");
	free(text);
	free(path);
}

static void directory_under_a_segments_name_is_refused(void **unused)
{
	char *path = segment_path(state, 3);

	(void)unused;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refusal_as(NULL, 0, "0000000000000003.seg");
	free(path);
}

static void segment_of_another_store_is_refused(void **unused)
{
	char *other = directory_new_fast(), *from, *to;
	struct zn_store *store = store_open(other, NULL);
	unsigned char value[1] = { 0 };
	uint64_t id = store_create(store, ZN_ROOT_ID, "x", S_IFREG, "");
	unsigned char *segment;
	size_t bytes;

	(void)unused;
	assert_int_equal(store_set(store, id, value, 1), 0);
	zn_store_close(store);
	for (unsigned n = 1; n <= 2; n++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "%016x.seg", n);
		from = segment_path(other, 1);
		to = segment_path(state, n);
		segment = file_read(from, &bytes);
		/* Under the second number its head has to be made to fit. */
		if (n == 2) {
			struct segment_head head;

			memcpy(&head, segment, sizeof(head));
			head.segment = to_le64(2);
			head.checksum = to_le64(
				XXH3_64bits_withSeed(&head, offsetof(struct segment_head, checksum),
						     from_le64(head.store_id)));
			memcpy(segment, &head, sizeof(head));
		}
		{
			size_t kept_bytes;
			unsigned char *kept = file_read(to, &kept_bytes);

			file_write(to, segment, bytes);
			/* With a foreign first segment it is the second that does not follow. */
			expect_refusal(n == 1 ? ".seg" : name);
			file_write(to, kept, kept_bytes);
			free(kept);
		}
		free(segment);
		free(from);
		free(to);
	}
	directory_remove(other);
}

/* Changes a head and makes its checksum right again: not damage, but another program's. */
static void rewrite_head(unsigned n, void (*change)(struct segment_head *head))
{
	char *path = segment_path(state, n);
	size_t bytes;
	unsigned char *segment = file_read(path, &bytes);
	struct segment_head head;

	memcpy(&head, segment, sizeof(head));
	change(&head);
	head.checksum = to_le64(XXH3_64bits_withSeed(&head, offsetof(struct segment_head, checksum),
						     from_le64(head.store_id)));
	memcpy(segment, &head, sizeof(head));
	file_write(path, segment, bytes);
	free(segment);
	free(path);
}

static void make_newer(struct segment_head *head)
{
	head->version = to_le16(LOG_FORMAT_VERSION + 1);
}

static void make_incompatible(struct segment_head *head)
{
	head->incompatible = to_le32(1);
}

static void make_compatible(struct segment_head *head)
{
	head->compatible = to_le32(1);
}

static void newer_segment_version_is_refused(void **unused)
{
	static const int unsupported = -EPROTONOSUPPORT;

	(void)unused;
	rewrite_head(2, make_newer);
	expect_refusal_as(&unsupported, 1, "0000000000000002.seg");
}

static void unknown_incompatible_feature_is_refused(void **unused)
{
	static const int unsupported = -EPROTONOSUPPORT;

	(void)unused;
	rewrite_head(1, make_incompatible);
	expect_refusal_as(&unsupported, 1, "0000000000000001.seg");
}

static void unknown_compatible_feature_is_ignored(void **unused)
{
	(void)unused;
	rewrite_head(1, make_compatible);
	zn_store_close(store_open(state, NULL));
}

static void newer_format_file_is_refused(void **unused)
{
	static const int unsupported = -EPROTONOSUPPORT;
	const char text[] = "znodefs state directory, format 2\n";
	char *path = path_of(state, "format");

	(void)unused;
	file_write(path, text, sizeof(text) - 1);
	expect_refusal_as(&unsupported, 1, state);
	free(path);
}

static void damaged_format_file_is_refused(void **unused)
{
	char *path = path_of(state, "format");

	(void)unused;
	file_write(path, "", 0);
	expect_refusal("format");
	file_write(path, "something else\n", 15);
	expect_refusal("format");
	free(path);
}

static void zeroed_segment_head_is_refused(void **unused)
{
	(void)unused;
	for (unsigned n = 1; n <= 2; n++) {
		static const unsigned char zeros[BLOCK];
		char *path = segment_path(state, n);
		size_t bytes;
		unsigned char *segment = file_read(path, &bytes);
		unsigned char *kept = file_read(path, &bytes);
		char name[32];

		(void)snprintf(name, sizeof(name), "%016x.seg", n);
		memcpy(segment, zeros, BLOCK);
		file_write(path, segment, bytes);
		/* The message names the place where the log ends, or the head that is gone. */
		expect_refusal(".seg");
		file_write(path, kept, bytes);
		free(segment);
		free(kept);
		free(path);
	}
}

static void old_batch_of_zeros_is_refused(void **unused)
{
	char *path = segment_path(state, 1);
	size_t bytes;
	unsigned char *segment = file_read(path, &bytes);

	(void)unused;
	memset(segment + 3L * BLOCK, 0, BLOCK);
	file_write(path, segment, bytes);
	expect_refusal("0000000000000001.seg");
	free(segment);
	free(path);
}

static void old_batch_written_over_by_an_older_one_is_refused(void **unused)
{
	char *path = segment_path(state, 1);
	size_t bytes;
	unsigned char *segment = file_read(path, &bytes);

	(void)unused;
	memcpy(segment + 4L * BLOCK, segment + 3L * BLOCK, BLOCK);
	file_write(path, segment, bytes);
	expect_refusal("0000000000000001.seg");
	free(segment);
	free(path);
}

/* --- torn tail --------------------------------------------------------------------------------- */

/* Finds the last batch of the log: segment number, offset, length. */
static void find_last_batch(unsigned *ret_segment, size_t *ret_offset, size_t *ret_bytes)
{
	uint64_t last = 0;

	for (unsigned n = 1; n <= 4; n++) {
		char *path = segment_path(state, n);
		size_t bytes;
		unsigned char *segment;

		if (access(path, F_OK) < 0) {
			free(path);
			break;
		}
		segment = file_read(path, &bytes);
		for (size_t at = BLOCK; at < bytes; at += BLOCK) {
			struct batch_head head;

			memcpy(&head, segment + at, sizeof(head));
			if (from_le32(head.magic) != BATCH_MAGIC ||
			    from_le64(head.sequence) <= last)
				continue;
			last = from_le64(head.sequence);
			*ret_segment = n;
			*ret_offset = at;
			*ret_bytes = from_le32(head.batch_bytes);
		}
		free(segment);
		free(path);
	}
	assert_true(last > 0);
}

static void check_values(struct zn_store *store, unsigned count)
{
	unsigned char *value = malloc(VALUE_BYTES);

	for (unsigned i = 0; i < count; i++) {
		value_fill(value, i);
		assert_true(store_data_is(store, ids[i], value, VALUE_BYTES));
	}
	free(value);
}

/* Any subset of the last batch's sectors may have reached the disk. All before it is there. */
static void torn_last_batch_is_cut_off(void **unused)
{
	unsigned segment = 0;
	size_t offset = 0, length = 0, bytes;
	unsigned char *whole, *torn;
	char *path;

	(void)unused;
	find_last_batch(&segment, &offset, &length);
	assert_true(length > VALUE_BYTES);
	path = segment_path(state, segment);
	whole = file_read(path, &bytes);
	torn = malloc(bytes);
	for (unsigned round = 0; round < 12; round++) {
		struct zn_store *store;
		size_t sectors = length / 512, lost = 0;
		char *copy;
		char *was = state;

		memcpy(torn, whole, bytes);
		for (size_t i = 0; i < sectors; i++) {
			bool drop = round == 0   ? true
				    : round == 1 ? i == 0
				    : round == 2 ? i > 0
				    : round == 3 ? i == sectors - 1 && whole[offset + 512 * i]
						 : test_below(2) == 0;

			if (!drop)
				continue;
			memset(torn + offset + 512 * i, 0, 512);
			lost++;
		}
		copy = directory_new_fast();
		directory_copy(was, copy);
		state = copy;
		free(path);
		path = segment_path(copy, segment);
		file_write(path, torn, bytes);
		store = store_open(copy, NULL);
		check_values(store, VALUES - 1);
		if (lost > 1) {
			assert_true(store_data_is(store, ids[VALUES - 1], "", 0));
			/* The place is used again. */
			assert_int_equal(store_set(store, ids[VALUES - 1], "again", 5), 0);
		}
		zn_store_close(store);
		store = store_open(copy, NULL);
		check_values(store, VALUES - 1);
		if (lost > 1)
			assert_true(store_data_is(store, ids[VALUES - 1], "again", 5));
		zn_store_close(store);
		directory_remove(copy);
		state = was;
	}
	free(path);
	free(whole);
	free(torn);
}

/* Garbage behind the end, left by who knows whom, is not a batch. */
static void noise_behind_the_end_is_ignored(void **unused)
{
	unsigned segment = 0;
	size_t offset = 0, length = 0, bytes;
	struct zn_store *store;
	unsigned char *whole;
	char *path;

	(void)unused;
	find_last_batch(&segment, &offset, &length);
	path = segment_path(state, segment);
	whole = file_read(path, &bytes);
	for (size_t i = offset + length; i < bytes; i++)
		whole[i] = (unsigned char)test_random();
	file_write(path, whole, bytes);
	store = store_open(state, NULL);
	check_values(store, VALUES);
	zn_store_close(store);
	free(path);
	free(whole);
}

static void undamaged_copy_opens_with_all_values(void **unused)
{
	struct zn_store *store = store_open(state, NULL);
	struct zn_stat stat;

	(void)unused;
	check_values(store, VALUES);
	assert_int_equal(store_lookup(store, ZN_ROOT_ID, "dir", &stat), 0);
	assert_int_equal(store_lookup(store, stat.id, "file", &stat), 0);
	assert_true(store_data_is(store, stat.id, "new\0\0mor", 8));
	assert_int_equal(stat.uid, 7);
	assert_int_equal(stat.mode, S_IFREG | 0600);
	assert_int_equal(stat.nlink, 1);
	assert_true(store_stats(store).zxid_durable > root_zxid);
	zn_store_close(store);
}

#define DAMAGE(test) cmocka_unit_test_setup_teardown(test, copy_sample, remove_copy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DAMAGE(undamaged_copy_opens_with_all_values),
		DAMAGE(flipped_bit_in_a_segment_head_is_refused),
		DAMAGE(flipped_bit_in_a_later_segment_head_is_refused),
		DAMAGE(flipped_bit_in_a_batch_head_is_refused),
		DAMAGE(flipped_bit_in_a_record_head_is_refused),
		DAMAGE(flipped_bit_anywhere_in_an_operation_is_refused),
		DAMAGE(flipped_bit_in_padding_of_a_batch_is_refused),
		DAMAGE(flipped_bits_in_data_are_refused),
		DAMAGE(missing_first_segment_is_refused),
		DAMAGE(missing_middle_segment_is_refused),
		DAMAGE(truncated_segment_is_refused),
		DAMAGE(missing_log_is_refused),
		DAMAGE(swapped_segments_are_refused),
		DAMAGE(foreign_file_is_refused_by_name),
		DAMAGE(text_under_a_segments_name_is_refused),
		DAMAGE(directory_under_a_segments_name_is_refused),
		DAMAGE(segment_of_another_store_is_refused),
		DAMAGE(newer_segment_version_is_refused),
		DAMAGE(unknown_incompatible_feature_is_refused),
		DAMAGE(unknown_compatible_feature_is_ignored),
		DAMAGE(newer_format_file_is_refused),
		DAMAGE(damaged_format_file_is_refused),
		DAMAGE(zeroed_segment_head_is_refused),
		DAMAGE(old_batch_of_zeros_is_refused),
		DAMAGE(old_batch_written_over_by_an_older_one_is_refused),
		DAMAGE(torn_last_batch_is_cut_off),
		DAMAGE(noise_behind_the_end_is_ignored),
	};

	return cmocka_run_group_tests_name("damage", tests, write_sample, remove_sample);
}
