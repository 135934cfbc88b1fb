/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the disk allows: 4 KiB written durably, one after the other, into a file that has been
 * allocated and written before (so that no write changes its metadata). Prints one line.
 */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "znodefs/base.h"

#define BLOCK_BYTES 4096
#define PREWRITE_BYTES (1 << 20)
#define FILE_BYTES (64 << 20)

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "rawsync: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int file_open(const char *path, void *zeros)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600);

	if (fd < 0)
		fail(path);
	(void)unlink(path);
	for (off_t at = 0; at < FILE_BYTES; at += PREWRITE_BYTES) {
		if (pwrite(fd, zeros, PREWRITE_BYTES, at) != PREWRITE_BYTES)
			fail("prewrite");
	}
	if (fsync(fd) < 0)
		fail("fsync");
	return fd;
}

int main(int argc, char **argv)
{
	static struct measure latency;
	static char zeros[PREWRITE_BYTES] __attribute__((aligned(BLOCK_BYTES)));
	struct iovec iov = { .iov_base = zeros, .iov_len = BLOCK_BYTES };
	uint64_t begin_ns, start_ns, now_ns, end_ns;
	off_t at = 0;
	int fd;

	if (argc != 3 || strtod(argv[1], NULL) <= 0) {
		fputs("usage: rawsync SECONDS NEW_FILE\n", stderr);
		return 2;
	}
	fd = file_open(argv[2], zeros);
	begin_ns = start_ns = measure_now_ns();
	end_ns = begin_ns + (uint64_t)(strtod(argv[1], NULL) * 1e9);
	do {
		if (pwritev2(fd, &iov, 1, at, RWF_DSYNC) != BLOCK_BYTES)
			fail("pwritev2");
		now_ns = measure_now_ns();
		measure_add(&latency, now_ns - start_ns);
		start_ns = now_ns;
		at = (at + BLOCK_BYTES) % FILE_BYTES;
	} while (now_ns < end_ns);
	measure_print(&latency, now_ns - begin_ns);
	putchar('\n');
	(void)close(fd);
	return 0;
}
