/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attr: znode stats as the kernel wants them, and how long it may believe them. All time-outs of the
 * daemon are decided here.
 *
 * Entries and attributes may be cached because every change of the tree comes through this kernel,
 * which drops what it has cached about the nodes that a request of its own changes, and because the
 * store gives nothing out before it is durable. So the time-out is 0 exactly where that fails:
 *  - what a lazy transaction returned is not durable yet: the attributes after an ftruncate, the
 *    name of a plain O_CREAT (but not its attributes: who has not made the file comes by its name);
 *  - a file with set-id bits: a direct write by a user clears them in the store, and the kernel,
 *    which refreshes size and times after a write, would go on with the old mode;
 *  - @data and its directory's attributes belong to one znode but are two inodes to the kernel:
 *    @data has 0, the directory is expired by whatever changes its data;
 *  - control files, which change by themselves.
 */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include "fuse.h"
#include "znodefs/store.h"

#define ATTR_TIMEOUT_S 1.0
#define ENTRY_TIMEOUT_S 1.0
#define NEGATIVE_TIMEOUT_S 1.0

void attr_fill(const struct zn_stat *st, struct stat *ret_attr);

/* Attributes of DIR/@data, made from the directory's. */
void attr_fill_data(const struct zn_stat *dir, struct stat *ret_attr);

/* @durable: false if @st, or the name, came from a lazy transaction. */
double attr_timeout(const struct zn_stat *st, bool durable);
void attr_fill_entry(const struct zn_stat *st, bool durable, struct fuse_entry_param *ret_entry);

#endif
