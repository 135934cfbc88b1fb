/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "log.h"

#define BLOCK 4096
#define SEGMENT (256U << 10)

static struct log the_log;
static struct disk_file files[64];
static uint64_t zxid;

static int setup(void **unused)
{
	const struct log_position at = { .store_id = 5 };

	(void)unused;
	zxid = 0;
	assert_int_equal(log_init(&the_log, BLOCK, SEGMENT, &at), 0);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	log_fini(&the_log);
	return 0;
}

static void spare(void)
{
	uint64_t n = log_next_segment(&the_log);

	files[n] = (struct disk_file){ .segment = n, .bytes = SEGMENT, .fd = -1 };
	the_log.spare_state = LOG_SPARE_UNDER_WAY;
	log_spare_done(&the_log, &files[n], 0);
}

/* A record that log_seal() can walk over. */
static void append(uint64_t bytes)
{
	unsigned char *to = log_reserve(&the_log, bytes);
	struct record_head head = { .record_bytes = to_le32((uint32_t)bytes) };

	assert_non_null(to);
	memset(to, 1, bytes);
	memcpy(to, &head, sizeof(head));
	log_append(&the_log, bytes, ++zxid);
}

static struct log_batch *take(void)
{
	struct disk_file *retired;

	return log_take(&the_log, &retired);
}

static void without_a_segment_nothing_fits(void **unused)
{
	(void)unused;
	assert_false(log_can_take(&the_log, 64, 0));
	append(64);
	assert_null(take());
	spare();
	assert_true(log_can_take(&the_log, 64, 0));
	assert_non_null(the_log.first);
	log_release(&the_log, take());
}

static void batches_follow_each_other_without_a_gap(void **unused)
{
	uint64_t end = 0, sequence = 0;

	(void)unused;
	spare();
	for (unsigned i = 0; i < 20; i++) {
		struct log_batch *b;

		append(8 + 8 * (uint64_t)test_below(1000) + 40);
		append(64);
		b = take();
		assert_non_null(b);
		assert_null(take());
		assert_int_equal(b->offset, end);
		assert_int_equal(b->starts_segment, i == 0);
		assert_int_equal(b->sequence, ++sequence);
		assert_int_equal(b->bytes_count % BLOCK, 0);
		assert_int_equal(b->records_count, 2);
		assert_int_equal(b->last_zxid, zxid);
		assert_int_equal(b->first_zxid, zxid - 1);
		end = b->offset + b->bytes_count;
		log_seal(&the_log, b, 1);
		log_release(&the_log, b);
	}
}

static void a_full_segment_gives_way_to_the_next(void **unused)
{
	struct disk_file *retired = NULL;
	struct log_batch *b;

	(void)unused;
	spare();
	append(SEGMENT / 2);
	log_release(&the_log, take());
	append(SEGMENT / 2);
	assert_null(take());
	spare();
	b = log_take(&the_log, &retired);
	assert_non_null(b);
	assert_ptr_equal(retired, &files[1]);
	assert_true(b->starts_segment);
	assert_int_equal(b->file->segment, 2);
	assert_int_equal(b->offset, 0);
	assert_int_equal(log_next_segment(&the_log), 3);
	log_release(&the_log, b);
}

static void the_longest_record_fits(void **unused)
{
	uint64_t most = log_record_bytes_max(&the_log) & ~UINT64_C(7);
	struct log_batch *b;

	(void)unused;
	spare();
	assert_true(log_can_take(&the_log, most, 0));
	assert_false(log_can_take(&the_log, SEGMENT - BLOCK, 0));
	append(most);
	b = take();
	assert_non_null(b);
	assert_true(b->bytes_count <= SEGMENT);
	log_release(&the_log, b);
}

static void a_reserve_is_kept(void **unused)
{
	(void)unused;
	spare();
	append(64);
	log_release(&the_log, take());
	assert_true(log_can_take(&the_log, 64, SEGMENT - 3 * BLOCK));
	assert_false(log_can_take(&the_log, 64, SEGMENT - 2 * BLOCK));
}

static void an_unused_reservation_costs_nothing(void **unused)
{
	(void)unused;
	spare();
	assert_non_null(log_reserve(&the_log, 64));
	assert_false(log_has_pending(&the_log));
	assert_null(take());
	append(64);
	assert_non_null(the_log.first);
	log_release(&the_log, take());
}

/* Whatever log_can_take() allows can be taken, with the segments that were ready. */
static void what_was_allowed_can_always_be_taken(void **unused)
{
	(void)unused;
	spare();
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t bytes = 40 + 8 * (uint64_t)test_below(test_below(10) ? 200 : 30000);

		if (log_can_take(&the_log, bytes, 0))
			append(bytes);
		else
			while (log_has_pending(&the_log)) {
				struct log_batch *b = take();

				assert_non_null(b);
				assert_true(b->offset + b->bytes_count <= b->file->bytes);
				log_release(&the_log, b);
			}
		if (the_log.spare_state != LOG_SPARE_READY &&
		    log_next_segment(&the_log) < ARRAY_SIZE(files) && test_below(4) == 0)
			spare();
	}
}

#define LOG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG(without_a_segment_nothing_fits),
		LOG(batches_follow_each_other_without_a_gap),
		LOG(a_full_segment_gives_way_to_the_next),
		LOG(the_longest_record_fits),
		LOG(a_reserve_is_kept),
		LOG(an_unused_reservation_costs_nothing),
		LOG(what_was_allowed_can_always_be_taken),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
