/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon: the child reports through a pipe: one byte says that INIT was handled, the pipe's end
 * without it that the start failed, and then the child has printed its line on the stderr that both
 * share. The parent makes the test access, never the daemon: a thread of ours that waits on our own
 * mount would survive kill -9 as a zombie that nobody can answer.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "message.h"

#define FIRST_FREE_FD (STDERR_FILENO + 1)

static int ready_fd = -1; /* main thread only; the child's end of the pipe */

static ssize_t read_byte(int fd)
{
	ssize_t n;
	char byte;

	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	return n;
}

static _Noreturn void daemon_parent(int fd, pid_t child, const char *mount_point)
{
	struct stat st;
	int status = 0;

	if (read_byte(fd) == 1) {
		if (stat(mount_point, &st) == 0)
			_exit(0);
		message(LOG_ERR, "%s: the mount does not answer: %s", mount_point, strerror(errno));
		(void)kill(child, SIGTERM);
		_exit(1);
	}
	if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 0)
		_exit(WEXITSTATUS(status));
	if (WIFSIGNALED(status))
		message(LOG_ERR, "the daemon was ended by signal %d while it started",
			WTERMSIG(status));
	else
		message(LOG_ERR, "%s: unmounted while the daemon started", mount_point);
	_exit(1);
}

int daemon_fork(const char *mount_point)
{
	int fds[2];
	pid_t child;
	int r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0) {
		r = -errno;
		(void)close(fds[0]);
		(void)close(fds[1]);
		return r;
	}
	if (child > 0) {
		(void)close(fds[1]);
		daemon_parent(fds[0], child, mount_point);
	}
	/*
	 * Whoever waits for the end of a pipe that it gave to the command must not wait for us. Nothing
	 * of ours is open yet but the two ends of the pipe, and dup2() takes care of those.
	 */
	ready_fd = dup2(fds[1], FIRST_FREE_FD);
	(void)close_range(FIRST_FREE_FD + 1, ~0U, 0);
	(void)fcntl(ready_fd, F_SETFD, FD_CLOEXEC);
	(void)setsid();
	message_init(MESSAGE_STARTING);
	return 0;
}

void daemon_ready(void)
{
	int null;

	if (ready_fd < 0)
		return;
	message_init(MESSAGE_SYSLOG);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
			(void)dup2(null, fd);
		if (null > STDERR_FILENO)
			(void)close(null);
	}
	/* A parent that was killed meanwhile is no reason to stop. */
	(void)!write(ready_fd, "", 1);
	(void)close(ready_fd);
	ready_fd = -1;
}

void daemon_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;
	socklen_t address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	zn_cleanup_close int fd = -1;

	if (length < 2 || length >= sizeof(address.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = '\0'; /* the abstract namespace */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     address_bytes) < 0)
		message(LOG_WARNING, "cannot send %s to %s: %s, going on", state, path,
			strerror(errno));
}
