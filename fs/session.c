/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: a loop of our own around libfuse's decoding. SESSION_READERS threads read from the one
 * device descriptor; each applies the request that it has read and, if it can be answered, answers
 * it, so nothing is handed to another thread. All but one may block on the disk (request.c).
 *
 * The end: a SIGTERM unmounts while the readers go on serving. With no open files that is all, the
 * device then says ENODEV to each reader, as it does after an umount by somebody else. Open files keep
 * a detached mount alive; then readers serve until nothing is queued and are woken by WAKE_SIGNAL.
 */
#include "session.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon.h"
#include "message.h"
#include "mount_device.h"
#include "ops.h"
#include "request.h"

/*
 * Two at least, so that one may block on the disk: with one, each commit is handed to another thread.
 * The third keeps a request from waiting for a wake-up while one blocks and one is busy; the kernel
 * wakes readers in turn, so each further one is a colder one.
 */
#ifndef SESSION_READERS
#define SESSION_READERS 3
#endif
static_assert(SESSION_READERS >= 1, "somebody has to read");

#define BACKGROUND_MAX 4096 /* requests such as RELEASE that the kernel lets wait */
#define STOP_SERVE_MS 2000  /* after SIGTERM, for clients that go on with open files */
#define STOP_WAKE_MS 10
#define WAKE_SIGNAL SIGUSR1

struct session {
	struct fs fs;
	char *mount_point;                  /* immutable; absolute */
	dev_t device;                       /* immutable; of the mount */
	bool wants_parallel_dirops;         /* main thread, before readers start */
	bool init_answered;                 /* main thread, before readers start */
	int ended_fd;                       /* eventfd; counts readers that have ended */
	unsigned readers_count;             /* main thread */
	unsigned ended_count;               /* main thread */
	bool unmounted;                     /* main thread; by us */
	atomic_bool stopping;               /* atomic; readers end when nothing is queued */
	atomic_bool stop_now;               /* atomic; they end anyway */
	pthread_t readers[SESSION_READERS]; /* main thread */
};

static struct session *session_of(void *userdata)
{
	return container_of((struct fs *)userdata, struct session, fs);
}

static void want(struct fuse_conn_info *conn, unsigned flag, bool on)
{
	if (!on)
		conn->want &= ~flag;
	else if (conn->capable & flag)
		conn->want |= flag;
}

/*
 * Each capability explicitly, so that all versions of libfuse behave alike.
 * READDIRPLUS_AUTO because ls -l needs attributes and find does not.
 */
void session_init_op(void *userdata, struct fuse_conn_info *conn)
{
	struct session *s = session_of(userdata);

	want(conn, FUSE_CAP_ASYNC_READ, true);
	want(conn, FUSE_CAP_PARALLEL_DIROPS, true);
	want(conn, FUSE_CAP_READDIRPLUS, true);
	want(conn, FUSE_CAP_READDIRPLUS_AUTO, true);
	want(conn, FUSE_CAP_CACHE_SYMLINKS, true); /* a node's target never changes */
	want(conn, FUSE_CAP_POSIX_LOCKS, false);
	want(conn, FUSE_CAP_FLOCK_LOCKS, false);
	want(conn, FUSE_CAP_ATOMIC_O_TRUNC, false);
	want(conn, FUSE_CAP_EXPORT_SUPPORT, false);
	want(conn, FUSE_CAP_DONT_MASK, false);
	want(conn, FUSE_CAP_SPLICE_READ, false);
	want(conn, FUSE_CAP_SPLICE_WRITE, false);
	want(conn, FUSE_CAP_SPLICE_MOVE, false);
	want(conn, FUSE_CAP_IOCTL_DIR, false);
	want(conn, FUSE_CAP_AUTO_INVAL_DATA, false);
	want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA, false);
	want(conn, FUSE_CAP_ASYNC_DIO, false); /* keeps the pieces of a large append in order */
	want(conn, FUSE_CAP_WRITEBACK_CACHE, false);
	want(conn, FUSE_CAP_NO_OPEN_SUPPORT, false);
	want(conn, FUSE_CAP_NO_OPENDIR_SUPPORT, false);
	want(conn, FUSE_CAP_POSIX_ACL, false);
	want(conn, FUSE_CAP_HANDLE_KILLPRIV, false);
	conn->max_write = (unsigned)REQUEST_WRITE_BYTES_MAX;
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = BACKGROUND_MAX;
	conn->time_gran = 1;
	s->wants_parallel_dirops = (conn->capable & FUSE_CAP_PARALLEL_DIROPS) != 0;
}

/*
 * libfuse before 3.17 does not send PARALLEL_DIROPS although it says that it is wanted; without it
 * one held LOOKUP blocks all others in its directory. So the bit is set in the reply on its way out.
 */
static void patch_init_reply(const struct session *s, const struct iovec *iov, int count)
{
	struct fuse_init_out *out;

	if (!s->wants_parallel_dirops || count != 2 || iov[1].iov_len != sizeof(*out))
		return;
	out = iov[1].iov_base;
	out->flags |= FUSE_PARALLEL_DIROPS;
	if (out->flags2 != 0)
		out->flags |= FUSE_INIT_EXT;
}

static ssize_t device_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct session *s = session_of(userdata);
	ssize_t n;

	if (s->init_answered)
		return writev(fd, iov, count);
	patch_init_reply(s, iov, count);
	n = writev(fd, iov, count);
	s->init_answered = n >= 0;
	return n;
}

/* libfuse demands it, but request_receive() does the reading. */
static ssize_t device_read(int fd, void *buffer, size_t bytes, void *userdata)
{
	(void)userdata;
	return read(fd, buffer, bytes);
}

static int receive_and_process(struct session *s)
{
	struct fuse_buf buf;
	int r = request_receive(fuse_session_fd(s->fs.session), &buf);

	if (r == 0)
		fuse_session_process_buf(s->fs.session, &buf);
	return r;
}

static int session_mount(struct session *s, const char *fuse_options)
{
	static const struct fuse_custom_io io = { .writev = device_writev, .read = device_read };
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r = -ENOMEM;

	if (fuse_opt_add_arg(&args, "znodefs") == 0 && fuse_opt_add_arg(&args, "-o") == 0 &&
	    fuse_opt_add_arg(&args, fuse_options) == 0) {
		message_capture(true);
		s->fs.session = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), &s->fs);
		if (s->fs.session)
			r = fuse_session_mount(s->fs.session, s->mount_point) == 0 ? 0 : -EIO;
		message_capture(false);
	}
	fuse_opt_free_args(&args);
	if (r < 0) {
		message(LOG_ERR, "%s: cannot mount: %s", s->mount_point, message_captured());
		return r;
	}
	s->device = mount_device(s->mount_point);
	return fuse_session_custom_io(s->fs.session, &io, fuse_session_fd(s->fs.session));
}

int session_open(struct zn_store *store, const char *fuse_options, const char *mount_point,
		 struct session **ret_session)
{
	struct session *s = calloc(1, sizeof(*s));
	struct timespec now;
	int r = -ENOMEM;

	if (!s)
		goto fail;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	s->fs.store = store;
	s->fs.start_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	atomic_init(&s->fs.block_slots, SESSION_READERS - 1);
	s->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->mount_point = strdup(mount_point);
	if (s->ended_fd < 0 || !s->mount_point)
		goto fail;
	r = session_mount(s, fuse_options);
	if (r < 0) {
		session_close(s);
		return r;
	}
	while (r == 0 && !s->init_answered)
		r = receive_and_process(s);
	request_thread_fini();
	if (r < 0)
		goto fail;
	*ret_session = s;
	return 0;
fail:
	message(LOG_ERR, "%s: cannot serve the mount: %s", mount_point, strerror(-r));
	session_close(s);
	return r;
}

static void on_wake_signal(int number)
{
	(void)number; /* it only interrupts a read */
}

/* Called after an interrupted read: is there a reason to go on? */
static bool reader_may_end(struct session *s)
{
	struct pollfd pfd = { .fd = fuse_session_fd(s->fs.session), .events = POLLIN };

	if (!atomic_load(&s->stopping))
		return false;
	return atomic_load(&s->stop_now) || poll(&pfd, 1, 0) <= 0;
}

static void *reader_main(void *arg)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	const uint64_t one = 1;
	struct session *s = arg;
	int r;

	do {
		r = receive_and_process(s);
		if (r == 0)
			(void)atomic_fetch_add_explicit(&s->fs.requests_count, 1,
							memory_order_relaxed);
		else if (r == -ENOMEM)
			(void)nanosleep(&pause, NULL);
		else if (r == -EINTR && reader_may_end(s))
			break;
	} while (r == 0 || r == -ENOMEM || r == -EINTR || r == -EAGAIN);
	if (r != -EINTR && r != -ENODEV)
		message(LOG_ERR, "reading the FUSE device: %s, this thread stops", strerror(-r));
	request_thread_fini();
	(void)!write(s->ended_fd, &one, sizeof(one));
	return NULL;
}

static int start_readers(struct session *s)
{
	struct sigaction wake = { .sa_handler = on_wake_signal }; /* no SA_RESTART */
	int r = 0;

	if (sigaction(WAKE_SIGNAL, &wake, NULL) < 0)
		return -errno;
	while (r == 0 && s->readers_count < SESSION_READERS) {
		r = -pthread_create(&s->readers[s->readers_count], NULL, reader_main, s);
		if (r == 0)
			s->readers_count++;
	}
	return r;
}

static bool readers_ended(struct session *s)
{
	uint64_t n;

	if (read(s->ended_fd, &n, sizeof(n)) == sizeof(n))
		s->ended_count += (unsigned)n;
	return s->ended_count == s->readers_count;
}

/* Waits for an event on @fd (-1: none) or for the last reader's end, which it returns. */
static bool wait_readers(struct session *s, int fd, int timeout_ms)
{
	struct pollfd pfds[2] = {
		{ .fd = s->ended_fd, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};

	(void)poll(pfds, 2, timeout_ms);
	return readers_ended(s);
}

/* For users who may not umount(2). */
static void unmount_by_helper(const char *mount_point)
{
	char *const argv[] = { (char[]){ "fusermount3" }, (char[]){ "-uqz" }, (char[]){ "--" },
			       (char *)(uintptr_t)mount_point, NULL };
	extern char **environ;
	pid_t pid;
	int r = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

	if (r != 0)
		message(LOG_ERR, "cannot run fusermount3: %s", strerror(r));
	else
		(void)waitpid(pid, NULL, 0);
}

/* After an umount -l by somebody else, another mount may be in our place. Without /proc: who knows. */
static bool is_ours(const struct session *s)
{
	return s->device == 0 || mount_device(s->mount_point) == s->device;
}

/* Busy or not, it is out of the tree afterwards. */
static void session_unmount(struct session *s)
{
	int r;

	s->unmounted = true;
	if (!is_ours(s))
		return;
	r = umount2(s->mount_point, UMOUNT_NOFOLLOW);

	if (r < 0 && errno == EBUSY) {
		message(LOG_NOTICE, "%s: in use, detached; open files end with the daemon",
			s->mount_point);
		r = umount2(s->mount_point, UMOUNT_NOFOLLOW | MNT_DETACH);
	}
	if (r < 0 && errno == EPERM)
		unmount_by_helper(s->mount_point);
	else if (r < 0)
		message(LOG_WARNING, "%s: umount: %s, going on", s->mount_point, strerror(errno));
}

static void wake_readers(struct session *s)
{
	for (unsigned i = 0; i < s->readers_count; i++)
		(void)pthread_kill(s->readers[i], WAKE_SIGNAL); /* not joined yet: still valid */
}

static void stop_readers(struct session *s)
{
	int waited_ms = 0;

	/* Without users the unmount ends them by itself. */
	if (wait_readers(s, -1, STOP_WAKE_MS))
		return;
	atomic_store(&s->stopping, true);
	do {
		wake_readers(s);
		waited_ms += STOP_WAKE_MS;
		atomic_store(&s->stop_now, waited_ms > STOP_SERVE_MS);
	} while (!wait_readers(s, -1, STOP_WAKE_MS));
}

/* After an abort (umount -f) the mount can be left behind, dead. */
static void clear_dead_mount(const struct session *s)
{
	struct statfs st; /* stat() may be answered from the kernel's cache */

	if (!s->unmounted && is_ours(s) && statfs(s->mount_point, &st) < 0 && errno == ENOTCONN)
		(void)umount2(s->mount_point, UMOUNT_NOFOLLOW | MNT_DETACH);
}

int session_run(struct session *s, const sigset_t *stop, void (*ready)(void))
{
	zn_cleanup_close int signal_fd = signalfd(-1, stop, SFD_CLOEXEC);
	struct pollfd pfd = { .fd = signal_fd, .events = POLLIN };
	int r = signal_fd < 0 ? -errno : start_readers(s);
	bool ended = false;

	if (r < 0) {
		message(LOG_ERR, "cannot start threads: %s", strerror(-r));
	} else {
		ready();
		while (!ended && poll(&pfd, 1, 0) <= 0)
			ended = wait_readers(s, signal_fd, -1);
	}
	daemon_notify("STOPPING=1");
	if (!ended) {
		session_unmount(s);
		stop_readers(s);
	}
	for (unsigned i = 0; i < s->readers_count; i++)
		(void)pthread_join(s->readers[i], NULL);
	clear_dead_mount(s);
	return r;
}

/* No user is left who could send a request. */
static bool device_is_dead(const struct session *s)
{
	struct pollfd pfd = { .fd = fuse_session_fd(s->fs.session) };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLERR) != 0;
}

void session_close(struct session *s)
{
	if (!s)
		return;
	if (s->fs.session) {
		/*
		 * Once we have unmounted, libfuse must not do it again: by now the place may belong to
		 * a successor. It does nothing if the device is dead.
		 */
		if (!s->unmounted || device_is_dead(s))
			fuse_session_unmount(s->fs.session);
		fuse_session_destroy(s->fs.session);
	}
	if (s->ended_fd >= 0)
		(void)close(s->ended_fd);
	free(s->mount_point);
	free(s);
}
