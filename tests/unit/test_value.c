/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>

#include "value.h"

#define MOST (5 * VALUE_CHUNK_BYTES)
#define READERS 24

/* The value, and what it should be. */
static struct data data;
static unsigned char model[MOST];
static size_t model_bytes;

/* Somebody who reads for a while: a reference, a size, and what it saw. */
struct reader {
	struct data data;
	unsigned char *saw;
};
static struct reader readers[READERS];

static unsigned char noise[MOST];

static int setup(void **unused)
{
	(void)unused;
	data = (struct data){ NULL, 0 };
	model_bytes = 0;
	memset(model, 0, sizeof(model));
	for (size_t i = 0; i < MOST; i++)
		noise[i] = (unsigned char)test_random();
	return 0;
}

static void reader_put(struct reader *r)
{
	value_put(r->data.value);
	free(r->saw);
	*r = (struct reader){ 0 };
}

static int teardown(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < READERS; i++)
		reader_put(&readers[i]);
	value_put(data.value);
	return 0;
}

static bool data_equals(const struct data *d, const unsigned char *bytes)
{
	struct iovec iov[MOST / VALUE_CHUNK_BYTES + 2];
	size_t got, at = 0;
	unsigned n = data_iov(d, 0, MOST, iov, &got);

	for (unsigned i = 0; i < n; i++) {
		if (memcmp(iov[i].iov_base, bytes + at, iov[i].iov_len) != 0)
			return false;
		at += iov[i].iov_len;
	}
	return at == d->bytes && got == at;
}

static void check(void)
{
	assert_int_equal(data.bytes, model_bytes);
	assert_true(data_equals(&data, model));
	for (size_t i = 0; i < READERS; i++) {
		if (readers[i].saw)
			assert_true(data_equals(&readers[i].data, readers[i].saw));
	}
}

static void do_set(size_t bytes)
{
	const unsigned char *from = noise + test_below((unsigned)(MOST - bytes + 1));

	assert_int_equal(data_set(&data, from, bytes), 0);
	memcpy(model, from, bytes);
	model_bytes = bytes;
}

static void do_write(size_t offset, size_t bytes)
{
	const unsigned char *from = noise + test_below((unsigned)(MOST - bytes + 1));

	assert_int_equal(data_write(&data, offset, from, bytes), 0);
	if (bytes == 0)
		return;
	if (offset > model_bytes)
		memset(model + model_bytes, 0, offset - model_bytes);
	memcpy(model + offset, from, bytes);
	if (offset + bytes > model_bytes)
		model_bytes = offset + bytes;
}

static void do_truncate(size_t bytes)
{
	assert_int_equal(data_truncate(&data, bytes), 0);
	if (bytes > model_bytes)
		memset(model + model_bytes, 0, bytes - model_bytes);
	model_bytes = bytes;
}

static void do_reader(void)
{
	struct reader *r = &readers[test_below(READERS)];

	if (r->saw) {
		reader_put(r);
		return;
	}
	r->data = (struct data){ value_get(data.value), data.bytes };
	r->saw = malloc(model_bytes + 1);
	memcpy(r->saw, model, model_bytes);
}

/* Sizes near the edges of chunks are the interesting ones. */
static size_t size_up_to(size_t most)
{
	size_t n;

	switch (test_below(4)) {
	case 0:
		n = test_below(200);
		break;
	case 1:
		n = VALUE_CHUNK_BYTES * test_below(6) + test_below(3) - 1;
		break;
	default:
		n = test_below(MOST);
		break;
	}
	return n > most ? most : n;
}

static void random_changes(unsigned rounds, size_t most, bool with_readers)
{
	for (unsigned i = 0; i < rounds; i++) {
		size_t offset, bytes;

		switch (test_below(with_readers ? 8 : 6)) {
		case 0:
			do_set(size_up_to(most));
			break;
		case 1:
			do_truncate(size_up_to(most));
			break;
		case 2:
			offset = size_up_to(most);
			bytes = size_up_to(most - offset);
			do_write(offset, bytes);
			break;
		case 6:
		case 7:
			do_reader();
			break;
		default:
			bytes = test_below(300);
			if (model_bytes + bytes <= most)
				do_write(model_bytes, bytes);
			break;
		}
		check();
	}
}

static void random_changes_of_small_values_agree(void **unused)
{
	(void)unused;
	random_changes(3000, 500, true);
}

static void random_changes_of_large_values_agree(void **unused)
{
	(void)unused;
	random_changes(800, MOST, true);
}

static void random_changes_without_readers_agree(void **unused)
{
	(void)unused;
	random_changes(800, MOST, false);
}

static void appends_do_not_copy_what_is_there(void **unused)
{
	const struct value *last = NULL;
	unsigned moves = 0;

	(void)unused;
	for (unsigned i = 0; i < MOST / 64 - 1; i++) {
		do_write(model_bytes, 64);
		moves += data.value != last;
		last = data.value;
	}
	check();
	assert_true(moves < 40);
}

/* A reader at the end does not make the writer copy, and does not see what comes behind. */
static void appending_under_a_reader_is_in_place(void **unused)
{
	const struct value *v;

	(void)unused;
	do_set(1000);
	do_write(1000, 1);
	v = data.value;
	readers[0].data = (struct data){ value_get(data.value), data.bytes };
	readers[0].saw = malloc(model_bytes);
	memcpy(readers[0].saw, model, model_bytes);
	do_write(model_bytes, 100);
	assert_ptr_equal(data.value, v);
	check();
}

/* After a roll-back to a shorter size, another append must not touch what a reader was given. */
static void append_after_roll_back_copies(void **unused)
{
	struct data before;

	(void)unused;
	do_set(100);
	do_write(100, 10);
	before = (struct data){ value_get(data.value), data.bytes };
	do_write(110, 10);
	readers[0].data = (struct data){ value_get(data.value), data.bytes };
	readers[0].saw = malloc(model_bytes);
	memcpy(readers[0].saw, model, model_bytes);
	value_put(data.value);
	data = before;
	model_bytes = 110;
	do_write(110, 10);
	check();
}

static void too_large_is_refused_and_changes_nothing(void **unused)
{
	(void)unused;
	do_set(100);
	assert_int_equal(data_write(&data, VALUE_BYTES_MAX, noise, 1), -EFBIG);
	assert_int_equal(data_write(&data, UINT64_MAX, noise, 2), -EFBIG);
	assert_int_equal(data_truncate(&data, UINT64_C(1) + VALUE_BYTES_MAX), -EFBIG);
	check();
}

static void reading_is_cut_at_the_end(void **unused)
{
	struct iovec iov[4];
	unsigned char to[64];
	size_t got;

	(void)unused;
	do_set(VALUE_CHUNK_BYTES + 10);
	assert_int_equal(data_iov(&data, VALUE_CHUNK_BYTES - 5, 100, iov, &got), 2);
	assert_int_equal(got, 15);
	assert_int_equal(data_iov(&data, VALUE_CHUNK_BYTES + 10, 100, iov, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(data_iov(&data, UINT64_MAX, 100, iov, &got), 0);
	assert_int_equal(data_copy(&data, VALUE_CHUNK_BYTES - 5, to, sizeof(to)), 15);
	assert_memory_equal(to, model + VALUE_CHUNK_BYTES - 5, 15);
	assert_int_equal(data_copy(&data, UINT64_MAX, to, 1), 0);
}

static void cut_value_gives_its_memory_back(void **unused)
{
	(void)unused;
	do_set(MOST);
	do_truncate(10);
	assert_true(value_memory(data.value) < 200);
	do_truncate(0);
	assert_null(data.value);
	assert_int_equal(value_memory(NULL), 0);
	check();
}

#define VALUE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VALUE(random_changes_of_small_values_agree),
		VALUE(random_changes_of_large_values_agree),
		VALUE(random_changes_without_readers_agree),
		VALUE(appends_do_not_copy_what_is_there),
		VALUE(appending_under_a_reader_is_in_place),
		VALUE(append_after_roll_back_copies),
		VALUE(too_large_is_refused_and_changes_nothing),
		VALUE(reading_is_cut_at_the_end),
		VALUE(cut_value_gives_its_memory_back),
	};

	return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
