/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local: the engine with threads around it, and the implementation of znodefs/store.h.
 *
 * One lock guards the engine; it is held for microseconds and never across a system call. Whoever has
 * the role of committer, one thread at a time, takes batches and makes them durable:
 *   - the thread that submitted the mutation, if it may block: no hand-over at all;
 *   - else a log thread. There are two, because the one that has just made a batch durable has replies
 *     to send while the next batch should be on its way already. With io_uring one thread does both:
 *     it starts the next batch on the ring, sends the replies, and waits.
 * A third thread prepares segments ahead of need.
 *
 * A mutation nobody waits for (lazy, relaxed) is committed with the next one somebody waits for, or by
 * a log thread that looks every commit interval for as long as such mutations come.
 */
#include "znodefs/local.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "commit.h"
#include "disk_posix.h"
#include "engine.h"
#include "histogram.h"
#include "recover.h"
#include "state_dir.h"
#include "znodefs/lock.h"

#define LOG_THREADS 2
/* Quiet intervals after which the log thread stops looking and sleeps until it is woken. */
#define TICKS_QUIET_MAX 200
#define SPARE_RETRY_MS 1000
/* Zeros at a segment's end that the ways to commit are measured on. */
#define MEASURE_BYTES (UINT64_C(64) << 10)

struct local {
	struct zn_store store;
	struct zn_local_options opt; /* immutable after opening; state_dir is not used then */
	struct state_dir dir;        /* immutable after opening */
	struct disk_posix disk;      /* immutable after opening */
	uint64_t start_ns;           /* immutable after opening */
	struct committer *committer; /* the committer's own; the role passes under the lock */
	struct zn_lock lock;
	struct engine engine;     /* guarded by lock */
	struct histogram sync_ns; /* guarded by lock */
	bool committing;          /* guarded by lock: some thread is committer */
	struct log_batch *handed; /* guarded by lock: taken, for a log thread to commit */
	bool woken;               /* guarded by lock: a log thread was, and has not looked yet */
	bool closing;             /* guarded by lock */
	bool ticking;             /* guarded by lock: a log thread should wake every interval */
	bool ticker;              /* guarded by lock: one has taken that on */
	bool spare_failing;       /* guarded by lock: said so already */
	pthread_cond_t work;      /* with lock: something for a log thread */
	pthread_cond_t spare;     /* with lock: something for the preparing thread */
	pthread_cond_t quiet;     /* with lock: the committer or the preparing thread is done */
	pthread_t log_threads[LOG_THREADS];
	pthread_t spare_thread;
	unsigned threads; /* started, log threads first; the opening thread's own */
};

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void ZN_PRINTF(3, 4) say(const struct local *s, int priority, const char *format, ...)
{
	char text[ZN_LOCAL_ERROR_BYTES];
	va_list args;

	if (!s->opt.message)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	s->opt.message(s->opt.message_arg, priority, text);
}

/* What a thread that is about to give up the lock has to do without it. */
struct work {
	struct request_queue done;
	struct log_batch *batch; /* this thread is committer now */
	struct disk_file *retired;
	bool wake_log;
	bool wake_spare;
};

/*
 * After the engine has changed: who commits what is wanted, who prepares a segment?
 * @may_commit  this thread can do it
 */
static void dispatch_locked(struct local *s, struct work *work, bool may_commit)
	zn_requires(&s->lock)
{
	*work = (struct work){ 0 };
	if (!s->committing && engine_wants_commit(&s->engine)) {
		if (may_commit)
			work->batch = engine_take(&s->engine, &work->retired);
		else
			work->wake_log = !s->woken;
		s->committing = work->batch != NULL;
	} else if (!s->ticking && log_has_pending(&s->engine.log)) {
		s->ticking = true;
		work->wake_log = !s->woken;
	}
	s->woken |= work->wake_log;
	work->wake_spare = engine_wants_spare(&s->engine);
	work->done = engine_completed(&s->engine);
}

/* The part of it that needs no lock, but for being committer. */
static void settle(struct local *s, struct work *work)
{
	if (work->wake_log)
		(void)pthread_cond_signal(&s->work);
	if (work->wake_spare)
		(void)pthread_cond_signal(&s->spare);
	complete(&work->done);
}

static void close_retired(struct local *s, struct disk_file *file)
{
	if (file)
		s->disk.disk.ops->close(&s->disk.disk, file);
}

/* The batch on its way is done; what is next? Returns false if this thread is not committer any more. */
static bool committed(struct local *s, struct log_batch *batch, int result, uint64_t took_ns,
		      struct work *work)
{
	uint64_t zxid = batch->last_zxid;

	zn_lock(&s->lock);
	engine_committed(&s->engine, batch, result);
	if (result == 0)
		histogram_add(&s->sync_ns, took_ns);
	s->committing = false;
	dispatch_locked(s, work, true);
	if (!s->committing)
		(void)pthread_cond_broadcast(&s->quiet);
	zn_unlock(&s->lock);
	if (result < 0)
		say(s, LOG_CRIT,
		    "%s: log: writing transaction 0x%" PRIx64
		    " failed: %s; read-only from now on. Mend the disk and start again: what was "
		    "acknowledged is there",
		    s->dir.path, zxid, strerror(-result));
	return work->batch != NULL;
}

/* The next batch goes to a log thread, so that the disk does not wait while this one sends replies. */
static void hand_over(struct local *s, struct log_batch *batch)
{
	zn_lock(&s->lock);
	ZN_ASSERT(!s->handed);
	s->handed = batch;
	s->woken = true;
	zn_unlock(&s->lock);
	(void)pthread_cond_signal(&s->work);
}

/* Be committer, with @batch taken, until nothing more is wanted. No lock held. */
static void commit_loop(struct local *s, struct log_batch *batch, struct disk_file *retired)
{
	enum commit_way alone = committer_best(s->committer);
	enum commit_way busy = committer_best_ring(s->committer);
	bool ring = committer_has_ring(s->committer) && s->opt.log_sync != ZN_LOG_SYNC_DIRECT;
	struct work work = { 0 };
	uint64_t start;
	int r;

	log_seal(&s->engine.log, batch, s->disk.disk.ops->now_ns(&s->disk.disk));
	start = monotonic_ns();
	r = committer_write(s->committer, batch, alone);
	close_retired(s, retired);
	while (committed(s, batch, r, monotonic_ns() - start, &work)) {
		batch = work.batch;
		if (!ring) {
			close_retired(s, work.retired);
			hand_over(s, batch);
			settle(s, &work);
			return;
		}
		log_seal(&s->engine.log, batch, s->disk.disk.ops->now_ns(&s->disk.disk));
		start = monotonic_ns();
		committer_start(s->committer, batch, busy);
		settle(s, &work);
		close_retired(s, work.retired);
		r = committer_wait(s->committer);
	}
	settle(s, &work);
}

static void fill_way(const struct local *s, char *to)
{
	const struct committer *c = s->committer;

	if (!s->disk.direct)
		(void)snprintf(to, ZN_STATS_WAY_BYTES, "plain");
	else if (!committer_has_ring(c))
		(void)snprintf(to, ZN_STATS_WAY_BYTES, "direct");
	else if (s->opt.log_sync == ZN_LOG_SYNC_RING)
		(void)snprintf(to, ZN_STATS_WAY_BYTES, "ring");
	else
		(void)snprintf(to, ZN_STATS_WAY_BYTES, "auto:%s+%s",
			       commit_way_name(committer_best(c)),
			       commit_way_name(committer_best_ring(c)));
}

static void fill_stats(const struct local *s, struct zn_stats *stats)
{
	stats->uptime_ns = monotonic_ns() - s->start_ns;
	stats->sync_p50_ns = histogram_at(&s->sync_ns, 500);
	stats->sync_p99_ns = histogram_at(&s->sync_ns, 990);
	stats->sync_max_ns = s->sync_ns.max;
	fill_way(s, stats->way);
}

static void local_submit(struct zn_store *store, struct zn_request *req)
{
	struct local *s = container_of(store, struct local, store);
	bool may_block = req->flags & ZN_REQ_MAY_BLOCK;
	bool stats = req->type == ZN_STATS;
	struct work work;

	zn_lock(&s->lock);
	engine_submit(&s->engine, req);
	if (stats)
		fill_stats(s, &req->stats);
	dispatch_locked(s, &work, may_block);
	zn_unlock(&s->lock);
	settle(s, &work);
	if (work.batch)
		commit_loop(s, work.batch, work.retired);
}

static void deadline_in(struct timespec *ts, unsigned ms)
{
	(void)clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_sec += ms / 1000;
	ts->tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_nsec -= 1000000000;
		ts->tv_sec++;
	}
}

/* A batch for a log thread to commit, or NULL. */
static struct log_batch *take_work_locked(struct local *s, struct disk_file **ret_retired)
	zn_requires(&s->lock)
{
	struct log_batch *batch = s->handed;

	*ret_retired = NULL;
	s->handed = NULL;
	s->woken = false;
	if (batch || s->committing)
		return batch;
	batch = engine_take(&s->engine, ret_retired);
	s->committing = batch != NULL;
	return batch;
}

/* What one log thread remembers between its looks at what is pending. */
struct ticks {
	bool mine;        /* this thread is the one that ticks */
	uint64_t applied; /* zxid at the last look */
	unsigned quiet;
};

/* An interval is over: what was pending before it goes out now. */
static void tick_locked(struct local *s, struct ticks *t) zn_requires(&s->lock)
{
	uint64_t durable = s->engine.zxid_durable;

	t->quiet = log_has_pending(&s->engine.log) ? 0 : t->quiet + 1;
	if (s->opt.relaxed || durable < t->applied)
		engine_flush(&s->engine);
	t->applied = s->engine.zxid_applied;
	if (t->quiet > TICKS_QUIET_MAX) {
		t->mine = false;
		t->quiet = 0;
		s->ticking = false;
		s->ticker = false;
	}
}

static void wait_for_work_locked(struct local *s, struct ticks *t) zn_requires(&s->lock)
	ZN_TSA(no_thread_safety_analysis)
{
	struct timespec deadline;

	if (s->ticking && !s->ticker) {
		s->ticker = true;
		t->mine = true;
	}
	if (!t->mine) {
		(void)pthread_cond_wait(&s->work, &s->lock.mutex);
		return;
	}
	deadline_in(&deadline, s->opt.commit_interval_ms);
	if (pthread_cond_timedwait(&s->work, &s->lock.mutex, &deadline) == ETIMEDOUT)
		tick_locked(s, t);
}

static void *log_thread(void *arg)
{
	struct local *s = arg;
	struct ticks ticks = { 0 };

	(void)pthread_setname_np(pthread_self(), "znodefs-log");
	zn_lock(&s->lock);
	while (!s->closing || s->handed) {
		struct disk_file *retired;
		struct log_batch *batch = take_work_locked(s, &retired);

		if (!batch) {
			wait_for_work_locked(s, &ticks);
			continue;
		}
		zn_unlock(&s->lock);
		commit_loop(s, batch, retired);
		zn_lock(&s->lock);
	}
	zn_unlock(&s->lock);
	return NULL;
}

static void say_spare(struct local *s, bool was_failing, int result)
{
	if (result < 0 && !was_failing)
		say(s, LOG_WARNING,
		    "%s: log: cannot make the next segment: %s; what grows the tree will be "
		    "refused "
		    "when this one is full, until there is room",
		    s->dir.path, strerror(-result));
	if (result == 0 && was_failing)
		say(s, LOG_NOTICE, "%s: log: there is room for the next segment again",
		    s->dir.path);
}

/* Prepare one segment. Called and returns with the lock held. */
static void prepare_spare_locked(struct local *s, uint64_t segment, uint64_t bytes)
	zn_requires(&s->lock) ZN_TSA(no_thread_safety_analysis)
{
	struct disk_file *file = NULL;
	struct work work;
	bool was_failing = s->spare_failing;
	int r;

	zn_unlock(&s->lock);
	r = s->disk.disk.ops->prepare(&s->disk.disk, segment, bytes, &file);
	say_spare(s, was_failing, r);
	zn_lock(&s->lock);
	s->spare_failing = r < 0;
	engine_spare_done(&s->engine, file, r);
	dispatch_locked(s, &work, false);
	(void)pthread_cond_broadcast(&s->quiet);
	zn_unlock(&s->lock);
	settle(s, &work);
	zn_lock(&s->lock);
}

static void *spare_thread(void *arg)
{
	struct local *s = arg;
	struct timespec deadline;
	uint64_t segment, bytes;

	(void)pthread_setname_np(pthread_self(), "znodefs-segment");
	zn_lock(&s->lock);
	while (!s->closing) {
		if (engine_spare(&s->engine, &segment, &bytes)) {
			prepare_spare_locked(s, segment, bytes);
		} else if (s->engine.log.spare_state == LOG_SPARE_FAILED) {
			deadline_in(&deadline, SPARE_RETRY_MS);
			if (pthread_cond_timedwait(&s->spare, &s->lock.mutex, &deadline) ==
			    ETIMEDOUT)
				engine_spare_retry(&s->engine);
		} else {
			(void)pthread_cond_wait(&s->spare, &s->lock.mutex);
		}
	}
	zn_unlock(&s->lock);
	return NULL;
}

/* Everything that waits gets its answer; what is pending becomes durable. */
static void drain(struct local *s) ZN_TSA(no_thread_safety_analysis)
{
	zn_lock(&s->lock);
	for (;;) {
		engine_flush(&s->engine);
		if (!s->committing && engine_wants_commit(&s->engine))
			(void)pthread_cond_signal(&s->work);
		else if (!s->committing && !s->engine.stalled.first &&
			 s->engine.log.spare_state != LOG_SPARE_UNDER_WAY)
			break;
		(void)pthread_cond_wait(&s->quiet, &s->lock.mutex);
	}
	s->closing = true;
	(void)pthread_cond_broadcast(&s->work);
	(void)pthread_cond_broadcast(&s->spare);
	zn_unlock(&s->lock);
}

static void join_threads(struct local *s)
{
	for (unsigned i = 0; i < s->threads && i < LOG_THREADS; i++)
		ZN_ASSERT(pthread_join(s->log_threads[i], NULL) == 0);
	if (s->threads > LOG_THREADS)
		ZN_ASSERT(pthread_join(s->spare_thread, NULL) == 0);
}

static void local_free(struct local *s)
{
	committer_free(s->committer);
	engine_close(&s->engine);
	state_dir_close(&s->dir);
	(void)pthread_cond_destroy(&s->work);
	(void)pthread_cond_destroy(&s->spare);
	(void)pthread_cond_destroy(&s->quiet);
	zn_lock_fini(&s->lock);
	free(s);
}

static void local_close(struct zn_store *store)
{
	struct local *s = container_of(store, struct local, store);

	drain(s);
	join_threads(s);
	local_free(s);
}

static const struct zn_store_ops local_ops = {
	.submit = local_submit,
	.close = local_close,
};

/* Signals are for the threads of the program around us. */
static int start_thread(pthread_t *thread, void *(*main)(void *), struct local *s)
{
	sigset_t all, old;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(thread, NULL, main, s);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		s->threads++;
	return -r;
}

static int start_threads(struct local *s)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < LOG_THREADS; i++)
		r = start_thread(&s->log_threads[i], log_thread, s);
	return r < 0 ? r : start_thread(&s->spare_thread, spare_thread, s);
}

/* The first segment of a new log, or the next one if the last is full: nothing works without it. */
static int prepare_first(struct local *s, char *error)
{
	struct disk_file *file = NULL;
	uint64_t segment, bytes;
	int r;

	if (log_can_take(&s->engine.log, 0, 0) || !engine_spare(&s->engine, &segment, &bytes))
		return 0;
	r = s->disk.disk.ops->prepare(&s->disk.disk, segment, bytes, &file);
	engine_spare_done(&s->engine, file, r);
	if (r < 0)
		(void)snprintf(error, ZN_LOCAL_ERROR_BYTES, "%s: cannot be created: %s",
			       s->disk.disk.ops->path(&s->disk.disk, segment), strerror(-r));
	return r;
}

/* On zeros that nothing was written to: at the end of the prepared segment, or of the current one. */
static int measure(struct local *s, char *error)
{
	const struct log *log = &s->engine.log;
	const struct disk_file *file = log->spare ? log->spare : log->current;
	uint64_t used = log->spare ? 0 : log->offset;
	int r;

	if (used + 2 * MEASURE_BYTES > file->bytes)
		return 0;
	r = committer_measure(s->committer, file, file->bytes - MEASURE_BYTES, MEASURE_BYTES);
	if (r < 0)
		(void)snprintf(error, ZN_LOCAL_ERROR_BYTES, "%s: cannot be written: %s",
			       s->disk.disk.ops->path(&s->disk.disk, file->segment), strerror(-r));
	return r;
}

/* The new epoch's record; nothing is served before it is durable. */
static int commit_epoch(struct local *s, char *error)
{
	struct disk_file *retired;
	struct log_batch *batch = engine_take(&s->engine, &retired);
	int r;

	ZN_ASSERT(batch != NULL);
	log_seal(&s->engine.log, batch, s->disk.disk.ops->now_ns(&s->disk.disk));
	r = committer_write(s->committer, batch, committer_best(s->committer));
	engine_committed(&s->engine, batch, r);
	close_retired(s, retired);
	if (r < 0)
		(void)snprintf(error, ZN_LOCAL_ERROR_BYTES,
			       "%s: log: cannot write the new epoch: %s", s->dir.path,
			       strerror(-r));
	return r;
}

static void say_ways(const struct local *s, int ring_error)
{
	const struct committer *c = s->committer;

	if (!s->disk.direct)
		say(s, LOG_NOTICE,
		    "%s: no O_DIRECT here: the log is written through the page cache", s->dir.path);
	if (!committer_has_ring(c)) {
		if (ring_error && !s->opt.without_ring)
			say(s, LOG_NOTICE,
			    "no io_uring (%s): batches are committed with plain calls",
			    strerror(-ring_error));
		return;
	}
	say(s, LOG_INFO,
	    "log: a batch takes %" PRIu64 " us by a call, %" PRIu64
	    " us as linked ring requests, %" PRIu64
	    " us in two; using %s, and %s while replies are sent",
	    committer_cost_ns(c, COMMIT_CALL) / 1000, committer_cost_ns(c, COMMIT_LINK) / 1000,
	    committer_cost_ns(c, COMMIT_TWO) / 1000, commit_way_name(committer_best(c)),
	    commit_way_name(committer_best_ring(c)));
}

/* A directory that was in use has a log. */
static int check_log_is_there(struct local *s, char *error)
{
	if (s->dir.is_new || s->engine.log.current)
		return 0;
	(void)snprintf(error, ZN_LOCAL_ERROR_BYTES, "%s: is missing, or has lost its head",
		       s->disk.disk.ops->path(&s->disk.disk, 1));
	return -EBADMSG;
}

static int begin(struct local *s, char *error)
{
	bool ring = !s->opt.without_ring && s->opt.log_sync != ZN_LOG_SYNC_DIRECT;
	int ring_error = 0;
	int r;

	s->committer = committer_new(&s->engine.log, ring, &ring_error);
	if (!s->committer)
		return -ENOMEM;
	if (s->opt.log_sync == ZN_LOG_SYNC_RING && !committer_has_ring(s->committer) &&
	    !s->opt.without_ring) {
		(void)snprintf(error, ZN_LOCAL_ERROR_BYTES,
			       "log_sync=ring: io_uring is not to be had: %s",
			       strerror(-ring_error));
		return ring_error;
	}
	r = s->disk.disk.ops->tidy(&s->disk.disk);
	if (r == 0)
		r = prepare_first(s, error);
	if (r == 0)
		r = measure(s, error);
	if (r == 0)
		r = commit_epoch(s, error);
	if (r == 0 && s->dir.is_new)
		r = state_dir_format(&s->dir, error);
	if (r < 0)
		return r;
	if (s->opt.log_sync == ZN_LOG_SYNC_RING)
		committer_force_ring(s->committer);
	say_ways(s, s->opt.log_sync == ZN_LOG_SYNC_DIRECT ? 0 : ring_error);
	state_dir_sign(&s->dir);
	r = start_threads(s);
	if (r < 0)
		(void)snprintf(error, ZN_LOCAL_ERROR_BYTES, "cannot start a thread: %s",
			       strerror(-r));
	return r;
}

static int check_options(const struct zn_local_options *opt, char *error)
{
	const char *what = NULL;

	if (opt->max_data < 1 || opt->max_data > ZN_MAX_DATA_MAX)
		what = "max_data is out of range";
	else if (opt->segment_bytes < ZN_SEGMENT_BYTES_MIN ||
		 opt->segment_bytes > ZN_SEGMENT_BYTES_MAX || opt->segment_bytes % (1U << 20) != 0)
		what = "segment_size is out of range, or no multiple of 1 MiB";
	else if (opt->commit_interval_ms < 1 || opt->commit_interval_ms > 60000)
		what = "commit_interval_ms is out of range";
	if (!what)
		return 0;
	(void)snprintf(error, ZN_LOCAL_ERROR_BYTES, "%s", what);
	return -EINVAL;
}

void zn_local_options_init(struct zn_local_options *opt)
{
	*opt = (struct zn_local_options){
		.commit_interval_ms = ZN_COMMIT_INTERVAL_MS_DEFAULT,
		.max_data = ZN_MAX_DATA_DEFAULT,
		.segment_bytes = ZN_SEGMENT_BYTES_DEFAULT,
	};
}

static uint64_t half_of_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);

	return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes / 2 : UINT64_C(1) << 30;
}

static void init_sync(struct local *s)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->work, &attr);
	(void)pthread_cond_init(&s->spare, &attr);
	(void)pthread_cond_init(&s->quiet, &attr);
	(void)pthread_condattr_destroy(&attr);
	zn_lock_init(&s->lock);
}

int zn_local_open(const struct zn_local_options *opt, struct zn_store **ret_store, char *error)
{
	struct engine_options engine_opt = {
		.relaxed = opt->relaxed,
		.max_data = opt->max_data,
		.max_memory = opt->max_memory ? opt->max_memory : half_of_memory(),
		.segment_bytes = opt->segment_bytes,
	};
	struct local *s;
	int r;

	static_assert(ZN_LOCAL_ERROR_BYTES >= RECOVER_ERROR_BYTES, "one buffer serves both");
	static_assert(ZN_LOCAL_ERROR_BYTES >= STATE_DIR_ERROR_BYTES, "one buffer serves both");
	error[0] = '\0';
	r = check_options(opt, error);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->store.ops = &local_ops;
	s->opt = *opt;
	s->start_ns = monotonic_ns();
	r = state_dir_open(&s->dir, opt->state_dir, error);
	if (r < 0) {
		free(s);
		return r;
	}
	disk_posix_init(&s->disk, s->dir.log_fd, s->dir.path, opt->without_direct_io);
	r = engine_open(&s->engine, &s->disk.disk, &engine_opt, error);
	if (r < 0) {
		state_dir_close(&s->dir);
		free(s);
		goto out;
	}
	init_sync(s);
	r = check_log_is_there(s, error);
	if (r == 0)
		r = begin(s, error);
	if (r == 0) {
		*ret_store = &s->store;
		return 0;
	}
	if (s->threads > 0)
		drain(s);
	join_threads(s);
	local_free(s);
out:
	if (!error[0])
		(void)snprintf(error, ZN_LOCAL_ERROR_BYTES, "%s: %s", opt->state_dir, strerror(-r));
	return r;
}
