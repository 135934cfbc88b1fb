/* SPDX-License-Identifier: Apache-2.0 */
/* history: what was applied and is not durable yet, so that the state at any zxid can be built. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

static struct zn_bytes move_bytes(unsigned char **to, struct zn_bytes from)
{
	struct zn_bytes copy = { *to, from.bytes };

	if (from.bytes > 0)
		memcpy(*to, from.data, from.bytes);
	*to += from.bytes;
	return copy;
}

void history_add(struct world *w, const struct job *job)
{
	struct event *e;
	unsigned char *to;
	size_t bytes = 1;

	if (w->history_count == w->history_room) {
		w->history_room = w->history_room ? 2 * w->history_room : 64;
		w->history = realloc(w->history, w->history_room * sizeof(*w->history));
		ZN_ASSERT(w->history != NULL);
	}
	for (unsigned i = 0; i < job->req.ops_count; i++)
		bytes += job->ops[i].name.bytes + job->ops[i].new_name.bytes +
			 job->ops[i].data.bytes;
	e = &w->history[w->history_count++];
	*e = (struct event){
		.zxid = job->zxid,
		.time_ns = job->time_ns,
		.ops_count = job->req.ops_count,
		.bytes = malloc(bytes),
	};
	ZN_ASSERT(e->bytes != NULL);
	to = e->bytes;
	for (unsigned i = 0; i < e->ops_count; i++) {
		e->ops[i] = job->ops[i];
		e->ops[i].name = move_bytes(&to, job->ops[i].name);
		e->ops[i].new_name = move_bytes(&to, job->ops[i].new_name);
		e->ops[i].data = move_bytes(&to, job->ops[i].data);
	}
}

bool history_has(const struct world *w, uint64_t zxid)
{
	for (size_t i = 0; i < w->history_count; i++) {
		if (w->history[i].zxid == zxid)
			return true;
	}
	return w->base->zxid == zxid;
}

/* Unlinked nodes in the durable state are those that are still there in the applied one. */
static void match_unlinked(struct world *w, bool keep)
{
	struct model *base = w->base;

	for (size_t i = base->nodes_count; i-- > 0;) {
		struct model_node *n = &base->nodes[i];
		const struct model_node *now;

		if (n->stat.nlink > 0)
			continue;
		now = keep ? model_find(w->applied, n->stat.id) : NULL;
		if (!now) {
			model_remove(base, n);
			continue;
		}
		ZN_ASSERT(now->stat.nlink == 0);
	}
}

void history_advance(struct world *w, uint64_t zxid, bool keep_unlinked)
{
	size_t n = 0;
	int r;

	for (; n < w->history_count && w->history[n].zxid <= zxid; n++) {
		struct event *e = &w->history[n];

		for (size_t i = 0; i < w->base->nodes_count; i++)
			w->base->nodes[i].refs = 1;
		r = model_apply(w->base, e->zxid, e->time_ns, e->ops, e->ops_count, NULL);
		if (r < 0)
			world_fail(w, "simulation: history does not apply to the model: %d", r);
		w->base->zxid = e->zxid;
		free(e->bytes);
	}
	w->history_count -= n;
	if (w->history_count > 0)
		memmove(w->history, w->history + n, w->history_count * sizeof(*w->history));
	match_unlinked(w, keep_unlinked);
}

void history_cut(struct world *w)
{
	for (size_t i = 0; i < w->history_count; i++)
		free(w->history[i].bytes);
	w->history_count = 0;
}
