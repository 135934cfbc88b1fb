/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support: what the unit tests share: temporary directories, pictures of a directory's bytes, random
 * numbers whose seed is printed, and requests that are waited for.
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "znodefs/local.h"

#define SEGMENT_BYTES (UINT64_C(4) << 20)

/* Random numbers: seeded by ZN_SEED or 1; the seed is printed once. */
uint64_t test_random(void);
unsigned test_below(unsigned n);

static inline struct zn_bytes zb(const char *text)
{
	return (struct zn_bytes){ text, strlen(text) };
}

/* A new empty directory below $TMPDIR or /var/tmp; directory_remove() takes it and its path away. */
char *directory_new(void);
/* The same in memory where that is to be had: for what would only wait for the disk. */
char *directory_new_fast(void);
void directory_remove(char *path);
void directory_copy(const char *from, const char *to);
unsigned char *file_read(const char *path, size_t *ret_bytes);
void file_write(const char *path, const void *from, size_t bytes);
void file_flip(const char *path, size_t offset, unsigned bit);
char *path_of(const char *directory, const char *name);

/* The path of segment @n of the store in @state. Freed by the caller. */
char *segment_path(const char *state, unsigned n);

/* Names and contents of all files, as one number; the file "lock" counts by name only. */
uint64_t directory_picture(const char *path);

/* A store with small segments; @change may be NULL. Fails the test if it does not open. */
struct zn_store *store_open(const char *state, void (*change)(struct zn_local_options *opt));
int store_try(const char *state, struct zn_store **ret_store, char *error);

/* Submit and wait. Returns the result. @req->done is used. */
int store_wait(struct zn_store *store, struct zn_request *req);
int store_txn(struct zn_store *store, struct zn_op *ops, unsigned count, unsigned flags);

/* Single operations. Names are texts. */
uint64_t store_create(struct zn_store *store, uint64_t parent, const char *name, uint32_t mode,
		      const char *data);
int store_set(struct zn_store *store, uint64_t id, const void *data, size_t bytes);
int store_delete(struct zn_store *store, uint64_t parent, const char *name);
int store_lookup(struct zn_store *store, uint64_t parent, const char *name, struct zn_stat *stat);
struct zn_stats store_stats(struct zn_store *store);

/* Is the data of @id exactly this? */
bool store_data_is(struct zn_store *store, uint64_t id, const void *data, size_t bytes);

#endif
