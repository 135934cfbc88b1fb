/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "histogram.h"

static void empty_histogram_says_zero(void **unused)
{
	struct histogram h = { 0 };

	(void)unused;
	assert_int_equal(histogram_at(&h, 500), 0);
	assert_int_equal(histogram_at(&h, 1000), 0);
}

static void percentiles_are_right_within_an_eighth(void **unused)
{
	static const unsigned per_mille[] = { 1, 10, 500, 900, 990, 999, 1000 };
	struct histogram h = { 0 };

	(void)unused;
	for (uint64_t i = 1; i <= 100000; i++)
		histogram_add(&h, i * 1000);
	for (size_t i = 0; i < ARRAY_SIZE(per_mille); i++) {
		uint64_t exact = UINT64_C(100000) * per_mille[i];
		uint64_t got = histogram_at(&h, per_mille[i]);

		assert_true(got >= exact);
		assert_true(got <= exact + exact / 8 + 1);
	}
	assert_int_equal(h.max, 100000000);
	assert_int_equal(histogram_at(&h, 1000), 100000000);
}

static void extreme_values_fit(void **unused)
{
	struct histogram h = { 0 };

	(void)unused;
	histogram_add(&h, 0);
	assert_int_equal(histogram_at(&h, 1000), 0);
	histogram_add(&h, UINT64_MAX);
	assert_int_equal(histogram_at(&h, 500), 0);
	assert_int_equal(histogram_at(&h, 1000), UINT64_MAX);
	for (unsigned i = 0; i < 64; i++)
		histogram_add(&h, UINT64_C(1) << i);
	assert_int_equal(h.count, 66);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_histogram_says_zero),
		cmocka_unit_test(percentiles_are_right_within_an_eighth),
		cmocka_unit_test(extreme_values_fit),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
