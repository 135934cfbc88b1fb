/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to make a batch durable; each must put the bytes where the batch says. */
#include "support.h"

#include <fcntl.h>
#include <unistd.h>

#include "commit.h"
#include "disk_posix.h"

#define BLOCK 4096

static char *directory;
static struct log the_log;
static struct committer *committer;
static int ring_error;

static int setup(void **unused)
{
	const struct log_position at = { .store_id = 1 };

	(void)unused;
	directory = directory_new();
	assert_int_equal(log_init(&the_log, BLOCK, SEGMENT_BYTES, &at), 0);
	committer = committer_new(&the_log, true, &ring_error);
	assert_non_null(committer);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	committer_free(committer);
	log_fini(&the_log);
	directory_remove(directory);
	return 0;
}

static int file_of(const char *name)
{
	char *path = path_of(directory, name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 16L * BLOCK), 0);
	free(path);
	return fd;
}

static void write_block(struct disk_file *file, uint64_t offset, int byte, enum commit_way way)
{
	struct log_batch batch = { .buffer = 0,
				   .file = file,
				   .offset = offset,
				   .bytes_count = BLOCK,
				   .bytes = the_log.buffers[0] };

	memset(the_log.buffers[0], byte, BLOCK);
	assert_int_equal(committer_write(committer, &batch, way), 0);
}

static bool block_is(int fd, uint64_t offset, int byte)
{
	unsigned char block[BLOCK];

	assert_int_equal(pread(fd, block, BLOCK, (off_t)offset), BLOCK);
	for (size_t i = 0; i < BLOCK; i++) {
		if (block[i] != byte)
			return false;
	}
	return true;
}

static void every_way_writes_to_its_place(void **unused)
{
	struct disk_file file = { .segment = 1, .bytes = 16L * BLOCK, .fd = file_of("a") };
	enum commit_way last = committer_has_ring(committer) ? COMMIT_TWO : COMMIT_CALL;

	(void)unused;
	for (int way = COMMIT_CALL; way <= (int)last; way++)
		write_block(&file, (uint64_t)way * BLOCK, way + 1, (enum commit_way)way);
	for (int way = COMMIT_CALL; way <= (int)last; way++)
		assert_true(block_is(file.fd, (uint64_t)way * BLOCK, way + 1));
	(void)close(file.fd);
}

/* A closed segment's struct and descriptor number come again for another segment. */
static void memory_that_is_used_again_is_another_file(void **unused)
{
	struct disk_file file = { .segment = 1, .bytes = 16L * BLOCK, .fd = file_of("a") };
	int old = dup(file.fd);

	(void)unused;
	if (!committer_has_ring(committer))
		skip();
	write_block(&file, 0, 1, COMMIT_TWO);
	(void)close(file.fd);
	file = (struct disk_file){ .segment = 3, .bytes = 16L * BLOCK, .fd = file_of("b") };
	write_block(&file, BLOCK, 2, COMMIT_LINK);
	assert_true(block_is(file.fd, BLOCK, 2));
	assert_true(block_is(old, BLOCK, 0));
	(void)close(file.fd);
	(void)close(old);
}

static void a_failed_write_is_an_error_in_every_way(void **unused)
{
	char *path = path_of(directory, "a");
	enum commit_way last = committer_has_ring(committer) ? COMMIT_TWO : COMMIT_CALL;

	(void)unused;
	(void)close(file_of("a"));
	for (int way = COMMIT_CALL; way <= (int)last; way++) {
		struct disk_file file = { .segment = 1, .fd = open(path, O_RDONLY | O_CLOEXEC) };
		struct log_batch batch = { .buffer = 0,
					   .file = &file,
					   .bytes_count = BLOCK,
					   .bytes = the_log.buffers[0] };

		assert_true(committer_write(committer, &batch, (enum commit_way)way) < 0);
		(void)close(file.fd);
	}
	free(path);
}

#define COMMIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		COMMIT(every_way_writes_to_its_place),
		COMMIT(memory_that_is_used_again_is_another_file),
		COMMIT(a_failed_write_is_an_error_in_every_way),
	};

	return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
