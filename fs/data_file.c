/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_file: one znode, but two inodes to the kernel. Whoever changes the data through one of them
 * expires the other's attributes before the reply goes out.
 */
#include "data_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attr.h"

#define REPLACE_ATTEMPTS_MAX 16

void data_file_fill_entry(const struct zn_stat *dir, struct fuse_entry_param *ret_entry)
{
	*ret_entry = (struct fuse_entry_param){
		.ino = dir->id | ID_DATA,
		.entry_timeout = ENTRY_TIMEOUT_S, /* always there */
		.attr_timeout = 0,
	};
	attr_fill_data(dir, &ret_entry->attr);
}

static void lookup_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);
	struct fuse_entry_param entry;

	if (zn->result < 0) {
		request_reply_node_error(r, zn->result);
		return;
	}
	if (!S_ISDIR(zn->stat.mode)) {
		request_reply_error(r, -ENOTDIR);
		return;
	}
	data_file_fill_entry(&zn->stat, &entry);
	(void)fuse_reply_entry(r->fuse, &entry); /* the store has no reference to give back */
	request_end(r);
}

void data_file_lookup(fuse_req_t req, fuse_ino_t dir)
{
	struct request *r = request_begin(req);

	r->zn.type = ZN_STAT;
	r->zn.id = dir;
	request_submit(r, lookup_done);
}

void data_file_reply_attr(struct request *r, const struct zn_stat *dir)
{
	struct stat attr;

	attr_fill_data(dir, &attr);
	(void)fuse_reply_attr(r->fuse, &attr, 0);
	request_end(r);
}

static void truncate_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result < 0) {
		request_reply_node_error(r, zn->result);
		return;
	}
	fs_expire_attributes(r->fs, r->op[0].id);
	data_file_reply_attr(r, &r->op[0].stat);
}

static void stat_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result < 0)
		request_reply_node_error(r, zn->result);
	else
		data_file_reply_attr(r, &zn->stat);
}

static void truncate_data(struct request *r, uint64_t dir, uint64_t size, bool lazy,
			  zn_done_fn *done)
{
	r->op[0] = (struct zn_op){
		.type = ZN_OP_TRUNCATE,
		.id = dir,
		.offset = size,
		.version = ZN_ANY_VERSION,
	};
	request_txn(r, 1, lazy ? ZN_REQ_LAZY : 0, done);
}

/*
 * Times are accepted and ignored, so that touch and cp -p have nothing to complain about; a mode or
 * an owner that did not take effect might be relied upon, so they are refused.
 */
void data_file_setattr(fuse_req_t req, fuse_ino_t ino, const struct stat *attr, int to_set,
		       bool lazy)
{
	struct request *r;

	if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) {
		(void)fuse_reply_err(req, EPERM);
		return;
	}
	r = request_begin(req);
	if (to_set & FUSE_SET_ATTR_SIZE) {
		truncate_data(r, id_znode(ino), (uint64_t)attr->st_size, lazy, truncate_done);
		return;
	}
	r->zn.type = ZN_STAT;
	r->zn.id = id_znode(ino);
	request_submit(r, stat_done);
}

static void unlink_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result == 0)
		fs_expire_attributes(r->fs, r->op[0].id);
	request_reply_node_error(r, zn->result);
}

void data_file_unlink(fuse_req_t req, fuse_ino_t dir)
{
	truncate_data(request_begin(req), dir, 0, false, unlink_done);
}

/*
 * Files that became the data of a directory. For as long as the kernel may believe a name, it believes
 * that @data is the file that was renamed over it. That node is gone from the store, so whatever is
 * asked of it is ESTALE, and the kernel then looks the name up again; only OPEN takes no trip to the
 * store, and asks here. An entry that is overwritten too early costs an error at the first use of the
 * handle, never a lost write.
 */
#define CONSUMED_SLOTS 256

static atomic_ullong consumed[CONSUMED_SLOTS]; /* atomic; node ids, or 0 */
static atomic_uint consumed_next;              /* atomic */

bool data_file_was(fuse_ino_t ino)
{
	if (atomic_load_explicit(&consumed_next, memory_order_relaxed) == 0)
		return false;
	for (unsigned i = 0; i < CONSUMED_SLOTS; i++) {
		if (atomic_load_explicit(&consumed[i], memory_order_relaxed) == ino)
			return true;
	}
	return false;
}

/* Everybody's references go, and the node with them. */
static void consume(struct fs *fs, fuse_ino_t ino)
{
	unsigned i = atomic_fetch_add(&consumed_next, 1) % CONSUMED_SLOTS;

	atomic_store(&consumed[i], ino);
	request_forget(fs, ino, UINT64_MAX);
	fs_expire_attributes(fs, ino);
}

/*
 * Replacing takes a look-up, reads until the content is complete, and the transaction, which demands
 * that the file still has the version that was looked up; else all of it is done again. The request
 * keeps: ino, the file; op[0], what sets the directory's data; op[1], what deletes the name; memory,
 * the content, of which size bytes are there.
 */
static void replace_start(struct request *r);

static void replace_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result == -ESTALE && ++r->attempts < REPLACE_ATTEMPTS_MAX) {
		replace_start(r);
		return;
	}
	if (zn->result == 0) {
		consume(r->fs, r->ino);
		fs_expire_attributes(r->fs, r->op[0].id);
	}
	request_reply_error(r, zn->result == -ESTALE ? -EBUSY : zn->result);
}

static void replace_commit(struct request *r)
{
	r->op[0].data = (struct zn_bytes){ r->memory, r->size };
	r->zn.type = ZN_TXN;
	r->zn.ops = r->op;
	r->zn.ops_count = 2;
	request_resubmit(r, replace_done);
}

static void replace_read_done(struct zn_request *zn);

static void replace_read(struct request *r)
{
	r->zn.type = ZN_READ;
	r->zn.id = r->ino;
	r->zn.offset = r->size;
	r->zn.bytes = zn_min_u64(r->zn.count - r->size, REQUEST_WRITE_BYTES_MAX);
	request_resubmit(r, replace_read_done);
}

static void replace_read_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);
	char *content = r->memory;

	if (zn->result < 0) {
		request_reply_error(r, zn->result);
		return;
	}
	for (unsigned i = 0; i < zn->iov_count; i++) {
		memcpy(content + r->size, zn->iov[i].iov_base, zn->iov[i].iov_len);
		r->size += zn->iov[i].iov_len;
	}
	if (zn->bytes == 0 || r->size >= zn->count)
		replace_commit(r); /* a file that has shrunk has another version */
	else
		replace_read(r);
}

static void replace_lookup_done(struct zn_request *zn)
{
	struct request *r = request_of(zn);

	if (zn->result < 0) {
		request_reply_error(r, zn->result);
		return;
	}
	if (!S_ISREG(zn->stat.mode)) {
		request_reply_error(r, -EINVAL);
		return;
	}
	if (zn->stat.nlink > 1) { /* it stays, under its other names; mv copies it then */
		request_reply_error(r, -EXDEV);
		return;
	}
	r->ino = zn->stat.id;
	r->op[1].version = zn->stat.version;
	zn->count = zn->stat.data_bytes;
	r->size = 0;
	free(r->memory);
	r->memory = malloc(zn->count + 1);
	if (!r->memory)
		request_reply_error(r, -ENOMEM);
	else
		replace_read(r);
}

static void replace_start(struct request *r)
{
	r->zn.type = ZN_LOOKUP;
	r->zn.id = r->op[1].parent;
	r->zn.name = r->op[1].name;
	request_resubmit(r, replace_lookup_done);
}

void data_file_replace(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t dir)
{
	struct request *r = request_begin(req);

	r->op[0] = (struct zn_op){ .type = ZN_OP_SET, .id = dir, .version = ZN_ANY_VERSION };
	r->op[1] = (struct zn_op){
		.type = ZN_OP_DELETE,
		.flags = ZN_DELETE_FILE,
		.parent = parent,
		.name = request_string(name),
	};
	replace_start(r);
}
