/* SPDX-License-Identifier: Apache-2.0 */
/* support: see support.h. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static uint64_t random_state;

uint64_t test_random(void)
{
	uint64_t z;

	if (random_state == 0) {
		const char *seed = getenv("ZN_SEED");

		random_state = seed ? strtoull(seed, NULL, 0) : 1;
		print_message("ZN_SEED=%" PRIu64 "\n", random_state);
	}
	z = random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

unsigned test_below(unsigned n)
{
	return (unsigned)(test_random() % n);
}

char *path_of(const char *directory, const char *name)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
	return path;
}

char *segment_path(const char *state, unsigned n)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "log/%016x.seg", n);
	return path_of(state, name);
}

static char *directory_new_in(const char *base)
{
	char *path = path_of(base, "znodefs-test-XXXXXX");

	assert_non_null(mkdtemp(path));
	return path;
}

char *directory_new(void)
{
	const char *base = getenv("TMPDIR");

	return directory_new_in(base ? base : "/var/tmp");
}

char *directory_new_fast(void)
{
	return access("/dev/shm", W_OK) == 0 ? directory_new_in("/dev/shm") : directory_new();
}

typedef void entry_fn(const char *path, const char *name, void *arg);

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void for_each_entry(const char *path, entry_fn *fn, void *arg)
{
	char *names[256];
	size_t count = 0;
	DIR *d = opendir(path);
	const struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		assert_true(count < ARRAY_SIZE(names));
		names[count++] = strdup(e->d_name);
	}
	(void)closedir(d);
	qsort(names, count, sizeof(names[0]), compare_names);
	for (size_t i = 0; i < count; i++) {
		char *sub = path_of(path, names[i]);

		fn(sub, names[i], arg);
		free(sub);
		free(names[i]);
	}
}

static bool is_directory(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return S_ISDIR(st.st_mode);
}

static void remove_entry(const char *path, const char *name, void *arg)
{
	(void)name;
	(void)arg;
	if (is_directory(path)) {
		for_each_entry(path, remove_entry, NULL);
		assert_int_equal(rmdir(path), 0);
	} else {
		assert_int_equal(unlink(path), 0);
	}
}

void directory_remove(char *path)
{
	remove_entry(path, NULL, NULL);
	free(path);
}

unsigned char *file_read(const char *path, size_t *ret_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	unsigned char *bytes;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	(void)close(fd);
	*ret_bytes = (size_t)st.st_size;
	return bytes;
}

void file_write(const char *path, const void *from, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, from, bytes), bytes);
	(void)close(fd);
}

void file_flip(const char *path, size_t offset, unsigned bit)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	unsigned char byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	byte = (unsigned char)(byte ^ (1U << bit));
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	(void)close(fd);
}

static void copy_entry(const char *path, const char *name, void *arg)
{
	char *to = path_of(arg, name);

	if (is_directory(path)) {
		assert_int_equal(mkdir(to, 0700), 0);
		for_each_entry(path, copy_entry, to);
	} else {
		size_t bytes;
		unsigned char *data = file_read(path, &bytes);

		file_write(to, data, bytes);
		free(data);
	}
	free(to);
}

void directory_copy(const char *from, const char *to)
{
	for_each_entry(from, copy_entry, (void *)(uintptr_t)to);
}

static void picture_entry(const char *path, const char *name, void *arg)
{
	uint64_t *picture = arg;

	*picture = XXH3_64bits_withSeed(name, strlen(name), *picture);
	if (is_directory(path)) {
		for_each_entry(path, picture_entry, arg);
	} else if (strcmp(name, "lock") != 0) {
		size_t bytes;
		unsigned char *data = file_read(path, &bytes);

		*picture = XXH3_64bits_withSeed(data, bytes, *picture + bytes);
		free(data);
	}
}

uint64_t directory_picture(const char *path)
{
	uint64_t picture = 1;

	for_each_entry(path, picture_entry, &picture);
	return picture;
}

static void options_small(struct zn_local_options *opt, const char *state)
{
	zn_local_options_init(opt);
	opt->state_dir = state;
	opt->segment_bytes = SEGMENT_BYTES;
}

struct zn_store *store_open(const char *state, void (*change)(struct zn_local_options *opt))
{
	struct zn_local_options opt;
	struct zn_store *store = NULL;
	char error[ZN_LOCAL_ERROR_BYTES] = "";
	int r;

	options_small(&opt, state);
	if (change)
		change(&opt);
	r = zn_local_open(&opt, &store, error);
	if (r < 0)
		fail_msg("%s (%d)", error, r);
	return store;
}

int store_try(const char *state, struct zn_store **ret_store, char *error)
{
	struct zn_local_options opt;

	options_small(&opt, state);
	return zn_local_open(&opt, ret_store, error);
}

struct waited {
	struct zn_request *req;
	struct zn_request answer;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
};

/* What the answer points to is copied by those who need it, in their own callback. */
static void waited_done(struct zn_request *req)
{
	struct waited *w = (struct waited *)((char *)req - offsetof(struct waited, answer));

	(void)pthread_mutex_lock(&w->lock);
	w->is_done = true;
	(void)pthread_cond_signal(&w->done);
	(void)pthread_mutex_unlock(&w->lock);
}

int store_wait(struct zn_store *store, struct zn_request *req)
{
	struct waited w = { .answer = *req };

	(void)pthread_mutex_init(&w.lock, NULL);
	(void)pthread_cond_init(&w.done, NULL);
	w.answer.done = waited_done;
	zn_submit(store, &w.answer);
	(void)pthread_mutex_lock(&w.lock);
	while (!w.is_done)
		(void)pthread_cond_wait(&w.done, &w.lock);
	(void)pthread_mutex_unlock(&w.lock);
	(void)pthread_mutex_destroy(&w.lock);
	(void)pthread_cond_destroy(&w.done);
	*req = w.answer;
	return req->result;
}

int store_txn(struct zn_store *store, struct zn_op *ops, unsigned count, unsigned flags)
{
	struct zn_request req = { .type = ZN_TXN, .ops = ops, .ops_count = count, .flags = flags };

	return store_wait(store, &req);
}

uint64_t store_create(struct zn_store *store, uint64_t parent, const char *name, uint32_t mode,
		      const char *data)
{
	struct zn_op op = {
		.type = ZN_OP_CREATE,
		.parent = parent,
		.name = zb(name),
		.mode = mode,
		.data = zb(data),
	};

	assert_int_equal(store_txn(store, &op, 1, ZN_REQ_MAY_BLOCK), 0);
	return op.id;
}

int store_set(struct zn_store *store, uint64_t id, const void *data, size_t bytes)
{
	struct zn_op op = {
		.type = ZN_OP_SET,
		.id = id,
		.data = { data, bytes },
		.version = ZN_ANY_VERSION,
	};

	return store_txn(store, &op, 1, ZN_REQ_MAY_BLOCK);
}

int store_delete(struct zn_store *store, uint64_t parent, const char *name)
{
	struct zn_op op = {
		.type = ZN_OP_DELETE,
		.parent = parent,
		.name = zb(name),
		.version = ZN_ANY_VERSION,
	};

	return store_txn(store, &op, 1, ZN_REQ_MAY_BLOCK);
}

int store_lookup(struct zn_store *store, uint64_t parent, const char *name, struct zn_stat *stat)
{
	struct zn_request req = { .type = ZN_LOOKUP, .id = parent, .name = zb(name) };
	int r = store_wait(store, &req);

	if (r == 0)
		*stat = req.stat;
	return r;
}

struct zn_stats store_stats(struct zn_store *store)
{
	struct zn_request req = { .type = ZN_STATS };

	assert_int_equal(store_wait(store, &req), 0);
	return req.stats;
}

struct compared {
	struct waited waited; /* first: the request is inside */
	const unsigned char *data;
	size_t bytes;
	bool equal;
};

static void compared_done(struct zn_request *req)
{
	struct waited *w = (struct waited *)((char *)req - offsetof(struct waited, answer));
	struct compared *c = (struct compared *)w;
	size_t at = 0;

	c->equal = req->result == 0 && req->bytes == c->bytes;
	for (unsigned i = 0; c->equal && i < req->iov_count; i++) {
		c->equal = memcmp(req->iov[i].iov_base, c->data + at, req->iov[i].iov_len) == 0;
		at += req->iov[i].iov_len;
	}
	waited_done(req);
}

bool store_data_is(struct zn_store *store, uint64_t id, const void *data, size_t bytes)
{
	struct compared c = {
		.waited.answer = { .type = ZN_READ,
				   .id = id,
				   .bytes = 1U << 20,
				   .done = compared_done },
		.data = data,
		.bytes = bytes,
	};

	(void)pthread_mutex_init(&c.waited.lock, NULL);
	(void)pthread_cond_init(&c.waited.done, NULL);
	zn_submit(store, &c.waited.answer);
	(void)pthread_mutex_lock(&c.waited.lock);
	while (!c.waited.is_done)
		(void)pthread_cond_wait(&c.waited.done, &c.waited.lock);
	(void)pthread_mutex_unlock(&c.waited.lock);
	return c.equal;
}
