/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value: see value.h. A flat value holds its bytes itself; a chunked one holds references to chunks
 * of VALUE_CHUNK_BYTES. A flat value that outgrows one chunk becomes chunked, and stays so.
 *
 * "used" is how many bytes somebody has been given. A writer whose data end exactly there may write
 * behind it in place; after a roll-back the data end earlier, and the next append copies.
 */
#include "value.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct chunk {
	atomic_uint refs;
	unsigned char bytes[VALUE_CHUNK_BYTES];
};

struct value {
	atomic_uint refs;
	uint32_t room : 31;   /* flat: bytes; chunked: entries of the table */
	uint32_t chunked : 1; /* immutable after creation, as is room */
	uint32_t used;        /* guarded by the tree's owner; readers go by their own size */
	union {
		unsigned char flat[4];
		struct chunk *chunks[1];
	};
};

#define FLAT_HEAD offsetof(struct value, flat)
/* Appended values grow by half, so that N appends copy O(N) bytes in all. */
#define FLAT_SLACK(bytes) ((bytes) / 2)

static uint32_t chunks_for(uint64_t bytes)
{
	return (uint32_t)((bytes + VALUE_CHUNK_BYTES - 1) / VALUE_CHUNK_BYTES);
}

static struct value *flat_new(size_t room)
{
	struct value *v = malloc(zn_max_u64(FLAT_HEAD + room, sizeof(*v)));

	if (!v)
		return NULL;
	atomic_init(&v->refs, 1);
	v->room = (uint32_t)room & 0x7fffffffU;
	v->chunked = 0;
	v->used = 0;
	return v;
}

static struct chunk *chunk_new(void)
{
	struct chunk *c = malloc(sizeof(*c));

	if (c)
		atomic_init(&c->refs, 1);
	return c;
}

static void chunk_put(struct chunk *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1)
		free(c);
}

static struct value *table_new(uint32_t room)
{
	struct value *v = calloc(1, offsetof(struct value, chunks) + room * sizeof(struct chunk *));

	if (!v)
		return NULL;
	atomic_init(&v->refs, 1);
	v->room = room & 0x7fffffffU;
	v->chunked = 1;
	return v;
}

struct value *value_get(struct value *value)
{
	if (value)
		atomic_fetch_add_explicit(&value->refs, 1, memory_order_relaxed);
	return value;
}

void value_put(struct value *value)
{
	if (!value || atomic_fetch_sub(&value->refs, 1) != 1)
		return;
	for (uint32_t i = 0; value->chunked && i < value->room; i++)
		chunk_put(value->chunks[i]);
	free(value);
}

uint64_t value_memory(const struct value *value)
{
	if (!value)
		return 0;
	if (!value->chunked)
		return FLAT_HEAD + value->room;
	return offsetof(struct value, chunks) + value->room * sizeof(struct chunk *) +
	       (uint64_t)chunks_for(value->used) * sizeof(struct chunk);
}

/* Where @offset lies, and how many bytes from there are in one piece. */
static unsigned char *piece_at(const struct value *v, uint32_t offset, size_t *ret_bytes)
{
	if (!v->chunked) {
		*ret_bytes = v->room - offset;
		return (unsigned char *)v->flat + offset;
	}
	*ret_bytes = VALUE_CHUNK_BYTES - offset % VALUE_CHUNK_BYTES;
	return v->chunks[offset / VALUE_CHUNK_BYTES]->bytes + offset % VALUE_CHUNK_BYTES;
}

/* @from NULL: zeros. The pieces must be writable. */
static void fill(struct value *v, uint32_t offset, const void *from, size_t bytes)
{
	while (bytes > 0) {
		size_t piece;
		unsigned char *to = piece_at(v, offset, &piece);

		piece = zn_min_u64(piece, bytes);
		if (from) {
			memcpy(to, from, piece);
			from = (const char *)from + piece;
		} else {
			memset(to, 0, piece);
		}
		offset += (uint32_t)piece;
		bytes -= piece;
	}
}

unsigned data_iov(const struct data *data, uint64_t offset, size_t bytes, struct iovec *iov,
		  size_t *ret_bytes)
{
	unsigned n = 0;
	size_t left;

	*ret_bytes = 0;
	if (offset >= data->bytes)
		return 0;
	left = zn_min_u64(bytes, data->bytes - offset);
	*ret_bytes = left;
	while (left > 0) {
		size_t piece;

		iov[n].iov_base = piece_at(data->value, (uint32_t)offset, &piece);
		piece = zn_min_u64(piece, left);
		iov[n++].iov_len = piece;
		offset += piece;
		left -= piece;
	}
	return n;
}

size_t data_copy(const struct data *data, uint64_t offset, void *to, size_t bytes)
{
	size_t done = 0;

	if (offset >= data->bytes)
		return 0;
	bytes = zn_min_u64(bytes, data->bytes - offset);
	while (done < bytes) {
		size_t piece;
		const unsigned char *from = piece_at(data->value, (uint32_t)(offset + done),
						     &piece);

		piece = zn_min_u64(piece, bytes - done);
		memcpy((char *)to + done, from, piece);
		done += piece;
	}
	return bytes;
}

/* Give table @v its own or new chunks for [from, to), with the old contents where there are any. */
static int own_chunks(struct value *v, uint32_t from, uint32_t to)
{
	for (uint32_t i = from / VALUE_CHUNK_BYTES; i < chunks_for(to); i++) {
		struct chunk *old = v->chunks[i];
		struct chunk *c;

		if (old && atomic_load(&old->refs) == 1)
			continue;
		c = chunk_new();
		if (!c)
			return -ENOMEM;
		if (old)
			memcpy(c->bytes, old->bytes, VALUE_CHUNK_BYTES);
		v->chunks[i] = c;
		chunk_put(old);
	}
	return 0;
}

/* Chunks up to @to, where there are none yet. */
static int add_chunks(struct value *v, uint32_t to)
{
	for (uint32_t i = 0; i < chunks_for(to); i++) {
		if (v->chunks[i])
			continue;
		v->chunks[i] = chunk_new();
		if (!v->chunks[i])
			return -ENOMEM;
	}
	return 0;
}

/* A table with room for @bytes and some more that shares the first @keep bytes of @data. */
static struct value *table_from(const struct data *data, uint32_t keep, uint64_t bytes)
{
	uint32_t room = chunks_for(bytes);
	struct value *v = table_new(room + room / 2);

	if (!v)
		return NULL;
	if (!data->value || keep == 0)
		return v;
	if (data->value->chunked) {
		for (uint32_t i = 0; i < chunks_for(keep); i++) {
			v->chunks[i] = data->value->chunks[i];
			atomic_fetch_add_explicit(&v->chunks[i]->refs, 1, memory_order_relaxed);
		}
	} else {
		v->chunks[0] = chunk_new();
		if (!v->chunks[0]) {
			value_put(v);
			return NULL;
		}
		memcpy(v->chunks[0]->bytes, data->value->flat, keep);
	}
	v->used = keep;
	return v;
}

static void data_replace(struct data *data, struct value *v, uint32_t bytes)
{
	value_put(data->value);
	data->value = v;
	data->bytes = bytes;
}

int data_set(struct data *data, const void *from, size_t bytes)
{
	struct value *v = NULL;

	if (bytes > VALUE_BYTES_MAX)
		return -EFBIG;
	if (bytes > VALUE_CHUNK_BYTES) {
		v = table_from(data, 0, bytes);
		if (v && add_chunks(v, (uint32_t)bytes) < 0) {
			value_put(v);
			v = NULL;
		}
	} else if (bytes > 0) {
		v = flat_new(bytes);
	}
	if (bytes > 0) {
		if (!v)
			return -ENOMEM;
		fill(v, 0, from, bytes);
		v->used = (uint32_t)bytes;
	}
	data_replace(data, v, (uint32_t)bytes);
	return 0;
}

/*
 * In place is right for [from, to) if there is room and nobody else can see these bytes: the value is
 * held by this reference alone, or they lie behind what anybody was given, in a chunk (if chunked)
 * that no other table shares.
 */
static bool may_write_in_place(const struct data *data, uint32_t from, uint32_t to)
{
	const struct value *v = data->value;

	if (!v || to > (v->chunked ? (uint64_t)v->room * VALUE_CHUNK_BYTES : v->room))
		return false;
	if (atomic_load(&v->refs) == 1)
		return true;
	if (from != data->bytes || data->bytes != v->used)
		return false;
	return !v->chunked || from % VALUE_CHUNK_BYTES == 0 ||
	       atomic_load(&v->chunks[from / VALUE_CHUNK_BYTES]->refs) == 1;
}

static int write_in_place(struct data *data, uint32_t from, uint32_t to)
{
	return data->value->chunked ? own_chunks(data->value, from, to) : 0;
}

/* Make [from, to) of @data writable, in place or by a copy. */
static int make_writable(struct data *data, uint32_t from, uint32_t to)
{
	uint32_t end = (uint32_t)zn_max_u64(data->bytes, to);
	struct value *v;

	if (may_write_in_place(data, from, to))
		return write_in_place(data, from, to);
	if (end > VALUE_CHUNK_BYTES || (data->value && data->value->chunked)) {
		v = table_from(data, data->bytes, end);
		if (!v)
			return -ENOMEM;
		if (own_chunks(v, from, to) < 0) {
			value_put(v);
			return -ENOMEM;
		}
	} else {
		bool grows = data->value && to > data->bytes;

		v = flat_new(zn_min_u64(end + (grows ? FLAT_SLACK(end) : 0), VALUE_CHUNK_BYTES));
		if (!v)
			return -ENOMEM;
		(void)data_copy(data, 0, v->flat, data->bytes);
	}
	v->used = data->bytes;
	data_replace(data, v, data->bytes);
	return 0;
}

int data_write(struct data *data, uint64_t offset, const void *from, size_t bytes)
{
	uint64_t to;
	uint32_t start;
	int r;

	if (__builtin_add_overflow(offset, bytes, &to) || to > VALUE_BYTES_MAX)
		return -EFBIG;
	if (bytes == 0)
		return 0;
	start = (uint32_t)zn_min_u64(offset, data->bytes);
	r = make_writable(data, start, (uint32_t)to);
	if (r < 0)
		return r;
	if (offset > data->bytes)
		fill(data->value, data->bytes, NULL, offset - data->bytes);
	fill(data->value, (uint32_t)offset, from, bytes);
	data->bytes = (uint32_t)zn_max_u64(data->bytes, to);
	data->value->used = (uint32_t)zn_max_u64(data->value->used, data->bytes);
	return 0;
}

int data_truncate(struct data *data, uint64_t bytes)
{
	int r;

	if (bytes > VALUE_BYTES_MAX)
		return -EFBIG;
	if (bytes > data->bytes) {
		r = make_writable(data, data->bytes, (uint32_t)bytes);
		if (r < 0)
			return r;
		fill(data->value, data->bytes, NULL, bytes - data->bytes);
		data->bytes = (uint32_t)bytes;
		data->value->used = (uint32_t)zn_max_u64(data->value->used, bytes);
		return 0;
	}
	/* Shorter: the bytes stay until the next write needs the room; a large rest is given back. */
	if (bytes == 0) {
		data_replace(data, NULL, 0);
		return 0;
	}
	if (data->bytes - bytes > VALUE_CHUNK_BYTES || bytes < data->bytes / 2) {
		struct data copy = { NULL, 0 };

		if (data->value->chunked && bytes > VALUE_CHUNK_BYTES) {
			copy.value = table_from(data, (uint32_t)bytes, bytes);
			r = copy.value ? 0 : -ENOMEM;
		} else {
			struct iovec iov[2];
			size_t got;

			ZN_ASSERT(data_iov(data, 0, bytes, iov, &got) == 1);
			r = data_set(&copy, iov[0].iov_base, bytes);
		}
		if (r < 0)
			return r;
		data_replace(data, copy.value, (uint32_t)bytes);
		return 0;
	}
	data->bytes = (uint32_t)bytes;
	return 0;
}
