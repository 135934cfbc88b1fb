/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram: counts of durations, in buckets that are an eighth of their power of two wide, so that
 * a percentile is right within 12 %. Not thread-safe.
 */
#ifndef ENGINE_HISTOGRAM_H
#define ENGINE_HISTOGRAM_H

#include "znodefs/base.h"

#define HISTOGRAM_BUCKETS (64 * 8)

struct histogram {
	uint64_t count;
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);

/* The value that @per_mille of all are at most; 0 if there are none. */
uint64_t histogram_at(const struct histogram *h, unsigned per_mille);

#endif
