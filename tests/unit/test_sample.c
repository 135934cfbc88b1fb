/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Old files open: tests/data/state-format1.tar.xz was written by the first version of format 1. Run with
 * ZN_WRITE_SAMPLE=DIRECTORY it writes such a state directory instead, to be packed with
 *   tar -C DIRECTORY --sort=name --exclude=lock -cJf tests/data/state-format1.tar.xz .
 */
#include "support.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLE "tests/data/state-format1.tar.xz"

static void txn(struct zn_store *store, struct zn_op op)
{
	op.version = ZN_ANY_VERSION;
	assert_int_equal(store_txn(store, &op, 1, ZN_REQ_MAY_BLOCK), 0);
}

static void write_sample(const char *directory)
{
	struct zn_store *store = store_open(directory, NULL);
	uint64_t dir = store_create(store, ZN_ROOT_ID, "dir", S_IFDIR | 02755, "");
	uint64_t file = store_create(store, dir, "file", S_IFREG | 0640, "0123456789");
	static unsigned char big[100000];

	txn(store,
	    (struct zn_op){ .type = ZN_OP_WRITE, .id = file, .offset = 8, .data = zb("abc") });
	txn(store, (struct zn_op){ .type = ZN_OP_TRUNCATE, .id = file, .offset = 10 });
	txn(store,
	    (struct zn_op){
		    .type = ZN_OP_LINK, .id = file, .new_parent = 1, .new_name = zb("hard") });
	txn(store, (struct zn_op){ .type = ZN_OP_SETATTR,
				   .id = file,
				   .flags = ZN_SET_UID | ZN_SET_MTIME,
				   .uid = 1234,
				   .mtime_ns = 1000000007 });
	txn(store,
	    (struct zn_op){
		    .type = ZN_OP_SETXATTR, .id = file, .name = zb("user.a"), .data = zb("v") });
	txn(store,
	    (struct zn_op){
		    .type = ZN_OP_SETXATTR, .id = file, .name = zb("user.b"), .data = zb("w") });
	txn(store, (struct zn_op){ .type = ZN_OP_REMOVEXATTR, .id = file, .name = zb("user.b") });
	(void)store_create(store, 1, "symlink", S_IFLNK | 0777, "dir/file");
	(void)store_create(store, 1, "fifo", S_IFIFO | 0600, "");
	(void)store_create(store, 1, "gone", S_IFREG | 0600, "x");
	txn(store, (struct zn_op){ .type = ZN_OP_DELETE, .parent = 1, .name = zb("gone") });
	(void)store_create(store, 1, "old", S_IFREG | 0600, "moved");
	txn(store, (struct zn_op){ .type = ZN_OP_RENAME,
				   .parent = 1,
				   .name = zb("old"),
				   .new_parent = dir,
				   .new_name = zb("new") });
	zn_store_close(store);
	store = store_open(directory, NULL);
	memset(big, 'B', sizeof(big));
	assert_int_equal(
		store_set(store, store_create(store, 1, "big", S_IFREG, ""), big, sizeof(big)), 0);
	assert_int_equal(store_set(store, dir, "data of a directory", 19), 0);
	zn_store_close(store);
}

static struct zn_stat find(struct zn_store *store, uint64_t parent, const char *name)
{
	struct zn_stat stat = { 0 };

	assert_int_equal(store_lookup(store, parent, name, &stat), 0);
	return stat;
}

static void check_sample(struct zn_store *store)
{
	struct zn_stat dir = find(store, ZN_ROOT_ID, "dir"), s;
	struct zn_request xattr = { .type = ZN_GETXATTR, .name = zb("user.a") };
	static unsigned char big[100000];

	assert_int_equal(dir.mode, S_IFDIR | 02755);
	assert_int_equal(dir.children_count, 2);
	assert_int_equal(dir.cversion, 2);
	assert_true(store_data_is(store, dir.id, "data of a directory", 19));
	s = find(store, dir.id, "file");
	assert_int_equal(s.id, find(store, ZN_ROOT_ID, "hard").id);
	assert_int_equal(s.nlink, 2);
	assert_int_equal(s.version, 2);
	assert_int_equal(s.uid, 1234);
	assert_int_equal(s.mtime_ns, 1000000007);
	assert_true(store_data_is(store, s.id, "01234567ab", 10));
	xattr.id = s.id;
	assert_int_equal(store_wait(store, &xattr), 0);
	assert_int_equal(xattr.bytes, 1);
	xattr.name = zb("user.b");
	assert_true(store_wait(store, &xattr) < 0);
	s = find(store, ZN_ROOT_ID, "symlink");
	assert_true(S_ISLNK(s.mode));
	assert_true(store_data_is(store, s.id, "dir/file", 8));
	assert_true(S_ISFIFO(find(store, ZN_ROOT_ID, "fifo").mode));
	assert_true(store_data_is(store, find(store, dir.id, "new").id, "moved", 5));
	assert_true(store_lookup(store, ZN_ROOT_ID, "gone", &s) < 0);
	memset(big, 'B', sizeof(big));
	assert_true(store_data_is(store, find(store, ZN_ROOT_ID, "big").id, big, sizeof(big)));
	assert_int_equal(find(store, ZN_ROOT_ID, "big").czxid >> 32, 2);
	assert_int_equal(store_stats(store).nodes, 7);
}

static void sample_of_format_1_opens(void **unused)
{
	char *state = directory_new_fast(), *command = NULL;
	struct zn_store *store;
	int status;

	(void)unused;
	assert_true(asprintf(&command, "tar -C '%s' -xJf '%s'", state, SAMPLE) > 0);
	status = system(command); /* NOLINT(cert-env33-c): a fixed command on our own file */
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	store = store_open(state, NULL);
	check_sample(store);
	zn_store_close(store);
	/* Written to by this version, it opens again. */
	store = store_open(state, NULL);
	check_sample(store);
	zn_store_close(store);
	free(command);
	directory_remove(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sample_of_format_1_opens) };
	const char *directory = getenv("ZN_WRITE_SAMPLE");

	if (directory) {
		write_sample(directory);
		return 0;
	}
	return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
