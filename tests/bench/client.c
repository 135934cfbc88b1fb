/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load on a mount: N processes, each standing in its own directory and using names of one
 * component, that start together and repeat one operation for some seconds. Prints one line.
 *
 * The parent makes the directories, forks, waits until every child has prepared its files, sets the
 * end and opens the gate. A child that fails says why and makes the whole run fail.
 */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "znodefs/base.h"

#define CLIENTS_MAX 1024
#define VALUE_BYTES_MAX 65536
#define NAME_BYTES 24
#define VALUE_NAME "value"

struct options {
	const struct workload *workload;
	const char *directory;
	unsigned clients;
	double seconds;
	size_t bytes;
	bool fsync;     /* of the file, before it is closed */
	bool fsync_dir; /* of the directory, after a name was made */
	bool keep;      /* leave what was made */
};

struct client {
	const struct options *opt;
	int dirfd;
	uint64_t ops;
};

struct workload {
	const char *name;
	bool needs_value;
	bool makes_names;
	int (*run)(const struct client *c);
};

/* In memory that parent and children share. */
struct report {
	struct measure latency;
	uint64_t end_ns;
};

static char value[VALUE_BYTES_MAX];

static void name_of(char name[NAME_BYTES], uint64_t index)
{
	(void)snprintf(name, NAME_BYTES, "n%08llu", (unsigned long long)index);
}

static int write_file(const struct client *c, const char *name, int flags)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC | flags, 0644);
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return -errno;
	n = write(fd, value, c->opt->bytes);
	if (n < 0)
		r = -errno;
	else if ((size_t)n != c->opt->bytes)
		r = -EIO;
	if (r == 0 && c->opt->fsync && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

static int run_rewrite(const struct client *c)
{
	return write_file(c, VALUE_NAME, O_TRUNC);
}

static int run_create(const struct client *c)
{
	char name[NAME_BYTES];
	int r;

	name_of(name, c->ops);
	r = write_file(c, name, O_CREAT | O_EXCL);
	if (r == 0 && c->opt->fsync_dir && fsync(c->dirfd) < 0)
		r = -errno;
	return r;
}

static int run_stat(const struct client *c)
{
	struct stat st;

	(void)c;
	return stat(VALUE_NAME, &st) < 0 ? -errno : 0;
}

static int run_read(const struct client *c)
{
	char buffer[VALUE_BYTES_MAX];
	int fd = open(VALUE_NAME, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return -errno;
	n = read(fd, buffer, sizeof(buffer));
	if (n < 0)
		r = -errno;
	else if ((size_t)n != c->opt->bytes)
		r = -EIO;
	(void)close(fd);
	return r;
}

static const struct workload workloads[] = {
	{ "rewrite", true, false, run_rewrite }, /* open O_TRUNC, write, close */
	{ "create", false, true, run_create },   /* open O_CREAT|O_EXCL, write, close */
	{ "stat", true, false, run_stat },
	{ "read", true, false, run_read }, /* open, read, close */
};

static int client_prepare(struct client *c, unsigned index)
{
	char path[NAME_BYTES];

	(void)snprintf(path, sizeof(path), "c%04u", index);
	if (chdir(c->opt->directory) < 0 || (mkdir(path, 0755) < 0 && errno != EEXIST))
		return -errno;
	if (chdir(path) < 0)
		return -errno;
	c->dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dirfd < 0)
		return -errno;
	return c->opt->workload->needs_value ? write_file(c, VALUE_NAME, O_CREAT | O_TRUNC) : 0;
}

static int client_clean(const struct client *c, unsigned index)
{
	char name[NAME_BYTES];

	for (uint64_t i = 0; c->opt->workload->makes_names && i < c->ops; i++) {
		name_of(name, i);
		if (unlink(name) < 0)
			return -errno;
	}
	if (c->opt->workload->needs_value && unlink(VALUE_NAME) < 0)
		return -errno;
	(void)close(c->dirfd);
	(void)snprintf(name, sizeof(name), "c%04u", index);
	if (chdir(c->opt->directory) < 0 || rmdir(name) < 0)
		return -errno;
	return 0;
}

static int client_run(struct client *c, struct report *report)
{
	uint64_t start_ns = measure_now_ns();
	uint64_t now_ns;
	int r;

	do {
		r = c->opt->workload->run(c);
		if (r < 0)
			return r;
		c->ops++;
		now_ns = measure_now_ns();
		measure_add(&report->latency, now_ns - start_ns);
		start_ns = now_ns;
	} while (now_ns < report->end_ns);
	report->end_ns = now_ns;
	return 0;
}

/* @ready is closed once prepared; @gate gives end of file when all may start. */
static int client_main(const struct options *opt, unsigned index, struct report *report, int ready,
		       int gate)
{
	struct client c = { .opt = opt, .dirfd = -1 };
	char byte = 0;
	int r;

	r = client_prepare(&c, index);
	if (r < 0)
		goto out;
	if (write(ready, &byte, 1) != 1) {
		r = -errno;
		goto out;
	}
	(void)close(ready);
	(void)!read(gate, &byte, 1);
	if (report->end_ns == 0)
		return 1; /* another one failed and has said so */
	r = client_run(&c, report);
	if (r < 0)
		goto out;
	if (!opt->keep)
		r = client_clean(&c, index);
out:
	if (r < 0)
		fprintf(stderr, "client: %s in %s: client %u after %llu operations: %s\n",
			opt->workload->name, opt->directory, index, (unsigned long long)c.ops,
			strerror(-r));
	return r < 0;
}

/* Returns how many children have prepared. */
static unsigned start_clients(const struct options *opt, struct report *reports, int *ret_gate)
{
	unsigned ready_count = 0;
	int ready[2], gate[2];
	char byte;

	if (pipe(ready) < 0 || pipe(gate) < 0) {
		perror("client: pipe");
		exit(1);
	}
	for (unsigned i = 0; i < opt->clients; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("client: fork");
			break;
		}
		if (pid == 0) {
			(void)close(ready[0]);
			(void)close(gate[1]);
			_exit(client_main(opt, i, &reports[i], ready[1], gate[0]));
		}
	}
	(void)close(ready[1]);
	(void)close(gate[0]);
	while (read(ready[0], &byte, 1) == 1)
		ready_count++;
	(void)close(ready[0]);
	*ret_gate = gate[1];
	return ready_count;
}

static bool wait_clients(void)
{
	bool ok = true;
	int status;

	while (wait(&status) > 0)
		ok = ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return ok;
}

static int load(const struct options *opt)
{
	size_t bytes = opt->clients * sizeof(struct report);
	static struct measure total;
	struct report *reports;
	uint64_t start_ns, end_ns = 0;
	int gate;

	reports = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (reports == MAP_FAILED) {
		perror("client: mmap");
		return 1;
	}
	if (start_clients(opt, reports, &gate) == opt->clients) {
		for (unsigned i = 0; i < opt->clients; i++)
			reports[i].end_ns = measure_now_ns() + (uint64_t)(opt->seconds * 1e9);
	}
	start_ns = measure_now_ns();
	(void)close(gate);
	if (!wait_clients())
		return 1;
	for (unsigned i = 0; i < opt->clients; i++) {
		measure_merge(&total, &reports[i].latency);
		end_ns = zn_max_u64(end_ns, reports[i].end_ns);
	}
	printf("workload=%s clients=%u ", opt->workload->name, opt->clients);
	measure_print(&total, end_ns - start_ns);
	putchar('\n');
	return 0;
}

static _Noreturn void usage(void)
{
	fputs("usage: client [-c CLIENTS] [-s SECONDS] [-b BYTES] [--fsync] [--fsync-dir] "
	      "[--keep]\n"
	      "              rewrite|create|stat|read DIRECTORY\n",
	      stderr);
	exit(2);
}

static void parse_options(int argc, char **argv, struct options *opt)
{
	static const struct option long_options[] = {
		{ "clients", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "fsync", no_argument, NULL, 'f' },
		{ "fsync-dir", no_argument, NULL, 'F' },
		{ "keep", no_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:s:b:", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			opt->clients = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			opt->seconds = strtod(optarg, NULL);
			break;
		case 'b':
			opt->bytes = strtoul(optarg, NULL, 10);
			break;
		case 'f':
			opt->fsync = true;
			break;
		case 'F':
			opt->fsync_dir = true;
			break;
		case 'k':
			opt->keep = true;
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 2)
		usage();
	for (size_t i = 0; i < ARRAY_SIZE(workloads); i++) {
		if (strcmp(argv[optind], workloads[i].name) == 0)
			opt->workload = &workloads[i];
	}
	opt->directory = realpath(argv[optind + 1], NULL);
	if (!opt->directory) {
		fprintf(stderr, "client: %s: %s\n", argv[optind + 1], strerror(errno));
		exit(1);
	}
	if (!opt->workload || opt->clients < 1 || opt->clients > CLIENTS_MAX ||
	    opt->bytes > VALUE_BYTES_MAX || opt->seconds <= 0)
		usage();
}

int main(int argc, char **argv)
{
	struct options opt = { .clients = 1, .seconds = 1.5, .bytes = 100 };

	memset(value, 'v', sizeof(value));
	parse_options(argc, argv, &opt);
	return load(&opt);
}
