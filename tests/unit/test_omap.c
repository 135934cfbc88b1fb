/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "omap.h"

#define KEYS 3000

struct item {
	struct omap_link link;
	bool present;
};

static struct item items[KEYS];
static struct omap map;

static int setup(void **unused)
{
	(void)unused;
	memset(items, 0, sizeof(items));
	omap_init(&map);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	omap_fini(&map);
	return 0;
}

static void put(size_t i, uint64_t key)
{
	items[i].link.key = key;
	items[i].present = true;
	omap_insert(&map, &items[i].link);
}

static void take(size_t i)
{
	items[i].present = false;
	omap_remove(&map, &items[i].link);
}

/* The smallest present key in from..to, by looking at all. */
static const struct item *smallest(uint64_t from, uint64_t to)
{
	const struct item *best = NULL;

	for (size_t i = 0; i < KEYS; i++) {
		const struct item *it = &items[i];

		if (it->present && it->link.key >= from && it->link.key <= to &&
		    (!best || it->link.key < best->link.key))
			best = it;
	}
	return best;
}

static uint64_t spread(size_t i)
{
	return i * UINT64_C(0x9e3779b97f4a7c15);
}

static void spreading_can_be_taken_back(void **unused)
{
	(void)unused;
	for (uint64_t n = 0; n < 1000; n++)
		assert_int_equal(omap_unspread(omap_spread(n)), n);
	for (int i = 0; i < 1000; i++) {
		uint64_t n = test_random();

		assert_int_equal(omap_unspread(omap_spread(n)), n);
	}
}

static void empty_map_finds_nothing(void **unused)
{
	(void)unused;
	assert_null(omap_find(&map, 0));
	assert_null(omap_find_within(&map, 0, UINT64_MAX));
	omap_check(&map);
}

static void smallest_and_largest_keys_are_found(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < 100; i++)
		put(i + 2, spread(i + 1));
	put(0, 0);
	put(1, UINT64_MAX);
	assert_ptr_equal(omap_find(&map, 0), &items[0].link);
	assert_ptr_equal(omap_find(&map, UINT64_MAX), &items[1].link);
	assert_ptr_equal(omap_find_within(&map, UINT64_MAX, UINT64_MAX), &items[1].link);
	assert_ptr_equal(omap_find_within(&map, 0, UINT64_MAX), &items[0].link);
	omap_check(&map);
}

static void random_changes_agree_with_an_array(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < KEYS; i++)
		items[i].link.key = spread(i);
	for (int round = 0; round < 40000; round++) {
		/* Grows, then shrinks, then grows. */
		unsigned wish = round / 10000 % 2 == 0 ? 700 : 300;
		size_t i = test_below(KEYS);

		if (items[i].present && test_below(1000) >= wish)
			take(i);
		else if (!items[i].present && test_below(1000) < wish)
			put(i, spread(i));
		if (round % 500 == 0) {
			uint64_t from = test_random(), to = from + test_random() % 100000000000000;
			const struct item *best = smallest(from, to < from ? UINT64_MAX : to);

			omap_check(&map);
			assert_ptr_equal(omap_find_within(&map, from, to < from ? UINT64_MAX : to),
					 best ? &best->link : NULL);
		}
		assert_ptr_equal(omap_find(&map, spread(i)),
				 items[i].present ? &items[i].link : NULL);
	}
}

static void walk_is_in_order_of_keys(void **unused)
{
	uint64_t last = 0, count = 0;

	(void)unused;
	for (size_t i = 0; i < KEYS; i++)
		put(i, spread(i + 1));
	for (const struct omap_link *l = omap_find_within(&map, 0, UINT64_MAX);
	     l && l->key < UINT64_MAX; l = omap_find_within(&map, l->key + 1, UINT64_MAX)) {
		assert_true(l->key > last);
		last = l->key;
		count++;
	}
	assert_int_equal(count, KEYS);
}

/* While a walk stands still the map grows and shrinks around it. */
static void walk_meets_what_stays_exactly_once(void **unused)
{
	static unsigned seen[KEYS];
	uint64_t from = 0;
	const struct omap_link *l;

	(void)unused;
	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < KEYS; i += 3)
		put(i, spread(i + 1));
	while ((l = omap_find_within(&map, from, UINT64_MAX)) != NULL && l->key < UINT64_MAX) {
		seen[container_of(l, struct item, link) - items]++;
		from = l->key + 1;
		for (int n = 0; n < 5; n++) {
			size_t i = test_below(KEYS);

			if (i % 3 == 0)
				continue;
			if (items[i].present)
				take(i);
			else
				put(i, spread(i + 1));
		}
	}
	for (size_t i = 0; i < KEYS; i += 3)
		assert_int_equal(seen[i], 1);
}

/* Keys of one range fall into one bucket: slow, but right. */
static void crowded_keys_stay_right(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < 500; i++)
		put(i, 1000 + 2 * i);
	omap_check(&map);
	for (size_t i = 0; i < 500; i++) {
		assert_ptr_equal(omap_find(&map, 1000 + 2 * i), &items[i].link);
		assert_null(omap_find(&map, 1001 + 2 * i));
	}
	for (size_t i = 0; i < 500; i++)
		take(i);
	omap_check(&map);
	assert_int_equal(map.count, 0);
}

static void emptied_map_can_be_filled_again(void **unused)
{
	(void)unused;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < KEYS; i++)
			put(i, spread(i));
		for (size_t i = 0; i < KEYS; i++)
			take(i);
		omap_check(&map);
		assert_int_equal(map.count, 0);
	}
}

#define OMAP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OMAP(spreading_can_be_taken_back),
		OMAP(empty_map_finds_nothing),
		OMAP(smallest_and_largest_keys_are_found),
		OMAP(random_changes_agree_with_an_array),
		OMAP(walk_is_in_order_of_keys),
		OMAP(walk_meets_what_stays_exactly_once),
		OMAP(crowded_keys_stay_right),
		OMAP(emptied_map_can_be_filled_again),
	};

	return cmocka_run_group_tests_name("omap", tests, NULL, NULL);
}
