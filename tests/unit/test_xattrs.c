/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>

#include "xattrs.h"

static void expect(const struct xattrs *list, const char *name, const char *value)
{
	struct zn_bytes found = { 0 };

	if (!value) {
		assert_int_equal(xattrs_find(list, zb(name), &found), -ENODATA);
		return;
	}
	assert_int_equal(xattrs_find(list, zb(name), &found), 0);
	assert_int_equal(found.bytes, strlen(value));
	assert_memory_equal(found.data, value, found.bytes);
}

static void empty_list_has_nothing(void **unused)
{
	struct xattrs *list = NULL;

	(void)unused;
	expect(NULL, "user.a", NULL);
	assert_int_equal(xattrs_names(NULL, NULL), 0);
	assert_int_equal(xattrs_memory(NULL), 0);
	assert_int_equal(xattrs_without(NULL, zb("user.a"), &list), -ENODATA);
	assert_null(list);
	xattrs_put(NULL);
}

static void a_change_leaves_the_old_list_alone(void **unused)
{
	struct xattrs *one, *two, *three, *none;

	(void)unused;
	assert_int_equal(xattrs_with(NULL, zb("user.a"), zb("1"), &one), 0);
	assert_int_equal(xattrs_with(one, zb("user.b"), zb(""), &two), 0);
	assert_int_equal(xattrs_with(two, zb("user.a"), zb("longer"), &three), 0);
	expect(one, "user.a", "1");
	expect(one, "user.b", NULL);
	expect(two, "user.a", "1");
	expect(two, "user.b", "");
	expect(three, "user.a", "longer");
	expect(three, "user.b", "");
	assert_int_equal(xattrs_without(one, zb("user.b"), &none), -ENODATA);
	assert_int_equal(xattrs_without(one, zb("user.a"), &none), 0);
	assert_null(none);
	xattrs_put(one);
	xattrs_put(two);
	xattrs_put(three);
}

static void names_are_listed_with_terminators(void **unused)
{
	struct xattrs *one, *two;
	char names[64];

	(void)unused;
	assert_int_equal(xattrs_with(NULL, zb("user.a"), zb("1"), &one), 0);
	assert_int_equal(xattrs_with(one, zb("user.bc"), zb("2"), &two), 0);
	assert_int_equal(xattrs_names(two, NULL), 15);
	assert_int_equal(xattrs_names(two, names), 15);
	assert_memory_equal(names, "user.a\0user.bc", 15);
	xattrs_put(one);
	xattrs_put(two);
}

static void the_list_is_bounded(void **unused)
{
	static char big[ZN_XATTR_VALUE_BYTES_MAX];
	struct xattrs *list = NULL, *next = NULL;
	unsigned n = 0;
	int r;

	(void)unused;
	for (;;) {
		char name[32];

		(void)snprintf(name, sizeof(name), "user.%u", n);
		r = xattrs_with(list, zb(name), (struct zn_bytes){ big, sizeof(big) }, &next);
		if (r < 0)
			break;
		xattrs_put(list);
		list = next;
		n++;
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, XATTRS_BYTES_MAX / sizeof(big) - 1);
	/* What is there can still be replaced. */
	assert_int_equal(xattrs_with(list, zb("user.0"), zb("x"), &next), 0);
	expect(next, "user.0", "x");
	xattrs_put(next);
	xattrs_put(list);
}

static void the_longest_name_works(void **unused)
{
	char name[ZN_XATTR_NAME_BYTES_MAX + 1];
	struct xattrs *list;

	(void)unused;
	memset(name, 'n', ZN_XATTR_NAME_BYTES_MAX);
	name[ZN_XATTR_NAME_BYTES_MAX] = '\0';
	assert_int_equal(xattrs_with(NULL, zb(name), zb("v"), &list), 0);
	expect(list, name, "v");
	assert_int_equal(xattrs_names(list, NULL), ZN_XATTR_NAME_BYTES_MAX + 1);
	xattrs_put(xattrs_get(list));
	xattrs_put(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_list_has_nothing),
		cmocka_unit_test(a_change_leaves_the_old_list_alone),
		cmocka_unit_test(names_are_listed_with_terminators),
		cmocka_unit_test(the_list_is_bounded),
		cmocka_unit_test(the_longest_name_works),
	};

	return cmocka_run_group_tests_name("xattrs", tests, NULL, NULL);
}
