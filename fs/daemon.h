/* SPDX-License-Identifier: Apache-2.0 */
/* daemon: going to the background, and telling whoever started us how it went. */
#ifndef FS_DAEMON_H
#define FS_DAEMON_H

#include "znodefs/base.h"

/*
 * Forks. Returns in the child, which goes on to mount; the parent waits for daemon_ready() or the
 * child's end, stats @mount_point to see that it answers, and exits with the status to show. Call
 * before any thread exists. Returns 0 in the child, or -errno if there is none.
 */
int daemon_fork(const char *mount_point);

/* In the child: the mount answers. Lets go of the terminal; messages go to syslog from here on. */
void daemon_ready(void);

/* Sends @state ("READY=1") to systemd if it asked for it by $NOTIFY_SOCKET. */
void daemon_notify(const char *state);

#endif
