/* SPDX-License-Identifier: Apache-2.0 */
/* virtual_xattr: a table of ZooKeeper's names and where struct zn_stat has them. */
#include "virtual_xattr.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VIRTUAL_XATTR_STAT VIRTUAL_XATTR_PREFIX "stat"
#define NS_PER_MS 1000000

enum field_kind {
	FIELD_ZXID, /* uint64_t, shown as 0x... */
	FIELD_MS,   /* int64_t in ns, shown in ms as ZooKeeper does it */
	FIELD_I32,
	FIELD_U64,
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
};

#define FIELD(name, kind, member) \
	{ \
		name, kind, offsetof(struct zn_stat, member) \
	}

static const struct field fields[] = {
	FIELD("czxid", FIELD_ZXID, czxid),
	FIELD("mzxid", FIELD_ZXID, mzxid),
	FIELD("pzxid", FIELD_ZXID, pzxid),
	FIELD("ctime", FIELD_MS, birth_ns),
	FIELD("mtime", FIELD_MS, data_ns),
	FIELD("version", FIELD_I32, version),
	FIELD("cversion", FIELD_I32, cversion),
	FIELD("aversion", FIELD_I32, aversion),
	FIELD("ephemeralOwner", FIELD_U64, ephemeral_owner),
	FIELD("dataLength", FIELD_U64, data_bytes),
	FIELD("numChildren", FIELD_U64, children_count),
};

static size_t field_print(const struct field *f, const struct zn_stat *st, char *text, size_t size)
{
	const char *at = (const char *)st + f->offset;
	int64_t i64;
	uint64_t u64;
	int32_t i32;
	int n = 0;

	switch (f->kind) {
	case FIELD_ZXID:
		memcpy(&u64, at, sizeof(u64));
		n = snprintf(text, size, "0x%" PRIx64, u64);
		break;
	case FIELD_MS:
		memcpy(&i64, at, sizeof(i64));
		n = snprintf(text, size, "%" PRId64, i64 / NS_PER_MS);
		break;
	case FIELD_I32:
		memcpy(&i32, at, sizeof(i32));
		n = snprintf(text, size, "%" PRId32, i32);
		break;
	case FIELD_U64:
		memcpy(&u64, at, sizeof(u64));
		n = snprintf(text, size, "%" PRIu64, u64);
		break;
	}
	ZN_ASSERT(n > 0 && (size_t)n < size);
	return (size_t)n;
}

static const struct field *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(name + strlen(VIRTUAL_XATTR_PREFIX), fields[i].name) == 0)
			return &fields[i];
	}
	return NULL;
}

bool virtual_xattr_known(const char *name)
{
	return strcmp(name, VIRTUAL_XATTR_STAT) == 0 || find(name);
}

size_t virtual_xattr_print(const char *name, const struct zn_stat *st, char *ret_text)
{
	const struct field *f = find(name);
	size_t used = 0;

	if (f)
		return field_print(f, st, ret_text, VIRTUAL_XATTR_BYTES_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		used += (size_t)snprintf(ret_text + used, VIRTUAL_XATTR_BYTES_MAX - used,
					 "%s = ", fields[i].name);
		used += field_print(&fields[i], st, ret_text + used,
				    VIRTUAL_XATTR_BYTES_MAX - used);
		ZN_ASSERT(used + 1 < VIRTUAL_XATTR_BYTES_MAX);
		ret_text[used++] = '\n';
	}
	return used;
}
