/* SPDX-License-Identifier: Apache-2.0 */
/* histogram: the three bits below the highest one select the bucket within a power of two. */
#include "histogram.h"

static unsigned bucket_of(uint64_t value)
{
	unsigned top;

	if (value < 8)
		return (unsigned)value;
	top = 63U - (unsigned)__builtin_clzll(value);
	return (top - 2) * 8 + (unsigned)((value >> (top - 3)) & 7);
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_end(unsigned bucket)
{
	unsigned top = bucket / 8 + 2;

	if (bucket < 8)
		return bucket;
	return ((UINT64_C(8) + bucket % 8 + 1) << (top - 3)) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->buckets[bucket_of(value)]++;
	h->count++;
	h->max = zn_max_u64(h->max, value);
}

uint64_t histogram_at(const struct histogram *h, unsigned per_mille)
{
	uint64_t rank = (h->count * per_mille + 999) / 1000;
	uint64_t seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && h->count > 0; i++) {
		seen += h->buckets[i];
		if (seen >= rank)
			return zn_min_u64(bucket_end(i), h->max);
	}
	return 0;
}
