/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs: what all requests of one mount share, and the meaning of FUSE node ids.
 *
 * There is no lock in fs/: what changes while requests run is atomic, and everything else is handed
 * from the thread that reads a request to the one that completes it through the store.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <stdatomic.h>

#include "fuse.h"
#include "znodefs/store.h"

struct fs {
	struct zn_store *store;       /* immutable while requests run */
	struct fuse_session *session; /* immutable while requests run */
	int64_t start_ns;             /* immutable; the times that control files show */
	atomic_int block_slots;       /* atomic; threads that may still block in the store */
	atomic_ullong requests_count; /* atomic */
	atomic_ullong handles_count;  /* atomic; open files and directories */
};

/*
 * A znode's id is its FUSE node id. `DIR/@data` is DIR's id with ID_DATA set; `.znodefs` and what is
 * in it have ID_CONTROL set.
 */
#define ID_DATA (UINT64_C(1) << 62)
#define ID_CONTROL (UINT64_C(1) << 63)
static_assert(ZN_ID_MAX < ID_DATA, "the store leaves these bits to us");
static_assert(ZN_ROOT_ID == FUSE_ROOT_ID, "znode ids are node ids");

static inline bool id_is_control(fuse_ino_t ino)
{
	return (ino & ID_CONTROL) != 0;
}

static inline bool id_is_data(fuse_ino_t ino)
{
	return (ino & (ID_CONTROL | ID_DATA)) == ID_DATA;
}

/* The znode behind a node id that is not a control file's: for @data the directory. */
static inline uint64_t id_znode(fuse_ino_t ino)
{
	return ino & ~ID_DATA;
}

/*
 * Makes the kernel ask again for the attributes of @ino. Never blocks (an attribute-only
 * invalidation waits for nothing), so it may come before the reply of the request that changed them.
 */
void fs_expire_attributes(struct fs *fs, fuse_ino_t ino);

#endif
