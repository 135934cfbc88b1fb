/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: the asynchronous interface between a face (fs/, later the ZooKeeper protocol) and a tree of
 * znodes (engine/, later an existing ZooKeeper ensemble). A request goes in, its completion comes
 * back: on the submitting thread before zn_submit() returns, or later on any other thread.
 *
 * Nothing here names a structure of an implementation; a face can run on any of them.
 */
#ifndef ZNODEFS_STORE_H
#define ZNODEFS_STORE_H

#include <sys/uio.h>

#include "znodefs/base.h"

#define ZN_ROOT_ID UINT64_C(1)
/* Node ids are 1..ZN_ID_MAX and never reused; the two bits above are the face's to use. */
#define ZN_ID_MAX ((UINT64_C(1) << 62) - 1)
#define ZN_NAME_BYTES_MAX 255
#define ZN_SYMLINK_BYTES_MAX 4095
#define ZN_LINK_MAX 65000
#define ZN_XATTR_NAME_BYTES_MAX 255
#define ZN_XATTR_VALUE_BYTES_MAX 65536
/* Directory cookies are ZN_COOKIE_FIRST..INT64_MAX; those below are the face's to use. */
#define ZN_COOKIE_FIRST 16
#define ZN_ANY_VERSION (-1)
/* Pieces that a read of up to 1 MiB comes in. */
#define ZN_READ_IOV_MAX 18

/* Bytes that somebody else owns; not terminated. */
struct zn_bytes {
	const void *data;
	size_t bytes;
};

/*
 * What is known of a znode: ZooKeeper's stat (zookeeperProgrammers, "ZooKeeper Stat Structure") and
 * POSIX's. All times are ns since the epoch.
 */
struct zn_stat {
	uint64_t id;
	uint64_t czxid;   /* the transaction that created it */
	uint64_t mzxid;   /* the last that changed its data */
	uint64_t pzxid;   /* the last that changed its list of children */
	int64_t birth_ns; /* ZooKeeper's ctime */
	int64_t data_ns;  /* ZooKeeper's mtime: the last change of data */
	int64_t atime_ns; /* POSIX; set by creation and utimens, not by reads */
	int64_t mtime_ns;
	int64_t ctime_ns;
	int32_t version;          /* changes of the data */
	int32_t cversion;         /* changes of the children */
	int32_t aversion;         /* changes of mode or owner */
	uint64_t ephemeral_owner; /* 0: persistent */
	uint64_t data_bytes;      /* symlink: length of the target */
	uint64_t children_count;
	uint32_t mode; /* type and permissions, as st_mode */
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink; /* 0: unlinked, kept alive by look-up references */
	uint64_t rdev;  /* block and character devices, as st_rdev */
};

enum zn_op_type {
	ZN_OP_CREATE = 1, /* parent, name, mode, uid, gid, rdev, data (content or symlink target) */
	ZN_OP_SET = 2,    /* id, data: replaces all */
	ZN_OP_WRITE = 3,  /* id, offset, data; a gap reads as zeros */
	ZN_OP_TRUNCATE = 4, /* id, offset: the new size */
	ZN_OP_DELETE = 5,   /* parent, name */
	ZN_OP_RENAME = 6,   /* parent, name, new_parent, new_name */
	ZN_OP_LINK = 7,     /* id, new_parent, new_name */
	ZN_OP_SETATTR = 8,  /* id, and what flags select of mode, uid, gid, atime_ns, mtime_ns */
	ZN_OP_SETXATTR = 9, /* id, name, data */
	ZN_OP_REMOVEXATTR = 10, /* id, name */
};

enum zn_op_flags {
	ZN_DELETE_FILE = 1 << 0, /* DELETE: EISDIR if the name is a directory */
	ZN_DELETE_DIR = 1 << 1,  /* DELETE: ENOTDIR if not; ENOTEMPTY with children or data */
	ZN_RENAME_NOREPLACE = 1 << 2,
	ZN_RENAME_EXCHANGE = 1 << 3,
	ZN_WRITE_APPEND = 1 << 4, /* WRITE: at the end, whatever offset says; it returns the place */
	ZN_CLEAR_SETID = 1 << 5, /* WRITE, TRUNCATE, SET: the writer lacks the right to keep set-id bits */
	ZN_SET_MODE = 1 << 6,
	ZN_SET_UID = 1 << 7,
	ZN_SET_GID = 1 << 8,
	ZN_SET_ATIME = 1 << 9,
	ZN_SET_ATIME_NOW = 1 << 10, /* the transaction's own time */
	ZN_SET_MTIME = 1 << 11,
	ZN_SET_MTIME_NOW = 1 << 12,
	ZN_XATTR_CREATE = 1 << 13,  /* EEXIST if the attribute is there */
	ZN_XATTR_REPLACE = 1 << 14, /* ENODATA if it is not */
	ZN_SET_CTIME = 1 << 15,     /* SETATTR with nothing else: only mark the node as changed */
};

/* One operation of a transaction. Fields that its type does not name are ignored. */
struct zn_op {
	enum zn_op_type type;
	uint32_t flags; /* enum zn_op_flags */
	uint64_t id;    /* CREATE: out, the new node */
	uint64_t parent;
	uint64_t new_parent;
	struct zn_bytes name;
	struct zn_bytes new_name;
	struct zn_bytes data;
	uint64_t offset;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint64_t rdev;
	int64_t atime_ns;
	int64_t mtime_ns;
	/* SET, WRITE, TRUNCATE, DELETE: ESTALE unless the node has this version; or ZN_ANY_VERSION. */
	int32_t version;
	/* Out, on success, for every type but DELETE: the node after the operation. */
	struct zn_stat stat;
};

enum zn_request_type {
	ZN_LOOKUP,    /* id (of the parent), name -> stat; ENOENT, ENOTDIR, ENAMETOOLONG */
	ZN_STAT,      /* id -> stat */
	ZN_READ,      /* id, offset, bytes -> iov, stat; a symlink's data are its target */
	ZN_READDIR,   /* id, cookie, buffer... -> entries, stat (of the directory) */
	ZN_GETXATTR,  /* id, name -> iov; ENODATA */
	ZN_LISTXATTR, /* id -> iov: names, each ended by a zero byte */
	ZN_PATH, /* id -> iov: absolute path of the node's first name, not terminated; ENOENT if unlinked */
	ZN_TXN,  /* ops -> ops; the first operation's error, nothing applied then */
	ZN_SYNC, /* id: done when all that was applied to this node before is durable; 0: to any */
	ZN_FORGET, /* id, count: gives back look-up references; always succeeds, never waits */
	ZN_STATFS, /* -> statfs */
	ZN_STATS,  /* -> stats */
};

enum zn_request_flags {
	/*
	 * LOOKUP, READDIR with stats, TXN (CREATE and LINK): on success take one look-up reference on
	 * each node returned. While it has one, an unlinked node stays. The references are volatile.
	 */
	ZN_REQ_REF = 1 << 0,
	/* TXN: complete once applied; a later SYNC, or any reader, waits until it is durable. */
	ZN_REQ_LAZY = 1 << 1,
	/*
	 * The submitting thread may be used for the work, disk included, before zn_submit() returns.
	 * Without it zn_submit() never blocks.
	 */
	ZN_REQ_MAY_BLOCK = 1 << 2,
	ZN_REQ_READDIR_STAT = 1 << 3, /* READDIR: fill in each entry's stat */
	ZN_REQ_CLOSE = 1 << 4, /* SYNC: for a close, which relaxed durability does not wait for */
};

/* One directory entry, packed into the caller's buffer; the next begins @bytes further. */
struct zn_dirent {
	uint64_t cookie; /* where to go on after this entry */
	uint64_t id;
	uint32_t mode; /* without ZN_REQ_READDIR_STAT only the type bits */
	uint16_t name_bytes;
	uint16_t bytes;      /* of this entry with its name, a multiple of 8 */
	struct zn_stat stat; /* with ZN_REQ_READDIR_STAT */
	char name[];         /* terminated */
};

struct zn_statfs {
	uint64_t nodes;
	uint64_t bytes; /* memory that the tree takes */
	uint64_t bytes_max;
};

#define ZN_STATS_WAY_BYTES 32

struct zn_stats {
	uint64_t uptime_ns;
	uint64_t zxid_applied;
	uint64_t zxid_durable;
	uint64_t batches;     /* made durable since start */
	uint64_t records;     /* transactions in them */
	uint64_t log_bytes;   /* written, with padding */
	uint64_t sync_p50_ns; /* write and sync of a batch, since start */
	uint64_t sync_p99_ns;
	uint64_t sync_max_ns;
	uint64_t nodes;
	uint64_t bytes;
	uint64_t bytes_max;
	uint64_t segment;             /* the one being written */
	uint64_t waiting;             /* requests that wait for the disk now */
	bool failed;                  /* the log has failed: read-only until a restart */
	bool full;                    /* no room for another segment */
	/* How batches are made durable: "direct", "ring", "plain", or what "auto" has chosen. */
	char way[ZN_STATS_WAY_BYTES];
};

struct zn_request;
typedef void zn_done_fn(struct zn_request *req);

/*
 * A request and its answer. The caller owns the memory and may not touch it from zn_submit() until
 * @done is called; @done may free it. What the pointers name must stay as long. What the store
 * returns by pointer (iov) is valid until @done returns.
 */
struct zn_request {
	enum zn_request_type type;
	uint32_t flags;   /* enum zn_request_flags */
	zn_done_fn *done; /* called exactly once, with no lock held; may submit again */
	int result;       /* out: 0 or a negative errno */
	uint64_t id;
	struct zn_bytes name;
	uint64_t count;    /* FORGET */
	uint64_t offset;   /* READ */
	size_t bytes;      /* READ: at most 1 MiB. Out: bytes in iov */
	struct zn_op *ops; /* TXN */
	unsigned ops_count;
	/* READDIR: entries with a cookie greater than this one; 0 starts. */
	uint64_t cookie;
	void *buffer; /* READDIR: aligned to 8 */
	size_t buffer_bytes;
	/*
	 * READDIR: also stop before the sum of (cost_fixed + name_bytes, rounded up to 8) passes
	 * cost_max, so that what was taken a reference on fits into the caller's own format.
	 */
	size_t cost_fixed;
	size_t cost_max;
	size_t entries_bytes; /* READDIR, out: used of the buffer; 0: the end */

	struct zn_stat stat;               /* out */
	struct iovec iov[ZN_READ_IOV_MAX]; /* out */
	unsigned iov_count;                /* out */
	union {
		struct zn_statfs statfs; /* out */
		struct zn_stats stats;   /* out */
	};

	struct { /* the store's own, from submission to completion */
		struct zn_request *next;
		void *hold;
		void (*release)(void *hold);
		uint64_t zxid;
		size_t bytes;
	} priv;
};

struct zn_store;

struct zn_store_ops {
	void (*submit)(struct zn_store *store, struct zn_request *req);
	void (*close)(struct zn_store *store);
};

struct zn_store {
	const struct zn_store_ops *ops;
};

/* Any thread. Errors come through @req->result; there is no other failure. */
static inline void zn_submit(struct zn_store *store, struct zn_request *req)
{
	store->ops->submit(store, req);
}

/*
 * Makes durable what was applied, completes what waits, ends the store's threads, frees it. No
 * request may be submitted during or after it. Blocks. NULL is allowed.
 */
static inline void zn_store_close(struct zn_store *store)
{
	if (store)
		store->ops->close(store);
}

#endif
