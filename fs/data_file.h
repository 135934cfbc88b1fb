/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_file: `DIR/@data`, a directory's own data as a file. It is always found, shows in listings
 * only when it is not empty, and has the directory's owner and mode (without x). Unlinking empties
 * it. Its mode, owner, times and attributes are the directory's and are not set through it.
 */
#ifndef FS_DATA_FILE_H
#define FS_DATA_FILE_H

#include "request.h"

void data_file_lookup(fuse_req_t req, fuse_ino_t dir);
void data_file_fill_entry(const struct zn_stat *dir, struct fuse_entry_param *ret_entry);

/* Sends the attributes of @dir's @data and ends the request. */
void data_file_reply_attr(struct request *r, const struct zn_stat *dir);

/* @ino is that of the @data. */
void data_file_setattr(fuse_req_t req, fuse_ino_t ino, const struct stat *attr, int to_set,
		       bool lazy);

void data_file_unlink(fuse_req_t req, fuse_ino_t dir);

/*
 * rename of @name in @parent over @dir's @data: the content goes to the directory and the name goes
 * away, in one transaction.
 */
void data_file_replace(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t dir);

/* Was this node the file of a recent data_file_replace()? Then an OPEN of it is ESTALE. Any thread. */
bool data_file_was(fuse_ino_t ino);

#endif
