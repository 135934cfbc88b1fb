/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine without its driver: the test decides when a batch is written, whether that succeeds, and
 * when a segment is ready. The simulation does this at random; here stand the cases with a name.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_posix.h"
#include "engine.h"
#include "recover.h"

#define BIG 200000

static char *state;
static int log_fd;
static struct disk_posix disk;
static struct engine engine;
static struct engine_options options;
static unsigned completions;

static void count_done(struct zn_request *req)
{
	(void)req;
	completions++;
}

/* Write what is wanted; @result other than 0: say that it failed instead. */
static bool commit(int result)
{
	struct disk_file *retired;
	struct log_batch *b = engine_take(&engine, &retired);

	if (!b)
		return false;
	log_seal(&engine.log, b, 1);
	if (result == 0)
		assert_int_equal(
			disk_posix_write_sync(b->file, b->offset, b->bytes, b->bytes_count), 0);
	engine_committed(&engine, b, result);
	if (retired)
		disk.disk.ops->close(&disk.disk, retired);
	return true;
}

static void deliver(void)
{
	struct request_queue done = engine_completed(&engine);

	complete(&done);
}

static bool prepare(int result)
{
	struct disk_file *file = NULL;
	uint64_t segment, bytes;

	if (!engine_spare(&engine, &segment, &bytes))
		return false;
	if (result == 0)
		assert_int_equal(disk.disk.ops->prepare(&disk.disk, segment, bytes, &file), 0);
	engine_spare_done(&engine, file, result);
	return true;
}

static void open_engine(void)
{
	char error[RECOVER_ERROR_BYTES] = "";
	int r = engine_open(&engine, &disk.disk, &options, error);

	if (r < 0)
		fail_msg("%s (%d)", error, r);
	(void)prepare(0);
	assert_true(commit(0));
}

static int setup(void **unused)
{
	(void)unused;
	state = directory_new_fast();
	log_fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	disk_posix_init(&disk, log_fd, state, true);
	options = (struct engine_options){
		.max_data = 1 << 20,
		.max_memory = UINT64_C(1) << 30,
		.segment_bytes = 1 << 20,
	};
	completions = 0;
	/* posix paths are state/log/...; the files themselves lie in the directory that was given. */
	open_engine();
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	deliver();
	engine_check(&engine);
	engine_close(&engine);
	(void)close(log_fd);
	directory_remove(state);
	return 0;
}

static void reopen(void)
{
	deliver();
	engine_close(&engine);
	open_engine();
}

/* A transaction of one operation; the request stays the caller's. */
struct call {
	struct zn_request req;
	struct zn_op op;
};

static void submit(struct call *c, struct zn_op op, unsigned flags)
{
	*c = (struct call){ .op = op };
	c->req = (struct zn_request){
		.type = ZN_TXN, .flags = flags, .ops = &c->op, .ops_count = 1, .done = count_done
	};
	engine_submit(&engine, &c->req);
}

static struct zn_op create_op(const char *name)
{
	return (struct zn_op){
		.type = ZN_OP_CREATE, .parent = ZN_ROOT_ID, .name = zb(name), .mode = S_IFREG | 0644
	};
}

static struct zn_op delete_op(const char *name)
{
	return (struct zn_op){ .type = ZN_OP_DELETE,
			       .parent = ZN_ROOT_ID,
			       .name = zb(name),
			       .version = ZN_ANY_VERSION };
}

static struct zn_op set_op(uint64_t id, const void *data, size_t bytes)
{
	return (struct zn_op){
		.type = ZN_OP_SET, .id = id, .data = { data, bytes }, .version = ZN_ANY_VERSION
	};
}

static int now(struct zn_op op, unsigned flags, struct zn_op *ret_op)
{
	struct call c;

	submit(&c, op, flags);
	(void)commit(0);
	deliver();
	if (ret_op)
		*ret_op = c.op;
	return c.req.result;
}

static int ask(struct zn_request *req)
{
	req->done = count_done;
	engine_submit(&engine, req);
	return req->result;
}

static void an_answer_waits_for_what_it_saw(void **unused)
{
	struct zn_request found = { .type = ZN_LOOKUP, .id = ZN_ROOT_ID, .name = zb("f") };
	struct zn_request missing = { .type = ZN_LOOKUP, .id = ZN_ROOT_ID, .name = zb("g") };
	struct zn_request other = { .type = ZN_STATFS };
	struct call c;

	(void)unused;
	submit(&c, create_op("f"), 0);
	assert_int_equal(ask(&found), 0);
	/* That another name came does not make this one missing. */
	assert_int_equal(ask(&missing), -ENOENT);
	(void)ask(&other);
	deliver();
	assert_int_equal(completions, 2);
	assert_true(commit(0));
	deliver();
	assert_int_equal(completions, 4);
	deliver();
}

static void a_missing_name_waits_for_what_took_names_away(void **unused)
{
	struct zn_request gone = { .type = ZN_LOOKUP, .id = ZN_ROOT_ID, .name = zb("f") };
	struct call c;

	(void)unused;
	assert_int_equal(now(create_op("f"), 0, NULL), 0);
	completions = 0;
	submit(&c, delete_op("f"), 0);
	assert_int_equal(ask(&gone), -ENOENT);
	deliver();
	assert_int_equal(completions, 0);
	assert_true(commit(0));
	deliver();
	assert_int_equal(completions, 2);
}

static void failed_write_is_eio_then_erofs_and_reads_go_on(void **unused)
{
	struct zn_request lookup = { .type = ZN_LOOKUP, .id = ZN_ROOT_ID, .name = zb("f") };
	struct zn_request before = { .type = ZN_LOOKUP, .id = ZN_ROOT_ID, .name = zb("old") };
	struct zn_request sync = { .type = ZN_SYNC };
	struct call waiting, later;

	(void)unused;
	assert_int_equal(now(create_op("old"), 0, NULL), 0);
	submit(&waiting, create_op("f"), 0);
	assert_int_equal(ask(&lookup), 0);
	assert_true(commit(-EIO));
	deliver();
	assert_int_equal(waiting.req.result, -EIO);
	assert_int_equal(lookup.result, -ENOENT);
	submit(&later, create_op("g"), 0);
	assert_int_equal(later.req.result, -EROFS);
	assert_int_equal(ask(&before), 0);
	assert_int_equal(ask(&sync), -EIO);
	engine_check(&engine);
	reopen();
	assert_int_equal(ask(&before), 0);
	assert_int_equal(ask(&lookup), -ENOENT);
	deliver();
}

static void failed_first_write_of_a_segment_does_not_stop_the_next_start(void **unused)
{
	static unsigned char data[BIG];
	struct zn_op op;
	struct call c;

	(void)unused;
	assert_int_equal(now(create_op("f"), 0, &op), 0);
	(void)prepare(0);
	do {
		submit(&c, set_op(op.id, data, BIG), 0);
	} while (engine.log.offset + BIG + 8192 < (1 << 20) && commit(0));
	deliver();
	/* The next batch starts a segment; while it is on its way no other may be made. */
	{
		struct disk_file *retired;
		struct log_batch *b = engine_take(&engine, &retired);

		assert_non_null(b);
		assert_true(b->starts_segment);
		assert_false(prepare(0));
		log_seal(&engine.log, b, 1);
		engine_committed(&engine, b, -EIO);
		disk.disk.ops->close(&disk.disk, retired);
		assert_false(prepare(0));
	}
	reopen();
	deliver();
}

/* Fill the last segment: growing gets ENOSPC, deleting goes on, nothing is lost, room cures it. */
static void full_disk_refuses_growth_and_lets_delete(void **unused)
{
	static unsigned char data[BIG];
	char name[16];
	struct zn_op op;
	struct call c;
	unsigned made = 0;

	(void)unused;
	for (; made < 20; made++) {
		(void)snprintf(name, sizeof(name), "f%u", made);
		assert_int_equal(now(create_op(name), 0, NULL), 0);
	}
	assert_int_equal(now(create_op("big"), 0, &op), 0);
	(void)prepare(-ENOSPC);
	do {
		submit(&c, set_op(op.id, data, BIG), 0);
		(void)commit(0);
		deliver();
	} while (c.req.result == 0);
	assert_int_equal(c.req.result, -ENOSPC);
	while (made-- > 0) {
		(void)snprintf(name, sizeof(name), "f%u", made);
		assert_int_equal(now(delete_op(name), 0, NULL), 0);
	}
	assert_int_equal(now(set_op(op.id, data, BIG), 0, NULL), -ENOSPC);
	engine_spare_retry(&engine);
	assert_true(prepare(0));
	assert_int_equal(now(set_op(op.id, data, BIG), 0, NULL), 0);
	deliver();
}

static void a_transaction_waits_for_a_segment_that_is_being_made(void **unused)
{
	static unsigned char data[BIG];
	struct zn_op op;
	struct call c;
	uint64_t segment, bytes;
	struct disk_file *file;

	(void)unused;
	assert_int_equal(now(create_op("big"), 0, &op), 0);
	assert_true(engine_spare(&engine, &segment, &bytes));
	do {
		submit(&c, set_op(op.id, data, BIG), 0);
		(void)commit(0);
		deliver();
		assert_int_equal(c.req.result, 0);
	} while (!engine.stalled.first);
	assert_ptr_equal(engine.stalled.first, &c.req);
	assert_int_equal(disk.disk.ops->prepare(&disk.disk, segment, bytes, &file), 0);
	engine_spare_done(&engine, file, 0);
	assert_null(engine.stalled.first);
	assert_true(commit(0));
	assert_int_equal(c.req.result, 0);
	deliver();
}

static void created_and_deleted_in_one_transaction_gives_no_reference(void **unused)
{
	struct zn_op ops[] = { create_op("f"), delete_op("f") };
	struct zn_request req = { .type = ZN_TXN, .flags = ZN_REQ_REF, .ops = ops, .ops_count = 2 };

	(void)unused;
	assert_int_equal(ask(&req), 0);
	assert_true(commit(0));
	reopen();
	deliver();
}

/* The log knows no references, so nothing in it may depend on one. */
static void logged_transaction_cannot_touch_an_unlinked_node(void **unused)
{
	struct zn_op held, ops[2];
	struct zn_request req = { .type = ZN_TXN, .ops = ops, .ops_count = 2 };

	(void)unused;
	assert_int_equal(now(create_op("f"), ZN_REQ_REF, &held), 0);
	ops[0] = delete_op("f");
	ops[1] = set_op(held.id, "x", 1);
	assert_int_equal(ask(&req), -ENOENT);
	assert_int_equal(now(delete_op("f"), 0, NULL), 0);
	ops[0] = create_op("g");
	assert_int_equal(ask(&req), -ENOENT);
	assert_int_equal(now(set_op(held.id, "x", 1), 0, NULL), 0);
	reopen();
	deliver();
}

static void forgotten_unlinked_node_stays_gone_after_a_failure(void **unused)
{
	struct zn_request forget = { .type = ZN_FORGET, .count = 1 };
	struct zn_op held;
	struct call c;

	(void)unused;
	assert_int_equal(now(create_op("f"), ZN_REQ_REF, &held), 0);
	assert_int_equal(now(delete_op("f"), 0, NULL), 0);
	submit(&c, create_op("g"), 0);
	forget.id = held.id;
	assert_int_equal(ask(&forget), 0);
	assert_true(commit(-EIO));
	deliver();
	engine_check(&engine);
	assert_null(tree_find(&engine.tree, held.id));
	deliver();
}

static void writes_to_an_unlinked_file_cost_no_memory(void **unused)
{
	static unsigned char data[65536];
	struct zn_op held;

	(void)unused;
	assert_int_equal(now(create_op("f"), ZN_REQ_REF, &held), 0);
	assert_int_equal(now(delete_op("f"), 0, NULL), 0);
	for (unsigned i = 0; i < 10000; i++) {
		struct call c;

		submit(&c, set_op(held.id, data, sizeof(data)), 0);
		assert_int_equal(c.req.result, 0);
		deliver();
	}
	assert_true(undo_is_empty(&engine.undo) || undo_mark(&engine.undo).used < 128);
	deliver();
}

static void the_callers_id_of_a_create_is_ignored(void **unused)
{
	struct zn_op op = create_op("f"), made;

	(void)unused;
	op.id = 424242;
	assert_int_equal(now(op, 0, &made), 0);
	assert_int_not_equal(made.id, 424242);
	deliver();
}

static void names_that_are_too_long_say_so(void **unused)
{
	char name[300];
	struct zn_op op = create_op("f");

	(void)unused;
	memset(name, 'n', sizeof(name));
	op.name = (struct zn_bytes){ name, 256 };
	assert_int_equal(now(op, 0, NULL), -ENAMETOOLONG);
	op.type = (enum zn_op_type)77;
	assert_int_equal(now(op, 0, NULL), -EINVAL);
	deliver();
}

static void a_transaction_without_operations_replays(void **unused)
{
	struct zn_request req = { .type = ZN_TXN };

	(void)unused;
	assert_int_equal(ask(&req), 0);
	(void)commit(0);
	reopen();
	deliver();
}

/* Entries come and go between the pieces of a listing; what stays is met exactly once. */
static void listing_in_pieces_meets_what_stays_once(void **unused)
{
	uint64_t buffer[64];
	struct zn_request list = { .type = ZN_READDIR,
				   .id = ZN_ROOT_ID,
				   .buffer = buffer,
				   .buffer_bytes = sizeof(buffer),
				   .cost_max = 300,
				   .cost_fixed = 24 };
	unsigned seen[200] = { 0 };
	char name[16];

	(void)unused;
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(now(create_op(name), 0, NULL), 0);
		(void)prepare(0);
	}
	for (unsigned round = 0;; round++) {
		assert_int_equal(ask(&list), 0);
		if (list.entries_bytes == 0)
			break;
		for (size_t at = 0; at < list.entries_bytes;) {
			const struct zn_dirent *e = (const void *)((const char *)buffer + at);

			if (e->name[0] == 'f')
				seen[strtoul(e->name + 1, NULL, 10)]++;
			list.cookie = e->cookie;
			at += e->bytes;
		}
		(void)snprintf(name, sizeof(name), "f%u", 2 * test_below(100) + 1);
		(void)now(delete_op(name), 0, NULL);
		(void)prepare(0);
		(void)snprintf(name, sizeof(name), "g%u", round);
		assert_int_equal(now(create_op(name), 0, NULL), 0);
	}
	for (unsigned i = 0; i < 200; i += 2)
		assert_int_equal(seen[i], 1);
	deliver();
}

static void a_buffer_too_small_for_one_entry_is_einval(void **unused)
{
	uint64_t buffer[2];
	struct zn_request list = { .type = ZN_READDIR,
				   .id = ZN_ROOT_ID,
				   .buffer = buffer,
				   .buffer_bytes = sizeof(buffer),
				   .cost_max = SIZE_MAX / 2 };

	(void)unused;
	assert_int_equal(now(create_op("f"), 0, NULL), 0);
	assert_int_equal(ask(&list), -EINVAL);
	deliver();
}

#define ENGINE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENGINE(an_answer_waits_for_what_it_saw),
		ENGINE(a_missing_name_waits_for_what_took_names_away),
		ENGINE(failed_write_is_eio_then_erofs_and_reads_go_on),
		ENGINE(failed_first_write_of_a_segment_does_not_stop_the_next_start),
		ENGINE(full_disk_refuses_growth_and_lets_delete),
		ENGINE(a_transaction_waits_for_a_segment_that_is_being_made),
		ENGINE(created_and_deleted_in_one_transaction_gives_no_reference),
		ENGINE(logged_transaction_cannot_touch_an_unlinked_node),
		ENGINE(forgotten_unlinked_node_stays_gone_after_a_failure),
		ENGINE(writes_to_an_unlinked_file_cost_no_memory),
		ENGINE(the_callers_id_of_a_create_is_ignored),
		ENGINE(names_that_are_too_long_say_so),
		ENGINE(a_transaction_without_operations_replays),
		ENGINE(listing_in_pieces_meets_what_stays_once),
		ENGINE(a_buffer_too_small_for_one_entry_is_einval),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
