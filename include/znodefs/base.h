/* SPDX-License-Identifier: Apache-2.0 */
/* base: assertions and small helpers that every part of znodefs uses. No state, no dependencies. */
#ifndef ZNODEFS_BASE_H
#define ZNODEFS_BASE_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) \
	((type *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

#define ZN_PRINTF(format_index, first_index) \
	__attribute__((format(printf, format_index, first_index)))

/* Says what broke and where on stderr, then aborts. Never returns. Any thread. */
_Noreturn void zn_assert_failed(const char *condition, const char *file, int line);

/* A promise inside our own code; stays on in release builds. Bad input is an error, not an assert. */
#define ZN_ASSERT(condition) \
	((condition) ? (void)0 : zn_assert_failed(#condition, __FILE__, __LINE__))

/* For checks that cost; compiled in with -DZN_DEBUG (the sanitizer variants do so). */
#ifdef ZN_DEBUG
#define ZN_DEBUG_ASSERT(condition) ZN_ASSERT(condition)
#else
#define ZN_DEBUG_ASSERT(condition) ((void)sizeof(condition))
#endif

/* -errno after a call that has failed: never 0. */
static inline int zn_errno(void)
{
	int e = errno;

	ZN_ASSERT(e > 0);
	return -e;
}

/* Scope cleanup for a descriptor: zn_cleanup_close int fd = -1; */
static inline void zn_close_cleanup(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
#define zn_cleanup_close __attribute__((cleanup(zn_close_cleanup)))

/* @align is a power of two. */
static inline uint64_t zn_align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static inline uint64_t zn_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t zn_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif
