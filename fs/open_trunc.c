/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open_trunc: remembers the last OPEN of each thread in a small table. The kernel sends the SETATTR
 * of an open right after the OPEN was answered, so an entry is needed only for that moment and may
 * be overwritten by any later one. What a lost or mistaken entry costs: a truncation is acknowledged
 * when durable instead of at once, or, for a thread that opens a file for writing and then truncates
 * it by name, at once instead of when durable.
 */
#include "open_trunc.h"

#include <stdatomic.h>

#include "znodefs/base.h"

#define SLOTS_COUNT 1024

static atomic_ullong slots[SLOTS_COUNT]; /* atomic; what key_of() made of the last OPEN */

/* Never 0. Two (node, thread) pairs with the same key are as good as impossible. */
static unsigned long long key_of(fuse_ino_t ino, pid_t pid)
{
	unsigned long long key = ino * 0x9e3779b97f4a7c15ULL;

	key ^= (key >> 32) ^ ((unsigned long long)(unsigned)pid * 0xff51afd7ed558ccdULL);
	return key | 1;
}

static atomic_ullong *slot_of(pid_t pid)
{
	return &slots[(unsigned)pid % SLOTS_COUNT];
}

void open_trunc_note(fuse_ino_t ino, pid_t pid)
{
	atomic_store_explicit(slot_of(pid), key_of(ino, pid), memory_order_relaxed);
}

bool open_trunc_claim(fuse_ino_t ino, pid_t pid)
{
	unsigned long long key = key_of(ino, pid);

	return atomic_compare_exchange_strong_explicit(slot_of(pid), &key, 0, memory_order_relaxed,
						       memory_order_relaxed);
}
