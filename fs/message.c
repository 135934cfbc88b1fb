/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message: each line is formed in one buffer and leaves in one call, so lines of two threads never
 * mix. Overlong lines are cut.
 */
#include "message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fuse.h"

#define LINE_BYTES_MAX 1024

static enum message_way message_way = MESSAGE_PLAIN; /* changed only while one thread runs */
static bool capturing;                               /* the thread that mounts, only */
static char captured[LINE_BYTES_MAX];                /* the thread that mounts, only */

static void message_write(int priority, const char *text)
{
	int saved = errno;

	switch (message_way) {
	case MESSAGE_PLAIN:
	case MESSAGE_STARTING:
		if (priority <= LOG_ERR)
			fprintf(stderr, "znodefs: %s\n", text);
		if (message_way == MESSAGE_STARTING)
			syslog(priority, "%s", text);
		break;
	case MESSAGE_PREFIXED:
		fprintf(stderr, "<%d>znodefs: %s\n", priority, text);
		break;
	case MESSAGE_SYSLOG:
		syslog(priority, "%s", text);
		break;
	}
	errno = saved;
}

void message(int priority, const char *format, ...)
{
	char line[LINE_BYTES_MAX];
	va_list ap;

	va_start(ap, format);
	/* clang-tidy 14 loses sight of va_start() when it is given several files at once. */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	(void)vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	message_write(priority, line);
}

/* libfuse's levels are syslog's; its texts end with a newline and some begin with "fuse: ". */
static void __attribute__((format(printf, 2, 0)))
message_fuse(enum fuse_log_level level, const char *format, va_list ap)
{
	char line[LINE_BYTES_MAX];
	const char *text = line;

	(void)vsnprintf(line, sizeof(line), format, ap);
	line[strcspn(line, "\n")] = '\0';
	if (strncmp(text, "fuse: ", 6) == 0)
		text += 6;
	if (!capturing)
		message((int)level, "libfuse: %s", text);
	else if (captured[0] == '\0')
		memcpy(captured, text, strlen(text) + 1);
}

void message_init(enum message_way way)
{
	message_way = way;
	if (way == MESSAGE_STARTING)
		openlog("znodefs", LOG_PID, LOG_DAEMON);
	fuse_set_log_func(message_fuse);
}

void message_capture(bool on)
{
	capturing = on;
	if (on)
		captured[0] = '\0';
}

const char *message_captured(void)
{
	return captured;
}
