/* SPDX-License-Identifier: Apache-2.0 */
/* The store with its threads, on real files. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *state;

static int setup(void **unused)
{
	(void)unused;
	state = directory_new();
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	directory_remove(state);
	return 0;
}

static void expect_data(struct zn_store *store, uint64_t parent, const char *name, const char *data)
{
	struct zn_stat stat;

	assert_int_equal(store_lookup(store, parent, name, &stat), 0);
	assert_true(store_data_is(store, stat.id, data, strlen(data)));
}

static void what_was_acknowledged_is_there_after_reopening(void **unused)
{
	struct zn_store *store = store_open(state, NULL);
	uint64_t dir = store_create(store, ZN_ROOT_ID, "dir", S_IFDIR | 0755, "");
	uint64_t file = store_create(store, dir, "file", S_IFREG | 0644, "one");
	struct zn_stat stat;

	(void)unused;
	assert_int_equal(store_set(store, file, "two", 3), 0);
	assert_int_equal(store_delete(store, ZN_ROOT_ID, "none"), -ENOENT);
	zn_store_close(store);
	store = store_open(state, NULL);
	expect_data(store, dir, "file", "two");
	assert_int_equal(store_lookup(store, dir, "file", &stat), 0);
	assert_int_equal(stat.id, file);
	assert_int_equal(stat.version, 1);
	zn_store_close(store);
}

static void epochs_and_ids_grow_with_every_opening(void **unused)
{
	uint64_t last_id = 0, last_zxid = 0;

	(void)unused;
	for (unsigned i = 0; i < 8; i++) {
		struct zn_store *store = store_open(state, NULL);
		char name[16];
		struct zn_stat stat;
		uint64_t id;

		assert_int_equal(store_stats(store).zxid_durable, (uint64_t)(i + 1) << 32);
		(void)snprintf(name, sizeof(name), "f%u", i);
		id = store_create(store, ZN_ROOT_ID, name, S_IFREG, "x");
		assert_true(id > last_id);
		last_id = id;
		assert_int_equal(store_lookup(store, ZN_ROOT_ID, name, &stat), 0);
		assert_true(stat.czxid > last_zxid);
		last_zxid = stat.czxid;
		zn_store_close(store);
	}
}

/* The first open of another process finds it held, and says by whom. */
static void second_open_is_refused_with_the_pid(void **unused)
{
	struct zn_store *store = store_open(state, NULL), *second = NULL;
	char error[ZN_LOCAL_ERROR_BYTES] = "", pid[32];
	int status;
	pid_t child;

	(void)unused;
	(void)snprintf(pid, sizeof(pid), "process %d", (int)getpid());
	child = fork();
	if (child == 0) {
		int r = store_try(state, &second, error);

		_exit(r == -EBUSY && strstr(error, pid) && strstr(error, "since") ? 0 : 1);
	}
	assert_true(waitpid(child, &status, 0) == child);
	assert_int_equal(status, 0);
	assert_int_equal(store_try(state, &second, error), -EBUSY);
	zn_store_close(store);
	zn_store_close(store_open(state, NULL));
}

static void bad_options_are_refused(void **unused)
{
	struct zn_local_options opt;
	struct zn_store *store = NULL;
	char error[ZN_LOCAL_ERROR_BYTES];

	(void)unused;
	zn_local_options_init(&opt);
	opt.state_dir = state;
	opt.max_data = 0;
	assert_int_equal(zn_local_open(&opt, &store, error), -EINVAL);
	assert_non_null(strstr(error, "max_data"));
	zn_local_options_init(&opt);
	opt.state_dir = state;
	opt.segment_bytes = SEGMENT_BYTES + 1;
	assert_int_equal(zn_local_open(&opt, &store, error), -EINVAL);
	assert_non_null(strstr(error, "segment_size"));
	zn_local_options_init(&opt);
	opt.state_dir = state;
	opt.commit_interval_ms = 0;
	assert_int_equal(zn_local_open(&opt, &store, error), -EINVAL);
}

static void small_values(struct zn_local_options *opt)
{
	opt->max_data = 1000;
}

static void value_over_max_data_is_efbig(void **unused)
{
	struct zn_store *store = store_open(state, small_values);
	uint64_t id = store_create(store, ZN_ROOT_ID, "f", S_IFREG, "old");
	char data[1001] = "";

	(void)unused;
	assert_int_equal(store_set(store, id, data, 1001), -EFBIG);
	assert_true(store_data_is(store, id, "old", 3));
	assert_int_equal(store_set(store, id, data, 1000), 0);
	zn_store_close(store);
}

static void large_values(struct zn_local_options *opt)
{
	opt->max_data = 16U << 20;
}

static void value_that_fits_no_segment_is_efbig(void **unused)
{
	struct zn_store *store = store_open(state, large_values);
	uint64_t id = store_create(store, ZN_ROOT_ID, "f", S_IFREG, "old");
	char *data = calloc(1, SEGMENT_BYTES);

	(void)unused;
	assert_int_equal(store_set(store, id, data, SEGMENT_BYTES), -EFBIG);
	assert_int_equal(store_set(store, id, data, SEGMENT_BYTES - 16384), 0);
	zn_store_close(store);
	zn_store_close(store_open(state, NULL));
	free(data);
}

static void little_memory(struct zn_local_options *opt)
{
	opt->max_memory = 20000;
}

static void full_memory_is_enospc_and_deletes_go_on(void **unused)
{
	struct zn_store *store = store_open(state, little_memory);
	struct zn_op op = { .type = ZN_OP_CREATE, .parent = ZN_ROOT_ID, .mode = S_IFREG };
	char name[16];
	unsigned n = 0;

	(void)unused;
	do {
		(void)snprintf(name, sizeof(name), "f%u", n++);
		op.name = zb(name);
	} while (store_txn(store, &op, 1, ZN_REQ_MAY_BLOCK) == 0);
	assert_int_equal(store_txn(store, &op, 1, ZN_REQ_MAY_BLOCK), -ENOSPC);
	assert_true(n > 10);
	assert_int_equal(store_delete(store, ZN_ROOT_ID, "f0"), 0);
	assert_int_equal(store_delete(store, ZN_ROOT_ID, "f1"), 0);
	assert_int_equal(store_txn(store, &op, 1, ZN_REQ_MAY_BLOCK), 0);
	zn_store_close(store);
}

static void sync_makes_a_lazy_transaction_durable(void **unused)
{
	struct zn_store *store = store_open(state, NULL);
	struct zn_op op = {
		.type = ZN_OP_CREATE, .parent = ZN_ROOT_ID, .name = zb("lazy"), .mode = S_IFREG
	};
	struct zn_request sync = { .type = ZN_SYNC };

	(void)unused;
	assert_int_equal(store_txn(store, &op, 1, ZN_REQ_LAZY), 0);
	sync.id = op.id;
	assert_int_equal(store_wait(store, &sync), 0);
	assert_true(store_stats(store).zxid_durable >= op.stat.czxid);
	sync.id = 999999;
	assert_int_equal(store_wait(store, &sync), -ENOENT);
	zn_store_close(store);
}

/* Nobody waits, and it becomes durable all the same. */
static void becomes_durable_by_itself(struct zn_store *store, unsigned flags)
{
	struct zn_op op = {
		.type = ZN_OP_CREATE, .parent = ZN_ROOT_ID, .name = zb("x"), .mode = S_IFREG
	};
	unsigned ms = 0;

	assert_int_equal(store_txn(store, &op, 1, flags), 0);
	while (store_stats(store).zxid_durable < op.stat.czxid && ms++ < 5000)
		(void)usleep(1000);
	assert_true(ms < 5000);
}

static void relaxed(struct zn_local_options *opt)
{
	opt->relaxed = true;
}

static void relaxed_transaction_is_durable_soon(void **unused)
{
	struct zn_store *store = store_open(state, relaxed);

	(void)unused;
	becomes_durable_by_itself(store, 0);
	zn_store_close(store);
}

static void lazy_transaction_is_durable_soon(void **unused)
{
	struct zn_store *store = store_open(state, NULL);

	(void)unused;
	becomes_durable_by_itself(store, ZN_REQ_LAZY);
	zn_store_close(store);
}

static void closing_makes_everything_durable(void **unused)
{
	struct zn_store *store = store_open(state, relaxed);
	char name[16];

	(void)unused;
	for (unsigned i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "f%u", i);
		(void)store_create(store, ZN_ROOT_ID, name, S_IFREG, name);
	}
	zn_store_close(store);
	store = store_open(state, NULL);
	for (unsigned i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "f%u", i);
		expect_data(store, ZN_ROOT_ID, name, name);
	}
	zn_store_close(store);
}

static void forgotten_unlinked_file_is_gone(void **unused)
{
	struct zn_store *store = store_open(state, NULL);
	struct zn_op op = { .type = ZN_OP_CREATE,
			    .parent = ZN_ROOT_ID,
			    .name = zb("f"),
			    .mode = S_IFREG,
			    .data = zb("held") };
	struct zn_request forget = { .type = ZN_FORGET, .count = 1 };
	struct zn_request stat = { .type = ZN_STAT };

	(void)unused;
	assert_int_equal(store_txn(store, &op, 1, ZN_REQ_REF), 0);
	assert_int_equal(store_delete(store, ZN_ROOT_ID, "f"), 0);
	assert_true(store_data_is(store, op.id, "held", 4));
	assert_int_equal(store_set(store, op.id, "still", 5), 0);
	assert_true(store_data_is(store, op.id, "still", 5));
	forget.id = stat.id = op.id;
	assert_int_equal(store_wait(store, &forget), 0);
	assert_int_equal(store_wait(store, &stat), -ENOENT);
	zn_store_close(store);
	/* The set was not logged, so the log replays. */
	zn_store_close(store_open(state, NULL));
}

/* --- many threads ------------------------------------------------------------------------------ */

#define WRITERS 6
#define ROUNDS 150

struct writer {
	struct zn_store *store;
	pthread_t thread;
	unsigned number;
	unsigned flags;
	uint64_t dir;
	_Atomic(unsigned) wrong;
};

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	char name[32], data[64];
	uint64_t id = 0;
	struct zn_stat stat = { 0 };

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct zn_op op = { .type = ZN_OP_CREATE,
				    .parent = w->dir,
				    .mode = S_IFREG | 0644,
				    .version = ZN_ANY_VERSION };
		int n = snprintf(data, sizeof(data), "writer %u round %u", w->number, i);

		(void)snprintf(name, sizeof(name), "f%u", i % 20);
		op.name = zb(name);
		op.data = (struct zn_bytes){ data, (size_t)n };
		if (i >= 20) {
			op.type = ZN_OP_SET;
			w->wrong += store_lookup(w->store, w->dir, name, &stat) != 0;
			op.id = stat.id;
		}
		w->wrong += store_txn(w->store, &op, 1,
				      i % 3 ? w->flags : w->flags ^ ZN_REQ_MAY_BLOCK) != 0;
		id = op.type == ZN_OP_CREATE ? op.id : stat.id;
		w->wrong += !store_data_is(w->store, id, data, (size_t)n);
	}
	return NULL;
}

static void *reader_main(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t entries[512];
		struct zn_request list = {
			.type = ZN_READDIR,
			.id = w->dir,
			.buffer = entries,
			.buffer_bytes = sizeof(entries),
			.cost_max = SIZE_MAX / 2,
			.flags = ZN_REQ_READDIR_STAT,
		};
		uint64_t durable = 0;

		w->wrong += store_wait(w->store, &list) != 0;
		for (size_t at = 0; at < list.entries_bytes;) {
			const struct zn_dirent *e = (const void *)((const char *)entries + at);

			durable = zn_max_u64(durable, e->stat.mzxid);
			at += e->bytes;
		}
		/* What was shown is durable. */
		w->wrong += store_stats(w->store).zxid_durable < durable;
	}
	return NULL;
}

static void stress(void (*change)(struct zn_local_options *opt), unsigned flags)
{
	struct zn_store *store = store_open(state, change);
	struct writer writers[WRITERS + 1] = { 0 };

	for (unsigned i = 0; i < WRITERS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "d%u", i);
		writers[i] = (struct writer){ .store = store, .number = i, .flags = flags };
		writers[i].dir = store_create(store, ZN_ROOT_ID, name, S_IFDIR | 0755, "");
	}
	writers[WRITERS] = (struct writer){ .store = store, .dir = writers[0].dir };
	for (unsigned i = 0; i <= WRITERS; i++)
		assert_int_equal(pthread_create(&writers[i].thread, NULL,
						i < WRITERS ? writer_main : reader_main,
						&writers[i]),
				 0);
	for (unsigned i = 0; i <= WRITERS; i++) {
		assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
		assert_int_equal(writers[i].wrong, 0);
	}
	zn_store_close(store);
	store = store_open(state, change);
	for (unsigned i = 0; i < WRITERS; i++) {
		for (unsigned n = 0; n < 20; n++) {
			char name[16], data[64];
			unsigned last = n + 20 * ((ROUNDS - 1 - n) / 20);

			(void)snprintf(name, sizeof(name), "f%u", n);
			(void)snprintf(data, sizeof(data), "writer %u round %u", i, last);
			expect_data(store, writers[i].dir, name, data);
		}
	}
	zn_store_close(store);
}

static void many_threads_lose_nothing(void **unused)
{
	(void)unused;
	stress(NULL, ZN_REQ_MAY_BLOCK);
}

static void threads_that_may_not_block_lose_nothing(void **unused)
{
	(void)unused;
	stress(NULL, 0);
}

static void no_ring(struct zn_local_options *opt)
{
	opt->without_ring = true;
}

static void works_without_io_uring(void **unused)
{
	(void)unused;
	stress(no_ring, ZN_REQ_MAY_BLOCK);
}

static void no_direct(struct zn_local_options *opt)
{
	opt->without_direct_io = true;
}

static void works_without_direct_io(void **unused)
{
	(void)unused;
	stress(no_direct, ZN_REQ_MAY_BLOCK);
}

static void sync_direct(struct zn_local_options *opt)
{
	opt->log_sync = ZN_LOG_SYNC_DIRECT;
}

static void log_sync_direct_works(void **unused)
{
	(void)unused;
	stress(sync_direct, 0);
}

static void sync_ring(struct zn_local_options *opt)
{
	opt->log_sync = ZN_LOG_SYNC_RING;
}

/* Where a container forbids io_uring it says so. */
static void log_sync_ring_works_or_is_refused(void **unused)
{
	struct zn_local_options opt;
	struct zn_store *store = NULL;
	char error[ZN_LOCAL_ERROR_BYTES];

	(void)unused;
	zn_local_options_init(&opt);
	opt.state_dir = state;
	opt.segment_bytes = SEGMENT_BYTES;
	opt.log_sync = ZN_LOG_SYNC_RING;
	if (zn_local_open(&opt, &store, error) < 0) {
		assert_non_null(strstr(error, "io_uring"));
		return;
	}
	assert_string_equal(store_stats(store).way, "ring");
	zn_store_close(store);
	stress(sync_ring, ZN_REQ_MAY_BLOCK);
}

static void *switcher_main(void *arg)
{
	struct writer *w = arg;
	unsigned char *data = calloc(1, 200000);

	for (unsigned i = 0; i < 30; i++) {
		memset(data, (int)(i + w->number), 200000);
		w->wrong += store_set(w->store, w->dir, data, 200000) != 0;
	}
	w->wrong += !store_data_is(w->store, w->dir, data, 200000);
	free(data);
	return NULL;
}

/* Phases of one client and of several, over many segments: the ways to commit alternate. */
static void segments_are_switched_under_load(void **unused)
{
	struct zn_store *store = store_open(state, NULL);
	struct writer w[4] = { 0 };
	unsigned char *data = calloc(1, 200000);

	(void)unused;
	for (unsigned i = 0; i < 4; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "f%u", i);
		w[i] = (struct writer){ .store = store, .number = i };
		w[i].dir = store_create(store, ZN_ROOT_ID, name, S_IFREG, "");
	}
	for (unsigned phase = 0; phase < 3; phase++) {
		for (unsigned i = 0; i < 40; i++)
			assert_int_equal(store_set(store, w[0].dir, data, 200000), 0);
		for (unsigned i = 0; i < 4; i++)
			(void)pthread_create(&w[i].thread, NULL, switcher_main, &w[i]);
		for (unsigned i = 0; i < 4; i++) {
			(void)pthread_join(w[i].thread, NULL);
			assert_int_equal(w[i].wrong, 0);
		}
	}
	assert_true(store_stats(store).segment > 10);
	zn_store_close(store);
	store = store_open(state, NULL);
	for (unsigned i = 0; i < 4; i++) {
		memset(data, (int)(29 + i), 200000);
		assert_true(store_data_is(store, w[i].dir, data, 200000));
	}
	zn_store_close(store);
	free(data);
}

/* A process that is killed at any moment: what it was told is there. */
static void killed_process_loses_nothing(void **unused)
{
	(void)unused;
	for (unsigned round = 0; round < 4; round++) {
		int told[2];
		unsigned last = 0, got = 0;
		struct zn_store *store;
		struct zn_stat stat;
		char name[32];
		pid_t child;

		assert_int_equal(pipe(told), 0);
		child = fork();
		if (child == 0) {
			store = store_open(state, NULL);
			for (unsigned i = 1;; i++) {
				(void)snprintf(name, sizeof(name), "r%u-%u", round, i);
				(void)store_create(store, ZN_ROOT_ID, name, S_IFREG, name);
				if (write(told[1], &i, sizeof(i)) != (ssize_t)sizeof(i))
					_exit(1);
			}
		}
		(void)close(told[1]);
		while (last < 50 + 10 * round &&
		       read(told[0], &got, sizeof(got)) == (ssize_t)sizeof(got))
			last = got;
		(void)kill(child, SIGKILL);
		while (read(told[0], &got, sizeof(got)) == (ssize_t)sizeof(got))
			last = got;
		(void)close(told[0]);
		assert_true(waitpid(child, NULL, 0) == child);
		assert_true(last >= 50);
		store = store_open(state, NULL);
		for (unsigned i = 1; i <= last; i++) {
			(void)snprintf(name, sizeof(name), "r%u-%u", round, i);
			assert_int_equal(store_lookup(store, ZN_ROOT_ID, name, &stat), 0);
			assert_true(store_data_is(store, stat.id, name, strlen(name)));
		}
		zn_store_close(store);
	}
}

#define LOCAL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOCAL(what_was_acknowledged_is_there_after_reopening),
		LOCAL(epochs_and_ids_grow_with_every_opening),
		LOCAL(second_open_is_refused_with_the_pid),
		LOCAL(bad_options_are_refused),
		LOCAL(value_over_max_data_is_efbig),
		LOCAL(value_that_fits_no_segment_is_efbig),
		LOCAL(full_memory_is_enospc_and_deletes_go_on),
		LOCAL(sync_makes_a_lazy_transaction_durable),
		LOCAL(relaxed_transaction_is_durable_soon),
		LOCAL(lazy_transaction_is_durable_soon),
		LOCAL(closing_makes_everything_durable),
		LOCAL(forgotten_unlinked_file_is_gone),
		LOCAL(killed_process_loses_nothing),
		LOCAL(many_threads_lose_nothing),
		LOCAL(threads_that_may_not_block_lose_nothing),
		LOCAL(works_without_io_uring),
		LOCAL(works_without_direct_io),
		LOCAL(log_sync_direct_works),
		LOCAL(log_sync_ring_works_or_is_refused),
		LOCAL(segments_are_switched_under_load),
	};

	return cmocka_run_group_tests_name("local", tests, NULL, NULL);
}
