/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log-linear histogram: the top MEASURE_STEP_BITS + 1 bits of a latency choose its bucket, so
 * that adding costs a few instructions and merging those of many processes loses nothing.
 */
#include "measure.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define STEPS (UINT64_C(1) << MEASURE_STEP_BITS)

uint64_t measure_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* Values below 2 * STEPS have a bucket each; above, @shift low bits are dropped. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned shift;

	if (ns < 2 * STEPS)
		return (unsigned)ns;
	shift = 63 - (unsigned)__builtin_clzll(ns) - MEASURE_STEP_BITS;
	return (shift << MEASURE_STEP_BITS) + (unsigned)(ns >> shift);
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_max(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * STEPS)
		return bucket;
	shift = (bucket >> MEASURE_STEP_BITS) - 1;
	return ((bucket - (shift << MEASURE_STEP_BITS) + UINT64_C(1)) << shift) - 1;
}

void measure_add(struct measure *m, uint64_t latency_ns)
{
	m->count++;
	m->buckets[bucket_of(latency_ns)]++;
	if (latency_ns > m->max_ns)
		m->max_ns = latency_ns;
}

void measure_merge(struct measure *m, const struct measure *from)
{
	m->count += from->count;
	for (unsigned i = 0; i < MEASURE_BUCKETS; i++)
		m->buckets[i] += from->buckets[i];
	if (from->max_ns > m->max_ns)
		m->max_ns = from->max_ns;
}

uint64_t measure_quantile_ns(const struct measure *m, double quantile)
{
	uint64_t rank = (uint64_t)(quantile * (double)m->count);
	uint64_t seen = 0;

	for (unsigned i = 0; i < MEASURE_BUCKETS; i++) {
		seen += m->buckets[i];
		if (seen > rank)
			return bucket_max(i) < m->max_ns ? bucket_max(i) : m->max_ns;
	}
	return m->max_ns;
}

void measure_print(const struct measure *m, uint64_t elapsed_ns)
{
	double seconds = (double)elapsed_ns / 1e9;

	printf("ops=%" PRIu64 " seconds=%.3f rate=%.0f p50_us=%.1f p99_us=%.1f max_us=%.1f",
	       m->count, seconds, seconds > 0 ? (double)m->count / seconds : 0.0,
	       (double)measure_quantile_ns(m, 0.5) / 1e3,
	       (double)measure_quantile_ns(m, 0.99) / 1e3, (double)m->max_ns / 1e3);
}
