/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value: the data of a znode, as reference-counted bytes that never change under a reader.
 *
 * A struct data is a value and how many bytes of it count. Whoever holds a reference and a size
 * reads these bytes without a lock for as long as it likes: a writer changes bytes in place only if it
 * holds the one reference, and otherwise copies what it changes. Appending writes behind the bytes
 * that anybody was given, so it copies nothing, whoever reads.
 *
 * Small values are one piece; larger ones come in chunks, so that a change copies a chunk at most.
 */
#ifndef ENGINE_VALUE_H
#define ENGINE_VALUE_H

#include <sys/uio.h>

#include "znodefs/base.h"

#define VALUE_CHUNK_BYTES 65536U
#define VALUE_BYTES_MAX (UINT32_C(1) << 31)

struct value;

struct data {
	struct value *value; /* NULL: no bytes */
	uint32_t bytes;
};

/* References. Any thread; value_put() frees at zero and accepts NULL. */
struct value *value_get(struct value *value);
void value_put(struct value *value);

/* Memory that it takes, in bytes; what chunks it shares with others is counted too. NULL: 0. */
uint64_t value_memory(const struct value *value);

/*
 * Make @data hold exactly these bytes, or change or extend it by @bytes at @offset (what lies
 * between the old end and @offset reads as zeros), or cut or extend it to @bytes.
 * The reference in @data is used up and replaced; others keep what they see.
 * Return 0; -EFBIG past VALUE_BYTES_MAX; -ENOMEM: @data is unchanged.
 */
int data_set(struct data *data, const void *from, size_t bytes);
int data_write(struct data *data, uint64_t offset, const void *from, size_t bytes);
int data_truncate(struct data *data, uint64_t bytes);

/*
 * The pieces of @bytes at @offset, cut at the end of the data.
 * @iov     at least @bytes / VALUE_CHUNK_BYTES + 2 entries; points into the value
 * Returns the number of entries used; *ret_bytes says how many bytes they hold.
 */
unsigned data_iov(const struct data *data, uint64_t offset, size_t bytes, struct iovec *iov,
		  size_t *ret_bytes);

/* Copy as much as there is of @bytes at @offset. Returns how many bytes. */
size_t data_copy(const struct data *data, uint64_t offset, void *to, size_t bytes);

#endif
