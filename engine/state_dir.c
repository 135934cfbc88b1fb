/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_dir: two locks on one file. flock() keeps a second daemon out, also one in this process; a
 * record lock on top lets that daemon ask the kernel for our pid, before we have written anything.
 */
#include "state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define FORMAT_TEXT "znodefs state directory, format 1\n"
#define FORMAT_PREFIX "znodefs state directory, format "

static int fail(char *error, int result, const char *path, const char *what)
{
	(void)snprintf(error, STATE_DIR_ERROR_BYTES, "%s: %s", path, what);
	return result;
}

static int fail_errno(char *error, int result, const char *path, const char *what)
{
	(void)snprintf(error, STATE_DIR_ERROR_BYTES, "%s: %s: %s", path, what, strerror(-result));
	return result;
}

static int refuse_busy(const struct state_dir *dir, char *error)
{
	struct flock holder = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char text[128] = "";
	char *since;
	ssize_t n = pread(dir->lock_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	since = strstr(text, "since ");
	if (fcntl(dir->lock_fd, F_GETLK, &holder) < 0 || holder.l_type == F_UNLCK)
		holder.l_pid = 0;
	if (holder.l_pid > 0)
		(void)snprintf(error, STATE_DIR_ERROR_BYTES, "%s: is in use by process %d%s%s",
			       dir->path, (int)holder.l_pid, since ? ", " : "", since ? since : "");
	else
		(void)snprintf(error, STATE_DIR_ERROR_BYTES, "%s: is in use by another process",
			       dir->path);
	return -EBUSY;
}

static int take_lock(struct state_dir *dir, char *error)
{
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	dir->lock_fd = openat(dir->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (dir->lock_fd < 0)
		return fail_errno(error, zn_errno(), dir->path, "cannot open the file 'lock'");
	if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? refuse_busy(dir, error)
			       : fail_errno(error, zn_errno(), dir->path, "cannot be locked");
	(void)fcntl(dir->lock_fd, F_SETLK, &range);
	return 0;
}

static int refuse_foreign(const struct state_dir *dir, const char *name, char *error)
{
	(void)snprintf(error, STATE_DIR_ERROR_BYTES,
		       "%s: holds '%s' and is no znodefs state directory; give an empty one",
		       dir->path, name);
	return -ENOTEMPTY;
}

/* Is there anything in it that is not ours? */
static int check_unused(const struct state_dir *dir, char *error)
{
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool has_lock = false, has_log = false;
	const struct dirent *e;
	int r = 0;

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return fail_errno(error, zn_errno(), dir->path, "cannot be read");
	}
	for (errno = 0; (e = readdir(d)) != NULL; errno = 0) {
		/* A first start may have been cut short; it makes them in this order. */
		if (strcmp(e->d_name, "lock") == 0) {
			has_lock = true;
		} else if (strcmp(e->d_name, "log") == 0) {
			has_log = true;
		} else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
			   strcmp(e->d_name, "format.tmp") != 0 &&
			   strcmp(e->d_name, "lost+found") != 0) {
			r = refuse_foreign(dir, e->d_name, error);
			break;
		}
	}
	if (r == 0 && has_log && !has_lock)
		r = refuse_foreign(dir, "log", error);
	if (r == 0 && errno != 0)
		r = fail_errno(error, zn_errno(), dir->path, "cannot be read");
	(void)closedir(d);
	return r;
}

int state_dir_format(struct state_dir *dir, char *error)
{
	const char text[] = FORMAT_TEXT;
	int fd = openat(dir->fd, "format.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = 0;

	if (fd < 0)
		return fail_errno(error, zn_errno(), dir->path, "cannot create the file 'format'");
	errno = EIO;
	if (write(fd, text, sizeof(text) - 1) != (ssize_t)sizeof(text) - 1 || fsync(fd) < 0)
		r = zn_errno();
	(void)close(fd);
	if (r == 0 && (renameat(dir->fd, "format.tmp", dir->fd, "format") < 0 || fsync(dir->fd) < 0))
		r = zn_errno();
	if (r < 0)
		return fail_errno(error, r, dir->path, "cannot write the file 'format'");
	dir->is_new = false;
	return 0;
}

static int check_format(const struct state_dir *dir, int fd, char *error)
{
	char text[128];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return fail_errno(error, zn_errno(), dir->path, "cannot read the file 'format'");
	text[n] = '\0';
	if (strcmp(text, FORMAT_TEXT) == 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	if (strncmp(text, FORMAT_PREFIX, strlen(FORMAT_PREFIX)) != 0)
		return fail(error, -EBADMSG, dir->path,
			    "the file 'format' is not that of a znodefs state "
			    "directory");
	(void)snprintf(error, STATE_DIR_ERROR_BYTES,
		       "%s: is of format version '%s'; this program reads version 1", dir->path,
		       text + strlen(FORMAT_PREFIX));
	return -EPROTONOSUPPORT;
}

/* Before anything is created in it: is this a state directory, or one that may become one? */
static int check_kind(const struct state_dir *dir, char *error)
{
	return faccessat(dir->fd, "format", F_OK, 0) == 0 ? 0 : check_unused(dir, error);
}

static int open_format(struct state_dir *dir, char *error)
{
	zn_cleanup_close int fd = openat(dir->fd, "format", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return check_format(dir, fd, error);
	if (errno != ENOENT)
		return fail_errno(error, zn_errno(), dir->path, "cannot open the file 'format'");
	dir->is_new = true;
	return 0;
}

static int open_log(struct state_dir *dir, char *error)
{
	if (dir->is_new && mkdirat(dir->fd, "log", 0700) < 0) {
		if (errno != EEXIST)
			return fail_errno(error, zn_errno(), dir->path,
					  "cannot create the directory 'log'");
	}
	/* Also what an earlier start may have created and not lived to sync. */
	if (fsync(dir->fd) < 0)
		return fail_errno(error, zn_errno(), dir->path, "cannot be synced");
	dir->log_fd = openat(dir->fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->log_fd < 0)
		return fail_errno(error, zn_errno(), dir->path, "cannot open the directory 'log'");
	return 0;
}

/* The name of a directory that was just created. */
static int sync_parent(const struct state_dir *dir, char *error)
{
	zn_cleanup_close int fd = openat(dir->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Search permission is enough to create in it, so it may be unreadable: then it cannot be synced. */
	if (fd < 0 && errno == EACCES)
		return 0;
	if (fd < 0 || fsync(fd) < 0)
		return fail_errno(error, zn_errno(), dir->path,
				  "its parent directory cannot be synced");
	return 0;
}

int state_dir_open(struct state_dir *dir, const char *path, char *error)
{
	bool created;
	int r;

	*dir = (struct state_dir){ .fd = -1, .lock_fd = -1, .log_fd = -1 };
	created = mkdir(path, 0700) == 0;
	if (!created && errno != EEXIST)
		return fail_errno(error, zn_errno(), path, "cannot be created");
	dir->path = realpath(path, NULL);
	if (!dir->path)
		return fail_errno(error, zn_errno(), path, "cannot be resolved");
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd < 0)
		r = fail_errno(error, zn_errno(), path, "cannot be opened as a directory");
	else
		r = created ? sync_parent(dir, error) : check_kind(dir, error);
	if (r == 0)
		r = take_lock(dir, error);
	if (r == 0)
		r = open_format(dir, error);
	if (r == 0)
		r = open_log(dir, error);
	if (r < 0)
		state_dir_close(dir);
	return r;
}

void state_dir_sign(const struct state_dir *dir)
{
	time_t now = time(NULL);
	struct tm tm;
	char when[64] = "";
	char text[128];
	int n;

	if (localtime_r(&now, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", &tm);
	n = snprintf(text, sizeof(text), "process %d since %s\n", (int)getpid(), when);
	if (n > 0 && ftruncate(dir->lock_fd, 0) == 0)
		(void)!pwrite(dir->lock_fd, text, (size_t)n, 0);
}

void state_dir_close(struct state_dir *dir)
{
	if (dir->log_fd >= 0)
		(void)close(dir->log_fd);
	if (dir->lock_fd >= 0)
		(void)close(dir->lock_fd);
	if (dir->fd >= 0)
		(void)close(dir->fd);
	free(dir->path);
	*dir = (struct state_dir){ .fd = -1, .lock_fd = -1, .log_fd = -1 };
}
