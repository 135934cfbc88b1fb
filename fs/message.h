/* SPDX-License-Identifier: Apache-2.0 */
/* message: lines for the operator: on stderr with a priority prefix, plain on stderr, or in syslog. */
#ifndef FS_MESSAGE_H
#define FS_MESSAGE_H

#include <syslog.h>

#include "znodefs/base.h"

enum message_way {
	MESSAGE_PLAIN,    /* errors only, on stderr, as a command does it; the way at start */
	MESSAGE_STARTING, /* the same, and everything to syslog: a daemon until it is ready */
	MESSAGE_PREFIXED, /* on stderr, each line begins with <N>, N as in syslog(3) */
	MESSAGE_SYSLOG,
};

/* Call while one thread runs. Takes over libfuse's messages as well. */
void message_init(enum message_way way);

/* @priority is one of syslog's LOG_*. Keeps errno. Any thread. */
void message(int priority, const char *format, ...) ZN_PRINTF(2, 3);

/*
 * From message_capture() on libfuse's messages are kept instead of shown, until it is called with
 * false; message_captured() returns the first of them, "" if there was none. One thread.
 */
void message_capture(bool on);
const char *message_captured(void);

#endif
