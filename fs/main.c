/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main: znodefs, the daemon. Reads the command line, checks the mount point, goes to the background,
 * opens the store and serves it until it is unmounted.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "daemon.h"
#include "message.h"
#include "options.h"
#include "session.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct paths {
	char state_dir[PATH_MAX];
	char mount_point[PATH_MAX];
};

/* Before the state directory is touched. */
static int check_mount_point(const char *given, char *ret_path)
{
	struct statfs fs;
	struct stat st;

	/* stat() of a dead mount may be answered from the kernel's cache; statfs() is not. */
	if (stat(given, &st) < 0 || statfs(given, &fs) < 0) {
		if (errno == ENOTCONN)
			message(LOG_ERR,
				"mount point %s: a dead FUSE mount, remove it with: umount -l %s",
				given, given);
		else
			message(LOG_ERR, "mount point %s: %s", given, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode)) {
		message(LOG_ERR, "mount point %s: not a directory", given);
		return -1;
	}
	if (!realpath(given, ret_path)) {
		message(LOG_ERR, "mount point %s: %s", given, strerror(errno));
		return -1;
	}
	return 0;
}

/* The directory need not exist yet; the daemon changes to / and needs an absolute path. */
static int find_state_dir(const char *given, char *ret_path)
{
	char cwd[PATH_MAX];
	int n;

	if (realpath(given, ret_path))
		return 0;
	if (errno != ENOENT || (given[0] != '/' && !getcwd(cwd, sizeof(cwd)))) {
		message(LOG_ERR, "state directory %s: %s", given, strerror(errno));
		return -1;
	}
	n = snprintf(ret_path, PATH_MAX, "%s%s%s", given[0] == '/' ? "" : cwd,
		     given[0] == '/' ? "" : "/", given);
	if (n >= PATH_MAX) {
		message(LOG_ERR, "state directory %s: %s", given, strerror(ENAMETOOLONG));
		return -1;
	}
	return 0;
}

/* Is @path the directory @dir, or below it? Both are absolute and without links. */
static bool is_within(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int find_paths(const struct options *opt, struct paths *ret_paths)
{
	if (check_mount_point(opt->mount_point, ret_paths->mount_point) < 0 ||
	    find_state_dir(opt->state_dir, ret_paths->state_dir) < 0)
		return -1;
	if (is_within(ret_paths->state_dir, ret_paths->mount_point)) {
		message(LOG_ERR, "state directory %s: lies below the mount point %s",
			ret_paths->state_dir, ret_paths->mount_point);
		return -1;
	}
	if (is_within(ret_paths->mount_point, ret_paths->state_dir)) {
		message(LOG_ERR, "mount point %s: lies below the state directory %s",
			ret_paths->mount_point, ret_paths->state_dir);
		return -1;
	}
	return 0;
}

static int add_fuse_defaults(struct options *opt, const char *state_dir)
{
	char fsname[PATH_MAX + 8];
	int r = fuse_opt_add_opt(&opt->fuse, "default_permissions");

	(void)snprintf(fsname, sizeof(fsname), "fsname=%s", state_dir);
	if (r == 0 && !opt->has_fsname)
		r = fuse_opt_add_opt_escaped(&opt->fuse, fsname);
	if (r == 0 && !opt->has_subtype)
		r = fuse_opt_add_opt(&opt->fuse, "subtype=znodefs");
	return r;
}

static void store_message(void *arg, int priority, const char *text)
{
	(void)arg;
	message(priority, "%s", text);
}

static void served(void)
{
	daemon_ready();
	daemon_notify("READY=1");
}

/* Everything from here on happens in the process that serves. */
static int serve(struct options *opt, const struct paths *paths)
{
	char error[ZN_LOCAL_ERROR_BYTES] = "";
	struct session *session;
	struct zn_store *store;
	sigset_t stop;
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGTERM);
	(void)sigaddset(&stop, SIGINT);
	(void)sigaddset(&stop, SIGHUP);
	/* Inherited by all threads, the store's too: only session_run() takes these signals. */
	(void)pthread_sigmask(SIG_BLOCK, &stop, NULL);

	opt->local.state_dir = paths->state_dir;
	opt->local.message = store_message;
	r = zn_local_open(&opt->local, &store, error);
	if (r < 0) {
		message(LOG_ERR, "%s", error[0] ? error : strerror(-r));
		return r;
	}
	r = session_open(store, opt->fuse, paths->mount_point, &session);
	if (r < 0) {
		zn_store_close(store);
		return r;
	}
	r = session_run(session, &stop, served);
	zn_store_close(store);
	session_close(session);
	return r;
}

static int start(struct options *opt)
{
	struct paths paths;
	int r;

	if (find_paths(opt, &paths) < 0)
		return EXIT_FAILED;
	if (add_fuse_defaults(opt, paths.state_dir) < 0) {
		message(LOG_ERR, "out of memory");
		return EXIT_FAILED;
	}
	if (opt->foreground) {
		message_init(MESSAGE_PREFIXED);
	} else {
		r = daemon_fork(paths.mount_point);
		if (r == 0 && chdir("/") < 0)
			r = -errno;
		if (r < 0) {
			message(LOG_ERR, "cannot go to the background: %s", strerror(-r));
			return EXIT_FAILED;
		}
	}
	return serve(opt, &paths) < 0 ? EXIT_FAILED : EXIT_OK;
}

int main(int argc, char **argv)
{
	struct options opt;
	int status = EXIT_OK;

	message_init(MESSAGE_PLAIN);
	switch (options_init(&opt, argc, argv)) {
	case OPTIONS_RUN:
		status = start(&opt);
		break;
	case OPTIONS_SHOWN:
		break;
	case OPTIONS_WRONG:
		status = EXIT_USAGE;
		break;
	}
	options_fini(&opt);
	return status;
}
