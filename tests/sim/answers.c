/* SPDX-License-Identifier: Apache-2.0 */
/* answers: compares what the engine says with what a model says. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "world.h"

struct asked {
	struct world *w;
	const struct model *m;
	const struct job *job;
	const char *when;
};

static _Noreturn void differs(const struct asked *a, const char *what)
{
	world_fail(a->w,
		   "%s: answer differs in %s from the model at zxid 0x%" PRIx64 ": result %d: %s",
		   a->when, what, a->m->zxid, a->job->req.result, job_text(a->job));
}

static void expect(const struct asked *a, int result)
{
	if (a->job->req.result != result)
		world_fail(a->w, "%s: result %d, the model at zxid 0x%" PRIx64 " says %d: %s",
			   a->when, a->job->req.result, a->m->zxid, result, job_text(a->job));
}

static void check_stat(const struct asked *a, const struct zn_stat *stat,
		       const struct model_node *n)
{
	struct zn_stat expected = model_stat(a->m, n);
	const char *field = model_stat_differs(stat, &expected);

	if (field)
		differs(a, field);
}

static void check_lookup(const struct asked *a, const struct model_node *dir)
{
	const struct model_name *name;

	if (!model_is_dir(dir)) {
		expect(a, -ENOTDIR);
		return;
	}
	name = model_lookup(a->m, dir->stat.id, a->job->req.name);
	expect(a, name ? 0 : -ENOENT);
	if (name)
		check_stat(a, &a->job->req.stat, model_find(a->m, name->id));
}

/* Do the pieces of the answer hold these bytes? */
static void check_bytes(const struct asked *a, const unsigned char *bytes, size_t count)
{
	const struct zn_request *req = &a->job->req;
	size_t at = 0;

	for (unsigned i = 0; i < req->iov_count; i++) {
		size_t piece = req->iov[i].iov_len;

		if (!bytes || piece > count - at ||
		    memcmp(req->iov[i].iov_base, bytes + at, piece) != 0)
			differs(a, "bytes");
		at += piece;
	}
	if (at != count || req->bytes != count)
		differs(a, "number of bytes");
}

static void check_read(const struct asked *a, const struct model_node *n)
{
	const struct zn_request *req = &a->job->req;
	size_t all = model_data_bytes(n);
	size_t from = zn_min_u64(req->offset, all);

	expect(a, 0);
	check_stat(a, &req->stat, n);
	/* priv.bytes is what was asked for. */
	check_bytes(a, n->data ? n->data->bytes + from : NULL,
		    zn_min_u64(all - from, req->priv.bytes));
}

static void check_entry(const struct asked *a, const struct zn_dirent *e, uint64_t dir)
{
	const struct model_name *name;
	const struct model_node *n;

	if (strlen(e->name) != e->name_bytes)
		differs(a, "an entry's terminator");
	name = model_lookup(a->m, dir, (struct zn_bytes){ e->name, e->name_bytes });
	if (!name || name->id != e->id)
		differs(a, "an entry");
	n = model_find(a->m, name->id);
	if ((e->mode & S_IFMT) != (n->stat.mode & S_IFMT))
		differs(a, "an entry's type");
	if (a->job->req.flags & ZN_REQ_READDIR_STAT)
		check_stat(a, &e->stat, n);
}

static void check_readdir(const struct asked *a, const struct model_node *dir)
{
	const struct zn_request *req = &a->job->req;
	uint64_t last = 0;
	size_t count = 0;

	if (!model_is_dir(dir)) {
		expect(a, -ENOTDIR);
		return;
	}
	expect(a, 0);
	check_stat(a, &req->stat, dir);
	for (size_t at = 0; at < req->entries_bytes;) {
		const struct zn_dirent *e = (const void *)((const char *)req->buffer + at);

		if (e->cookie <= last || e->cookie < ZN_COOKIE_FIRST)
			differs(a, "an entry's cookie");
		last = e->cookie;
		check_entry(a, e, dir->stat.id);
		at += e->bytes;
		count++;
	}
	if (count != model_children(a->m, dir->stat.id))
		differs(a, "number of entries");
}

static const struct model_xattr *find_xattr(const struct model_node *n, const char *name,
					    size_t bytes)
{
	for (unsigned i = 0; i < n->xattrs_count; i++) {
		if (strlen(n->xattrs[i].name) == bytes &&
		    memcmp(n->xattrs[i].name, name, bytes) == 0)
			return &n->xattrs[i];
	}
	return NULL;
}

static void check_getxattr(const struct asked *a, const struct model_node *n)
{
	const struct zn_bytes name = a->job->req.name;
	const struct model_xattr *x = find_xattr(n, name.data, name.bytes);

	expect(a, x ? 0 : -ENODATA);
	if (x)
		check_bytes(a, x->value->bytes, x->value->count);
}

static void check_listxattr(const struct asked *a, const struct model_node *n)
{
	const struct zn_request *req = &a->job->req;
	const char *at = req->iov_count ? req->iov[0].iov_base : NULL;
	const char *end = at ? at + req->bytes : NULL;
	unsigned count = 0;

	expect(a, 0);
	while (at < end) {
		if (!find_xattr(n, at, strlen(at)))
			differs(a, "the list of attributes");
		at += strlen(at) + 1;
		count++;
	}
	if (count != n->xattrs_count)
		differs(a, "number of attributes");
}

/* Any of the node's names will do. */
static void check_path(const struct asked *a, const struct model_node *n)
{
	const struct zn_request *req = &a->job->req;
	const char *at, *end;
	uint64_t id = ZN_ROOT_ID;

	if (n->stat.nlink == 0) {
		expect(a, -ENOENT);
		return;
	}
	expect(a, 0);
	at = req->iov[0].iov_base;
	end = at + req->bytes;
	if (n->stat.id == ZN_ROOT_ID && req->bytes == 1 && *at == '/')
		return;
	while (at < end) {
		const char *slash;
		const struct model_name *name;

		if (*at++ != '/')
			differs(a, "the path");
		slash = memchr(at, '/', (size_t)(end - at));
		if (!slash)
			slash = end;
		name = model_lookup(a->m, id, (struct zn_bytes){ at, (size_t)(slash - at) });
		if (!name)
			differs(a, "the path's names");
		id = name->id;
		at = slash;
	}
	if (id != n->stat.id)
		differs(a, "the path's end");
}

void answer_check(struct world *w, const struct model *m, const struct job *job, const char *when)
{
	const struct asked a = { w, m, job, when };
	const struct model_node *n = model_find(m, job->req.id);

	if (job->req.type == ZN_SYNC || job->req.type == ZN_FORGET)
		return;
	if (!n) {
		expect(&a, -ENOENT);
		return;
	}
	if (n->vague)
		return;
	switch (job->req.type) {
	case ZN_LOOKUP:
		check_lookup(&a, n);
		break;
	case ZN_STAT:
		expect(&a, 0);
		check_stat(&a, &job->req.stat, n);
		break;
	case ZN_READ:
		check_read(&a, n);
		break;
	case ZN_READDIR:
		check_readdir(&a, n);
		break;
	case ZN_GETXATTR:
		check_getxattr(&a, n);
		break;
	case ZN_LISTXATTR:
		check_listxattr(&a, n);
		break;
	case ZN_PATH:
		check_path(&a, n);
		break;
	default:
		break;
	}
}

static uint64_t mix(uint64_t digest, const void *bytes, size_t count)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < count; i++)
		digest = (digest ^ p[i]) * UINT64_C(0x100000001b3);
	return digest;
}

uint64_t answer_digest(const struct job *job)
{
	const struct zn_request *req = &job->req;
	uint64_t digest = mix(UINT64_C(0xcbf29ce484222325), &req->result, sizeof(req->result));

	if (req->result < 0 || req->type == ZN_TXN)
		return digest;
	digest = mix(digest, &req->stat, sizeof(req->stat));
	for (unsigned i = 0; i < req->iov_count; i++)
		digest = mix(digest, req->iov[i].iov_base, req->iov[i].iov_len);
	return req->type == ZN_READDIR ? mix(digest, req->buffer, req->entries_bytes) : digest;
}

/* Ask the engine, which must answer at once since everything is durable. */
static void ask(struct world *w, const struct model *m, enum zn_request_type type, uint64_t id,
		const char *name)
{
	struct job *job = job_new(w, type);
	struct request_queue done;

	job->req.id = id;
	job->req.name = (struct zn_bytes){ name, name ? strlen(name) : 0 };
	job->req.bytes = 1U << 20;
	if (type == ZN_READDIR) {
		job->entries = calloc(1, JOB_ENTRIES_BYTES);
		job->req.buffer = job->entries;
		job->req.buffer_bytes = JOB_ENTRIES_BYTES;
		job->req.cost_max = SIZE_MAX / 2;
		job->req.flags = ZN_REQ_READDIR_STAT;
	}
	engine_submit(&w->engine, &job->req);
	answer_check(w, m, job, "after recovery");
	done = engine_completed(&w->engine);
	if (done.first != &job->req)
		world_fail(w, "after recovery: no answer at once: %s", job_text(job));
	w->dead = true; /* nobody's */
	complete(&done);
	w->dead = false;
}

void tree_check_all(struct world *w, const struct model *m)
{
	if (w->engine.tree.nodes.count != m->nodes_count)
		world_fail(w, "after recovery: %" PRIu64 " nodes, the model has %zu",
			   w->engine.tree.nodes.count, m->nodes_count);
	for (size_t i = 0; i < m->nodes_count; i++) {
		const struct model_node *n = &m->nodes[i];
		uint64_t id = n->stat.id;

		ask(w, m, ZN_STAT, id, NULL);
		ask(w, m, ZN_READ, id, NULL);
		ask(w, m, ZN_PATH, id, NULL);
		ask(w, m, ZN_LISTXATTR, id, NULL);
		if (model_is_dir(n))
			ask(w, m, ZN_READDIR, id, NULL);
		for (unsigned x = 0; x < n->xattrs_count; x++)
			ask(w, m, ZN_GETXATTR, id, n->xattrs[x].name);
	}
}
