/* SPDX-License-Identifier: Apache-2.0 */
/* le: little-endian integers for structures on disk; using one without converting does not compile. */
#ifndef ENGINE_LE_H
#define ENGINE_LE_H

#include <endian.h>
#include <stdint.h>

struct le16 {
	uint16_t raw;
} __attribute__((packed, aligned(1)));
struct le32 {
	uint32_t raw;
} __attribute__((packed, aligned(1)));
struct le64 {
	uint64_t raw;
} __attribute__((packed, aligned(1)));

static inline struct le16 to_le16(uint16_t n)
{
	return (struct le16){ htole16(n) };
}

static inline struct le32 to_le32(uint32_t n)
{
	return (struct le32){ htole32(n) };
}

static inline struct le64 to_le64(uint64_t n)
{
	return (struct le64){ htole64(n) };
}

static inline uint16_t from_le16(struct le16 n)
{
	return le16toh(n.raw);
}

static inline uint32_t from_le32(struct le32 n)
{
	return le32toh(n.raw);
}

static inline uint64_t from_le64(struct le64 n)
{
	return le64toh(n.raw);
}

#endif
