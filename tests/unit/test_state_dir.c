/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state_dir.h"

static char *base;
static char *path;
static char error[STATE_DIR_ERROR_BYTES];

static int setup(void **unused)
{
	(void)unused;
	base = directory_new_fast();
	path = path_of(base, "state");
	error[0] = '\0';
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	free(path);
	directory_remove(base);
	return 0;
}

static void put(const char *name)
{
	char *file = path_of(path, name);

	file_write(file, "x", 1);
	free(file);
}

static void it_is_made_on_first_use(void **unused)
{
	struct state_dir dir;
	struct stat st;

	(void)unused;
	assert_int_equal(state_dir_open(&dir, path, error), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(faccessat(dir.fd, "log", F_OK, 0), 0);
	assert_true(dir.is_new);
	assert_int_equal(state_dir_format(&dir, error), 0);
	assert_int_equal(faccessat(dir.fd, "format", F_OK, 0), 0);
	state_dir_close(&dir);
	assert_int_equal(state_dir_open(&dir, path, error), 0);
	assert_false(dir.is_new);
	state_dir_close(&dir);
}

static void it_is_held_by_one(void **unused)
{
	struct state_dir dir, second;

	(void)unused;
	assert_int_equal(state_dir_open(&dir, path, error), 0);
	state_dir_sign(&dir);
	assert_int_equal(state_dir_open(&second, path, error), -EBUSY);
	assert_non_null(strstr(error, "in use"));
	state_dir_close(&dir);
	assert_int_equal(state_dir_open(&dir, path, error), 0);
	state_dir_close(&dir);
}

static void a_directory_with_other_things_is_refused(void **unused)
{
	struct state_dir dir;

	(void)unused;
	assert_int_equal(mkdir(path, 0700), 0);
	put("thesis.tex");
	assert_int_equal(state_dir_open(&dir, path, error), -ENOTEMPTY);
	assert_non_null(strstr(error, "thesis.tex"));
}

static void a_first_start_that_was_cut_short_goes_on(void **unused)
{
	struct state_dir dir;

	(void)unused;
	assert_int_equal(mkdir(path, 0700), 0);
	put("format.tmp");
	put("lock");
	assert_int_equal(state_dir_open(&dir, path, error), 0);
	state_dir_close(&dir);
}

static void a_missing_parent_is_named(void **unused)
{
	struct state_dir dir;
	char *deep = path_of(path, "a/b");

	(void)unused;
	assert_int_equal(state_dir_open(&dir, deep, error), -ENOENT);
	assert_non_null(strstr(error, deep));
	free(deep);
}

static void a_file_is_no_directory(void **unused)
{
	struct state_dir dir;

	(void)unused;
	file_write(path, "x", 1);
	assert_int_equal(state_dir_open(&dir, path, error), -ENOTDIR);
	assert_non_null(strstr(error, path));
}

#define STATE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATE(it_is_made_on_first_use),
		STATE(it_is_held_by_one),
		STATE(a_directory_with_other_things_is_refused),
		STATE(a_first_start_that_was_cut_short_goes_on),
		STATE(a_missing_parent_is_named),
		STATE(a_file_is_no_directory),
	};

	return cmocka_run_group_tests_name("state_dir", tests, NULL, NULL);
}
