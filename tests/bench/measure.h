/* SPDX-License-Identifier: Apache-2.0 */
/* measure: what the benchmark programs share: a clock, latency percentiles, one line of results. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

/* 64 steps to each power of two: a percentile is at most 1.6 % too large. */
#define MEASURE_STEP_BITS 6
#define MEASURE_BUCKETS ((64 - MEASURE_STEP_BITS + 1) << MEASURE_STEP_BITS)

/* Latencies in ns. All zero is empty; it may lie in memory that processes share. One writer. */
struct measure {
	uint64_t count;
	uint64_t max_ns;
	uint64_t buckets[MEASURE_BUCKETS];
};

/* CLOCK_MONOTONIC. */
uint64_t measure_now_ns(void);

void measure_add(struct measure *m, uint64_t latency_ns);

/* Adds @from to @m. */
void measure_merge(struct measure *m, const struct measure *from);

/* @quantile is 0 to 1. 0 if empty. */
uint64_t measure_quantile_ns(const struct measure *m, double quantile);

/*
 * Prints "ops=N seconds=S rate=R p50_us=A p99_us=B max_us=C" on stdout, with no newline, so that
 * the caller can go on.
 */
void measure_print(const struct measure *m, uint64_t elapsed_ns);

#endif
