/* SPDX-License-Identifier: Apache-2.0 */
/* mount_device: from /proc/self/mountinfo (proc(5)); a later line covers an earlier one. */
#include "mount_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Spaces and the like stand as three octal digits behind a backslash. In place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to = (char)((from[1] & 7) * 64 + (from[2] & 7) * 8 + (from[3] & 7));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* The word of @line that begins at the @n-th space, or NULL; ends the word. */
static char *word_at(char *line, unsigned n)
{
	char *rest = line, *word = NULL;

	for (unsigned i = 0; i <= n; i++) {
		word = strsep(&rest, " ");
		if (!word)
			return NULL;
	}
	return word;
}

static dev_t device_of(const char *text)
{
	char *end;
	unsigned long major = strtoul(text, &end, 10);
	unsigned long minor = *end == ':' ? strtoul(end + 1, NULL, 10) : 0;

	return makedev((unsigned)major, (unsigned)minor);
}

dev_t mount_device(const char *path)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;
	dev_t device = 0;

	while (f && getline(&line, &room, f) > 0) {
		/* id, parent, major:minor, root, mount point */
		char *number = strdup(line);
		char *place = word_at(line, 4);

		if (place && number) {
			unescape(place);
			if (strcmp(place, path) == 0)
				device = device_of(word_at(number, 2));
		}
		free(number);
	}
	free(line);
	if (f)
		(void)fclose(f);
	return device;
}
