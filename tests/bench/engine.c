/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine alone, through the same interface as the daemon, with no kernel between:
 *
 *   engine [-l auto|ring|direct] sets SECONDS NEW_DIRECTORY   64 outstanding durable 100-byte sets
 *   engine load COUNT BYTES NEW_DIRECTORY                     makes COUNT znodes, 1000 a directory
 *   engine start DIRECTORY                                    opens it: time and resident memory
 *
 * Each prints one line. Requests go on from their own completions, so that as many are always out
 * and no thread of ours has to be woken for each.
 */
#include "measure.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "znodefs/local.h"

#define OUTSTANDING 64
#define SET_BYTES 100
#define DIRECTORY_CHILDREN 1000
#define TXN_OPS 100
#define NAME_BYTES 24
#define VALUE_BYTES_MAX 4096

/* One request that is always out, and all that it points to. */
struct slot {
	struct zn_request req;
	struct zn_op ops[TXN_OPS];
	char names[TXN_OPS][NAME_BYTES];
	uint64_t start_ns;
	uint64_t chunk;         /* load: which TXN_OPS znodes */
	struct measure latency; /* sets; by the thread that completes this slot */
};

static struct slot slots[OUTSTANDING];
static struct zn_store *store;
static char value[VALUE_BYTES_MAX];
static sem_t slot_stopped; /* posted once by each slot that goes on no more */

static _Noreturn void fail(const char *what, int r)
{
	fprintf(stderr, "engine: %s: %s\n", what, strerror(-r));
	_exit(1);
}

static void message(void *arg, int priority, const char *text)
{
	(void)arg;
	if (priority <= LOG_WARNING)
		fprintf(stderr, "engine: %s\n", text);
}

static void store_open(const char *directory, enum zn_log_sync log_sync)
{
	char error[ZN_LOCAL_ERROR_BYTES] = "";
	struct zn_local_options opt;

	zn_local_options_init(&opt);
	opt.state_dir = directory;
	opt.log_sync = log_sync;
	opt.message = message;
	if (zn_local_open(&opt, &store, error) < 0) {
		fprintf(stderr, "engine: %s\n", error);
		_exit(1);
	}
}

static void stopped_done(struct zn_request *req)
{
	if (req->result < 0)
		fail("request", req->result);
	sem_post(&slot_stopped);
}

static void stopped_wait(unsigned count)
{
	while (count > 0) {
		if (sem_wait(&slot_stopped) == 0)
			count--;
	}
}

static struct zn_stats store_stats(void)
{
	struct zn_request req = { .type = ZN_STATS, .done = stopped_done };

	zn_submit(store, &req);
	stopped_wait(1);
	return req.stats;
}

/* ---- sets ---- */

static uint64_t sets_end_ns; /* immutable while requests are out */

static void set_submit(struct slot *s)
{
	s->start_ns = measure_now_ns();
	zn_submit(store, &s->req);
}

static void set_done(struct zn_request *req)
{
	struct slot *s = container_of(req, struct slot, req);
	uint64_t now_ns = measure_now_ns();

	if (req->result < 0)
		fail("set", req->result);
	measure_add(&s->latency, now_ns - s->start_ns);
	if (now_ns < sets_end_ns)
		set_submit(s);
	else
		sem_post(&slot_stopped);
}

static void create_keys(void)
{
	for (unsigned i = 0; i < OUTSTANDING; i++) {
		struct slot *s = &slots[i];

		(void)snprintf(s->names[0], NAME_BYTES, "key%02u", i);
		s->ops[0] = (struct zn_op){
			.type = ZN_OP_CREATE,
			.parent = ZN_ROOT_ID,
			.name = { s->names[0], strlen(s->names[0]) },
			.mode = S_IFREG | 0644,
			.data = { value, SET_BYTES },
			.version = ZN_ANY_VERSION,
		};
		s->req = (struct zn_request){
			.type = ZN_TXN,
			.done = stopped_done,
			.ops = s->ops,
			.ops_count = 1,
		};
		zn_submit(store, &s->req);
	}
	stopped_wait(OUTSTANDING);
}

static void sets(double seconds)
{
	static struct measure total;
	struct zn_stats before, after;
	uint64_t start_ns, batches, records;

	create_keys();
	before = store_stats();
	start_ns = measure_now_ns();
	sets_end_ns = start_ns + (uint64_t)(seconds * 1e9);
	for (unsigned i = 0; i < OUTSTANDING; i++) {
		slots[i].ops[0].type = ZN_OP_SET;
		slots[i].ops[0].version = ZN_ANY_VERSION;
		slots[i].req.done = set_done;
		set_submit(&slots[i]);
	}
	stopped_wait(OUTSTANDING);
	sets_end_ns = measure_now_ns();
	after = store_stats();
	for (unsigned i = 0; i < OUTSTANDING; i++)
		measure_merge(&total, &slots[i].latency);
	batches = after.batches - before.batches;
	records = after.records - before.records;
	measure_print(&total, sets_end_ns - start_ns);
	printf(" way=%s batches=%" PRIu64 " mean_batch=%.1f sync_p50_us=%.1f sync_p99_us=%.1f\n",
	       after.way, batches, batches ? (double)records / (double)batches : 0.0,
	       (double)after.sync_p50_ns / 1e3, (double)after.sync_p99_ns / 1e3);
}

/* ---- load ---- */

static struct {
	uint64_t znodes; /* all immutable while requests are out */
	size_t bytes;
	uint64_t *directories; /* ids; each written by the completion that made it */
	uint64_t chunks;
	void (*fill)(struct zn_op *op, char *name, uint64_t index);
	atomic_uint_fast64_t next_chunk;
} loading;

static void fill_directory(struct zn_op *op, char *name, uint64_t index)
{
	(void)snprintf(name, NAME_BYTES, "d%04" PRIu64, index);
	op->parent = ZN_ROOT_ID;
	op->mode = S_IFDIR | 0755;
	op->data.bytes = 0;
}

static void fill_znode(struct zn_op *op, char *name, uint64_t index)
{
	(void)snprintf(name, NAME_BYTES, "n%07" PRIu64, index);
	op->parent = loading.directories[index / DIRECTORY_CHILDREN];
	op->mode = S_IFREG | 0644;
	op->data = (struct zn_bytes){ value, loading.bytes };
}

/* False if nothing is left to make. */
static bool load_submit(struct slot *s)
{
	s->chunk = atomic_fetch_add(&loading.next_chunk, 1);
	if (s->chunk >= loading.chunks)
		return false;
	for (unsigned i = 0; i < TXN_OPS; i++) {
		s->ops[i] = (struct zn_op){ .type = ZN_OP_CREATE, .version = ZN_ANY_VERSION };
		loading.fill(&s->ops[i], s->names[i], s->chunk * TXN_OPS + i);
		s->ops[i].name = (struct zn_bytes){ s->names[i], strlen(s->names[i]) };
	}
	zn_submit(store, &s->req);
	return true;
}

static void load_done(struct zn_request *req)
{
	struct slot *s = container_of(req, struct slot, req);

	if (req->result < 0)
		fail("create", req->result);
	if (loading.fill == fill_directory) {
		for (unsigned i = 0; i < TXN_OPS; i++)
			loading.directories[s->chunk * TXN_OPS + i] = s->ops[i].id;
	}
	if (!load_submit(s))
		sem_post(&slot_stopped);
}

static void load_phase(uint64_t count, void (*fill)(struct zn_op *, char *, uint64_t))
{
	loading.fill = fill;
	loading.chunks = count / TXN_OPS;
	atomic_store(&loading.next_chunk, 0);
	for (unsigned i = 0; i < OUTSTANDING; i++) {
		slots[i].req = (struct zn_request){
			.type = ZN_TXN,
			.done = load_done,
			.ops = slots[i].ops,
			.ops_count = TXN_OPS,
		};
		if (!load_submit(&slots[i]))
			sem_post(&slot_stopped);
	}
	stopped_wait(OUTSTANDING);
}

static void load(void)
{
	uint64_t directories_count = loading.znodes / DIRECTORY_CHILDREN;
	uint64_t start_ns = measure_now_ns();
	double seconds;

	loading.directories = calloc(directories_count, sizeof(*loading.directories));
	if (!loading.directories)
		fail("directories", -ENOMEM);
	load_phase(directories_count, fill_directory);
	load_phase(loading.znodes, fill_znode);
	seconds = (double)(measure_now_ns() - start_ns) / 1e9;
	printf("znodes=%" PRIu64 " bytes=%zu seconds=%.3f rate=%.0f log_bytes=%" PRIu64 "\n",
	       loading.znodes, loading.bytes, seconds, (double)loading.znodes / seconds,
	       store_stats().log_bytes);
	free(loading.directories);
}

/* ---- start ---- */

static uint64_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	const char *resident = NULL;
	char line[128]; /* "SIZE RESIDENT ...", in pages */

	if (f) {
		if (fgets(line, sizeof(line), f))
			resident = strchr(line, ' ');
		(void)fclose(f);
	}
	if (resident)
		return strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
	fail("/proc/self/statm", -EIO);
}

static void start(const char *directory)
{
	uint64_t start_ns = measure_now_ns();
	struct zn_stats stats;
	double seconds;

	store_open(directory, ZN_LOG_SYNC_AUTO);
	seconds = (double)(measure_now_ns() - start_ns) / 1e9;
	stats = store_stats();
	printf("nodes=%" PRIu64 " seconds=%.3f rate=%.0f resident_bytes=%" PRIu64
	       " counted_bytes=%" PRIu64 "\n",
	       stats.nodes, seconds, (double)stats.nodes / seconds, resident_bytes(), stats.bytes);
}

static _Noreturn void usage(void)
{
	fputs("usage: engine [-l auto|ring|direct] sets SECONDS NEW_DIRECTORY\n"
	      "       engine load COUNT BYTES NEW_DIRECTORY    (COUNT: a multiple of 100000)\n"
	      "       engine start DIRECTORY\n",
	      stderr);
	_exit(2);
}

static enum zn_log_sync log_sync_of(const char *word)
{
	if (strcmp(word, "auto") == 0)
		return ZN_LOG_SYNC_AUTO;
	if (strcmp(word, "ring") == 0)
		return ZN_LOG_SYNC_RING;
	if (strcmp(word, "direct") == 0)
		return ZN_LOG_SYNC_DIRECT;
	usage();
}

int main(int argc, char **argv)
{
	enum zn_log_sync log_sync = ZN_LOG_SYNC_AUTO;
	int c;

	while ((c = getopt(argc, argv, "l:")) != -1) {
		if (c != 'l')
			usage();
		log_sync = log_sync_of(optarg);
	}
	argv += optind;
	argc -= optind;
	memset(value, 'v', sizeof(value));
	sem_init(&slot_stopped, 0, 0);
	if (argc == 3 && strcmp(argv[0], "sets") == 0) {
		store_open(argv[2], log_sync);
		sets(strtod(argv[1], NULL));
	} else if (argc == 4 && strcmp(argv[0], "load") == 0) {
		loading.znodes = strtoull(argv[1], NULL, 10);
		loading.bytes = strtoul(argv[2], NULL, 10);
		if (loading.znodes == 0 || loading.znodes % (DIRECTORY_CHILDREN * TXN_OPS) != 0 ||
		    loading.bytes > sizeof(value))
			usage();
		store_open(argv[3], ZN_LOG_SYNC_AUTO);
		load();
	} else if (argc == 2 && strcmp(argv[0], "start") == 0) {
		start(argv[1]);
	} else {
		usage();
	}
	fflush(stdout); /* what was measured is out before the store is closed */
	zn_store_close(store);
	return 0;
}
