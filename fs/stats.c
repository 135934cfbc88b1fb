/* SPDX-License-Identifier: Apache-2.0 */
/* stats: what the store counts, and what we count. */
#include "stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "control.h"

#define NS_PER_US 1000
#define NS_PER_S 1000000000

static void print_store(FILE *f, const struct zn_stats *s)
{
	double mean = s->batches ? (double)s->records / (double)s->batches : 0;

	fprintf(f, "uptime_s %" PRIu64 "\n", s->uptime_ns / NS_PER_S);
	fprintf(f, "zxid_applied 0x%016" PRIx64 "\n", s->zxid_applied);
	fprintf(f, "zxid_durable 0x%016" PRIx64 "\n", s->zxid_durable);
	fprintf(f, "batches %" PRIu64 "\n", s->batches);
	fprintf(f, "records %" PRIu64 "\n", s->records);
	fprintf(f, "mean_batch %.2f\n", mean);
	fprintf(f, "log_bytes %" PRIu64 "\n", s->log_bytes);
	fprintf(f, "sync_p50_us %" PRIu64 "\n", s->sync_p50_ns / NS_PER_US);
	fprintf(f, "sync_p99_us %" PRIu64 "\n", s->sync_p99_ns / NS_PER_US);
	fprintf(f, "sync_max_us %" PRIu64 "\n", s->sync_max_ns / NS_PER_US);
	fprintf(f, "nodes %" PRIu64 "\n", s->nodes);
	fprintf(f, "bytes %" PRIu64 "\n", s->bytes);
	fprintf(f, "bytes_max %" PRIu64 "\n", s->bytes_max);
	fprintf(f, "segment %" PRIu64 "\n", s->segment);
	fprintf(f, "waiting %" PRIu64 "\n", s->waiting);
	fprintf(f, "failed %d\n", s->failed);
	fprintf(f, "full %d\n", s->full);
	fprintf(f, "log_sync %.*s\n", ZN_STATS_WAY_BYTES, s->way);
}

static void stats_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);
	struct fs *fs = r->fs;
	char *content = NULL;
	size_t bytes = 0;
	FILE *f;

	if (zn->result < 0) {
		request_reply_error(r, zn->result);
		return;
	}
	f = open_memstream(&content, &bytes);
	if (f) {
		print_store(f, &zn->stats);
		fprintf(f, "requests %llu\n", atomic_load(&fs->requests_count));
		fprintf(f, "open_handles %llu\n", atomic_load(&fs->handles_count));
		if (fclose(f) != 0) {
			free(content);
			content = NULL;
		}
	}
	control_reply_open(r, content, bytes);
}

void stats_open(struct request *r)
{
	r->zn.type = ZN_STATS;
	request_submit(r, stats_done);
}
