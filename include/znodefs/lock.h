/* SPDX-License-Identifier: Apache-2.0 */
/* lock: a mutex that clang's thread-safety analysis understands; gcc sees a plain pthread mutex. */
#ifndef ZNODEFS_LOCK_H
#define ZNODEFS_LOCK_H

#include <pthread.h>

#include "znodefs/base.h"

#if defined(__clang__)
#define ZN_TSA(x) __attribute__((x))
#else
#define ZN_TSA(x)
#endif

struct ZN_TSA(capability("mutex")) zn_lock {
	pthread_mutex_t mutex;
};

#define ZN_LOCK_INIT \
	{ \
		PTHREAD_MUTEX_INITIALIZER \
	}
#define zn_requires(lock) ZN_TSA(requires_capability(lock))

static inline void zn_lock_init(struct zn_lock *lock)
{
	ZN_ASSERT(pthread_mutex_init(&lock->mutex, NULL) == 0);
}

static inline void zn_lock_fini(struct zn_lock *lock)
{
	ZN_ASSERT(pthread_mutex_destroy(&lock->mutex) == 0);
}

static inline void zn_lock(struct zn_lock *lock) ZN_TSA(acquire_capability(lock))
	ZN_TSA(no_thread_safety_analysis)
{
	ZN_ASSERT(pthread_mutex_lock(&lock->mutex) == 0);
}

static inline void zn_unlock(struct zn_lock *lock) ZN_TSA(release_capability(lock))
	ZN_TSA(no_thread_safety_analysis)
{
	ZN_ASSERT(pthread_mutex_unlock(&lock->mutex) == 0);
}

#endif
