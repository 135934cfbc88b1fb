/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim: runs the crash simulation, one run for each seed.
 *   sim [--runs N] [--seed N] [--seconds S] [--verbose] [N]
 * N runs (default 3000) from seed 1, or the one run of --seed; at most S seconds. The last line is
 * "N passed, N failed"; exit status 1 if one failed. A failed run can be seen again: sim --seed N -v.
 */
#include <getopt.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

#define RUNS_DEFAULT 3000
#define FAILURES_SHOWN 20

static sigjmp_buf failed_run;
static volatile sig_atomic_t running;
static uint64_t running_seed;

/* What printf() would do, but in a signal handler. */
static void say_seed(const char *text)
{
	char digits[24];
	size_t left = sizeof(digits);
	uint64_t seed = running_seed;

	do {
		digits[--left] = (char)('0' + seed % 10);
		seed /= 10;
	} while (seed > 0);
	(void)!write(STDOUT_FILENO, "seed ", 5);
	(void)!write(STDOUT_FILENO, digits + left, sizeof(digits) - left);
	(void)!write(STDOUT_FILENO, text, strlen(text));
}

/* An assertion of the engine ends the run, not the program. */
static void on_abort(int signal)
{
	(void)signal;
	if (!running)
		return;
	say_seed(": an assertion failed\n");
	siglongjmp(failed_run, 1);
}

/* The seed must be known. */
static void on_fault(int number)
{
	say_seed(": ended by a fault\n");
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

struct totals {
	unsigned passed;
	unsigned failed;
	uint64_t crashes;
	uint64_t transactions;
};

static void run(uint64_t seed, bool verbose, struct totals *totals)
{
	static struct world *w; /* static: a run that fails jumps back here */

	w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->seed = seed;
	w->verbose = verbose;
	w->failed_run = &failed_run;
	running_seed = seed;
	running = 1;
	/* What a failed run leaves behind is not freed: it may be in any state. */
	if (sigsetjmp(failed_run, 1) != 0) {
		running = 0;
		totals->failed++;
		return;
	}
	world_run(w);
	running = 0;
	totals->passed++;
	totals->crashes += w->crashes;
	totals->transactions += w->transactions;
	world_free(w);
	free(w);
}

static double seconds_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (*text == '\0' || *end != '\0') {
		(void)fprintf(stderr, "sim: not a number: %s\n", text);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "runs", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' },
		{ 0 },
	};
	struct totals totals = { 0 };
	uint64_t runs = RUNS_DEFAULT, first = 1, seconds = 0;
	double start = seconds_now();
	bool verbose = false;
	int c;

	while ((c = getopt_long(argc, argv, "n:s:t:v", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			runs = number(optarg);
			break;
		case 's':
			first = number(optarg);
			runs = 1;
			break;
		case 't':
			seconds = number(optarg);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	if (optind < argc)
		runs = number(argv[optind]);
	(void)signal(SIGABRT, on_abort);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	(void)signal(SIGSEGV, on_fault);
#else
	(void)on_fault;
#endif
	for (uint64_t i = 0; i < runs && totals.failed < FAILURES_SHOWN; i++) {
		if (seconds > 0 && seconds_now() - start > (double)seconds)
			break;
		run(first + i, verbose, &totals);
	}
	printf("%" PRIu64 " transactions, %" PRIu64 " crashes, %.1f s\n", totals.transactions,
	       totals.crashes, seconds_now() - start);
	printf("%u passed, %u failed\n", totals.passed, totals.failed);
	return totals.failed > 0 || totals.passed == 0;
}
