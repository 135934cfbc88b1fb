/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover: from the segments on disk to the tree, and to the place where the log goes on. Tells a torn
 * tail, which was never acknowledged and is cut off, from damage, which is refused. Reads only.
 */
#ifndef ENGINE_RECOVER_H
#define ENGINE_RECOVER_H

#include "log.h"
#include "tree.h"

#define RECOVER_ERROR_BYTES 512

/*
 * Apply the whole log to @tree, which is empty.
 * @ret_at  where to go on; its files are the caller's to close
 * @error   on failure, RECOVER_ERROR_BYTES: file, offset, what is wrong
 * Returns 0; -EBADMSG if bytes are damaged or missing; -EUCLEAN if checksums hold but contents
 * contradict each other; -EPROTONOSUPPORT for another format version; -ENOMEM; or the disk's error.
 */
int recover(struct disk *disk, struct tree *tree, struct log_position *ret_at, char *error);

#endif
