/* SPDX-License-Identifier: Apache-2.0 */
/* jobs: random requests. They pick from what is there, so that most of them mean something. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "world.h"

struct job *job_new(struct world *w, enum zn_request_type type)
{
	struct job *job = calloc(1, sizeof(*job));

	ZN_ASSERT(job != NULL);
	job->world = w;
	job->number = ++w->jobs_made;
	job->req.type = type;
	job->req.done = job_done;
	job->next = w->jobs;
	w->jobs = job;
	w->jobs_count++;
	return job;
}

void job_free(struct job *job)
{
	struct job **j = &job->world->jobs;

	while (*j != job)
		j = &(*j)->next;
	*j = job->next;
	job->world->jobs_count--;
	for (unsigned i = 0; i < job->bytes_count; i++)
		free(job->bytes[i]);
	free(job->entries);
	free(job);
}

static unsigned char *job_bytes(struct job *job, size_t bytes)
{
	unsigned char *p = malloc(bytes + 1);

	ZN_ASSERT(p != NULL && job->bytes_count < ARRAY_SIZE(job->bytes));
	job->bytes[job->bytes_count++] = p;
	return p;
}

static struct zn_bytes copy_text(struct job *job, const char *text, size_t bytes)
{
	unsigned char *p = job_bytes(job, bytes);

	memcpy(p, text, bytes);
	return (struct zn_bytes){ p, bytes };
}

static struct zn_bytes random_data(struct world *w, struct job *job, uint32_t most)
{
	static const uint32_t sizes[] = { 0, 16, 16, 64, 64, 600, 600, 5000, 5000, 100000 };
	uint32_t bytes = sizes[rng_below(&w->rng, ARRAY_SIZE(sizes))];
	unsigned char *p;

	if (bytes > most)
		bytes = most;
	bytes = rng_below(&w->rng, bytes + 1);
	p = job_bytes(job, bytes);
	for (uint32_t i = 0; i < bytes; i++)
		p[i] = (unsigned char)(job->number + i * 7 + (i >> 8));
	return (struct zn_bytes){ p, bytes };
}

static struct zn_bytes random_name(struct world *w, struct job *job)
{
	char text[256];

	switch (rng_below(&w->rng, 60)) {
	case 0:
		return copy_text(job, "..", 2);
	case 1:
		return copy_text(job, "with/slash", 10);
	case 2:
		return copy_text(job, "", 0);
	case 3:
		memset(text, 'x', 255);
		return copy_text(job, text, 255);
	default:
		(void)snprintf(text, sizeof(text), "%s%u",
			       rng_chance(&w->rng, 100) ? "a-longer-name-" : "",
			       rng_below(&w->rng, 14));
		return copy_text(job, text, strlen(text));
	}
}

/* An existing name, most of the time, else any. */
static void pick_name(struct world *w, struct job *job, uint64_t *ret_parent,
		      struct zn_bytes *ret_name)
{
	const struct model *m = w->applied;
	const struct model_name *n;

	if (m->names_count == 0 || rng_chance(&w->rng, 150)) {
		*ret_parent = ZN_ROOT_ID;
		*ret_name = random_name(w, job);
		return;
	}
	n = &m->names[rng_below(&w->rng, (unsigned)m->names_count)];
	*ret_parent = n->parent;
	*ret_name = copy_text(job, n->name, n->bytes);
}

static uint64_t pick_id(struct world *w)
{
	const struct model *m = w->applied;
	const struct model_node *n;

	if (rng_chance(&w->rng, 10))
		return 1000000 + rng_below(&w->rng, 1000);
	do {
		n = &m->nodes[rng_below(&w->rng, (unsigned)m->nodes_count)];
	} while (n->vague);
	return n->stat.id;
}

static uint64_t pick_dir(struct world *w)
{
	const struct model *m = w->applied;

	if (rng_chance(&w->rng, 30))
		return pick_id(w);
	for (int i = 0; i < 20; i++) {
		const struct model_node *n = &m->nodes[rng_below(&w->rng, (unsigned)m->nodes_count)];

		if (S_ISDIR(n->stat.mode) && !n->vague)
			return n->stat.id;
	}
	return ZN_ROOT_ID;
}

static void random_create(struct world *w, struct job *job, struct zn_op *op, uint32_t data_most)
{
	static const uint32_t types[] = { S_IFREG, S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFDIR,
					  S_IFDIR, S_IFLNK, S_IFIFO, S_IFBLK, S_IFSOCK };
	uint32_t type = types[rng_below(&w->rng, ARRAY_SIZE(types))];

	op->type = ZN_OP_CREATE;
	op->parent = pick_dir(w);
	op->name = random_name(w, job);
	op->mode = type | rng_below(&w->rng, 010000);
	op->uid = rng_below(&w->rng, 3);
	op->gid = rng_below(&w->rng, 3);
	if (type == S_IFBLK)
		op->rdev = rng_below(&w->rng, 100000);
	if (type == S_IFREG || (type == S_IFDIR && rng_chance(&w->rng, 100)))
		op->data = random_data(w, job, data_most);
	if (type == S_IFLNK)
		op->data = random_data(w, job, 4200);
}

static void random_data_op(struct world *w, struct job *job, struct zn_op *op, uint32_t data_most)
{
	const struct model_node *n;
	size_t size;

	op->id = pick_id(w);
	n = model_find(w->applied, op->id);
	size = n ? model_data_bytes(n) : 0;
	if (rng_chance(&w->rng, 150))
		op->flags |= ZN_CLEAR_SETID;
	if (n && rng_chance(&w->rng, 150))
		op->version = n->stat.version - (int32_t)rng_below(&w->rng, 2);
	switch (rng_below(&w->rng, 8)) {
	case 0:
	case 1:
	case 2:
		op->type = ZN_OP_SET;
		op->data = random_data(w, job, data_most);
		break;
	case 3:
		op->type = ZN_OP_TRUNCATE;
		op->offset = rng_below(&w->rng, (unsigned)size + 300);
		if (rng_chance(&w->rng, 300))
			op->offset = 0;
		break;
	case 4:
		op->type = ZN_OP_WRITE;
		op->offset = rng_below(&w->rng, (unsigned)size + 300);
		op->data = random_data(w, job, data_most);
		break;
	default:
		op->type = ZN_OP_WRITE;
		op->flags |= ZN_WRITE_APPEND;
		op->data = random_data(w, job, data_most);
		break;
	}
}

static void random_rename(struct world *w, struct job *job, struct zn_op *op)
{
	op->type = ZN_OP_RENAME;
	pick_name(w, job, &op->parent, &op->name);
	if (rng_chance(&w->rng, 500)) {
		pick_name(w, job, &op->new_parent, &op->new_name);
	} else {
		op->new_parent = pick_dir(w);
		op->new_name = random_name(w, job);
	}
	if (rng_chance(&w->rng, 150))
		op->flags |= ZN_RENAME_NOREPLACE;
	if (rng_chance(&w->rng, 300))
		op->flags |= ZN_RENAME_EXCHANGE;
}

static void random_setattr(struct world *w, struct zn_op *op)
{
	static const uint32_t flags[] = { ZN_SET_MODE,      ZN_SET_UID,       ZN_SET_GID,
					  ZN_SET_ATIME,     ZN_SET_ATIME_NOW, ZN_SET_MTIME,
					  ZN_SET_MTIME_NOW, ZN_SET_CTIME };

	op->type = ZN_OP_SETATTR;
	op->id = pick_id(w);
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		if (rng_chance(&w->rng, 300))
			op->flags |= flags[i];
	}
	op->mode = rng_below(&w->rng, 010000);
	op->uid = rng_below(&w->rng, 5);
	op->gid = rng_below(&w->rng, 5);
	op->atime_ns = (int64_t)rng_next(&w->rng) / 4;
	op->mtime_ns = (int64_t)rng_next(&w->rng) / 4;
}

static void random_xattr(struct world *w, struct job *job, struct zn_op *op)
{
	char name[16];
	int n = snprintf(name, sizeof(name), "user.%u", rng_below(&w->rng, MODEL_XATTRS_MAX));

	op->id = pick_id(w);
	op->name = copy_text(job, name, (size_t)n);
	if (rng_chance(&w->rng, 300)) {
		op->type = ZN_OP_REMOVEXATTR;
		return;
	}
	op->type = ZN_OP_SETXATTR;
	op->data = random_data(w, job, 300);
	if (rng_chance(&w->rng, 200))
		op->flags |= ZN_XATTR_CREATE;
	if (rng_chance(&w->rng, 200))
		op->flags |= ZN_XATTR_REPLACE;
}

static void random_op(struct world *w, struct job *job, struct zn_op *op, uint32_t data_most)
{
	/* The tree stays small: few names, many changes. */
	bool crowded = w->applied->nodes_count > 48;

	*op = (struct zn_op){ .version = ZN_ANY_VERSION };
	switch (rng_below(&w->rng, 20)) {
	case 0:
	case 1:
	case 2:
	case 3:
		if (!crowded) {
			random_create(w, job, op, data_most);
			break;
		}
		/* fallthrough */
	case 4:
	case 5:
	case 6:
		op->type = ZN_OP_DELETE;
		pick_name(w, job, &op->parent, &op->name);
		if (rng_chance(&w->rng, 300))
			op->flags |= rng_chance(&w->rng, 500) ? ZN_DELETE_FILE : ZN_DELETE_DIR;
		if (rng_chance(&w->rng, 100))
			op->version = (int32_t)rng_below(&w->rng, 2);
		break;
	case 7:
	case 8:
	case 9:
		random_rename(w, job, op);
		break;
	case 10:
		op->type = ZN_OP_LINK;
		op->id = pick_id(w);
		op->new_parent = pick_dir(w);
		op->new_name = random_name(w, job);
		break;
	case 11:
	case 12:
		random_setattr(w, op);
		break;
	case 13:
	case 14:
		random_xattr(w, job, op);
		break;
	default:
		random_data_op(w, job, op, data_most);
		break;
	}
}

static void random_txn(struct world *w, struct job *job)
{
	unsigned count = rng_chance(&w->rng, 200) ? 1 + rng_below(&w->rng, JOB_OPS_MAX) : 1;
	uint32_t data_most = count > 1 ? 5000 : w->data_bytes_max;

	for (unsigned i = 0; i < count; i++)
		random_op(w, job, &job->ops[i], data_most);
	job->req.ops = job->ops;
	job->req.ops_count = count;
	if (rng_chance(&w->rng, 250))
		job->req.flags |= ZN_REQ_LAZY;
	if (rng_chance(&w->rng, 400))
		job->req.flags |= ZN_REQ_REF;
}

static void random_read(struct world *w, struct job *job)
{
	struct zn_request *req = &job->req;
	char name[16];

	req->id = pick_id(w);
	switch (req->type) {
	case ZN_LOOKUP:
		pick_name(w, job, &req->id, &req->name);
		if (rng_chance(&w->rng, 500))
			req->flags |= ZN_REQ_REF;
		break;
	case ZN_READ:
		req->offset = rng_below(&w->rng, rng_chance(&w->rng, 500) ? 1 : 3000);
		req->bytes = rng_chance(&w->rng, 500) ? 1U << 20 : rng_below(&w->rng, 3000);
		break;
	case ZN_READDIR:
		req->id = pick_dir(w);
		job->entries = calloc(1, JOB_ENTRIES_BYTES);
		req->buffer = job->entries;
		req->buffer_bytes = JOB_ENTRIES_BYTES;
		req->cost_max = SIZE_MAX / 2;
		if (rng_chance(&w->rng, 600))
			req->flags |= ZN_REQ_READDIR_STAT;
		if (rng_chance(&w->rng, 100))
			req->flags |= ZN_REQ_REF;
		break;
	case ZN_GETXATTR:
		req->name = copy_text(
			job, name,
			(size_t)snprintf(name, sizeof(name), "user.%u", rng_below(&w->rng, 6)));
		break;
	case ZN_SYNC:
		if (rng_chance(&w->rng, 300))
			req->id = 0;
		break;
	default:
		break;
	}
}

static void random_forget(struct world *w, struct job *job)
{
	size_t i = rng_below(&w->rng, (unsigned)w->handed_count);

	job->req.id = w->handed[i].id;
	job->req.count = 1 + rng_below(&w->rng, (unsigned)w->handed[i].count);
	w->handed[i].count -= job->req.count;
	if (w->handed[i].count == 0)
		w->handed[i] = w->handed[--w->handed_count];
}

struct job *job_random(struct world *w)
{
	static const enum zn_request_type reads[] = {
		ZN_LOOKUP,  ZN_LOOKUP,  ZN_LOOKUP,   ZN_STAT,      ZN_STAT, ZN_READ, ZN_READ,
		ZN_READDIR, ZN_READDIR, ZN_GETXATTR, ZN_LISTXATTR, ZN_PATH, ZN_SYNC, ZN_SYNC,
	};
	struct job *job;

	if (w->handed_count > 0 && (rng_chance(&w->rng, 120) || w->handed_count > HANDED_MAX / 2)) {
		job = job_new(w, ZN_FORGET);
		random_forget(w, job);
	} else if (rng_chance(&w->rng, 550)) {
		job = job_new(w, ZN_TXN);
		random_txn(w, job);
	} else {
		job = job_new(w, reads[rng_below(&w->rng, ARRAY_SIZE(reads))]);
		random_read(w, job);
	}
	return job;
}

static const char *const request_names[] = {
	[ZN_LOOKUP] = "LOOKUP",   [ZN_STAT] = "STAT",         [ZN_READ] = "READ",
	[ZN_READDIR] = "READDIR", [ZN_GETXATTR] = "GETXATTR", [ZN_LISTXATTR] = "LISTXATTR",
	[ZN_PATH] = "PATH",       [ZN_TXN] = "TXN",           [ZN_SYNC] = "SYNC",
	[ZN_FORGET] = "FORGET",   [ZN_STATFS] = "STATFS",     [ZN_STATS] = "STATS",
};

static const char *const op_names[] = {
	[ZN_OP_CREATE] = "create",     [ZN_OP_SET] = "set",
	[ZN_OP_WRITE] = "write",       [ZN_OP_TRUNCATE] = "truncate",
	[ZN_OP_DELETE] = "delete",     [ZN_OP_RENAME] = "rename",
	[ZN_OP_LINK] = "link",         [ZN_OP_SETATTR] = "setattr",
	[ZN_OP_SETXATTR] = "setxattr", [ZN_OP_REMOVEXATTR] = "removexattr",
};

const char *job_text(const struct job *job)
{
	static char text[4096];
	int n = snprintf(text, sizeof(text), "#%u %s id %" PRIu64 " name '%.*s'%s%s", job->number,
			 request_names[job->req.type], job->req.id, (int)job->req.name.bytes,
			 job->req.name.bytes ? (const char *)job->req.name.data : "",
			 job->req.flags & ZN_REQ_LAZY ? " lazy" : "",
			 job->req.flags & ZN_REQ_REF ? " ref" : "");

	for (unsigned i = 0; i < job->req.ops_count && n < (int)sizeof(text); i++) {
		const struct zn_op *op = &job->ops[i];

		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      " [%s id %" PRIu64 " in %" PRIu64 " '%.*s' to %" PRIu64
			      " '%.*s' offset %" PRIu64 " data %zu mode %o flags %x version %d]",
			      op_names[op->type], op->id, op->parent, (int)op->name.bytes,
			      op->name.bytes ? (const char *)op->name.data : "", op->new_parent,
			      (int)op->new_name.bytes,
			      op->new_name.bytes ? (const char *)op->new_name.data : "", op->offset,
			      op->data.bytes, op->mode, op->flags, op->version);
	}
	return text;
}
