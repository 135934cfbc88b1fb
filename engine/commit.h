/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit: the ways to make a sealed batch durable. Used by one thread at a time, the one that has the
 * role of committer; the role, and with it the ring, passes between threads under the store's lock.
 *
 * COMMIT_CALL   one pwritev2() with RWF_DSYNC on this thread: the shortest way when it has nothing
 *               else to do meanwhile
 * COMMIT_LINK   on the ring, a write with an fdatasync linked to it
 * COMMIT_TWO    on the ring, a write and, when it has completed, an fdatasync
 * The ring's ways let the thread send replies while the disk works. RWF_DSYNC on the ring is not among
 * them: its flush waits for a timer tick when the CPUs are busy.
 */
#ifndef ENGINE_COMMIT_H
#define ENGINE_COMMIT_H

#include "log.h"

enum commit_way { COMMIT_CALL, COMMIT_LINK, COMMIT_TWO };

struct committer;

/*
 * @log     its shared buffers are registered with the ring
 * @ring    use io_uring if the kernel lets us; without it only COMMIT_CALL is there
 * Returns NULL without memory. *ret_ring_error says why there is no ring: 0 if there is one.
 */
struct committer *committer_new(const struct log *log, bool ring, int *ret_ring_error);
void committer_free(struct committer *c);

bool committer_has_ring(const struct committer *c);

/*
 * Find out which way is the fastest on this disk by writing zeros to [offset, offset + bytes) of @file,
 * which holds zeros already, for at most a tenth of a second a way. Returns 0 or the disk's error.
 */
int committer_measure(struct committer *c, const struct disk_file *file, uint64_t offset,
		      uint64_t bytes);

/* From now on committer_best() is a way of the ring, if there is one. */
void committer_force_ring(struct committer *c);
/* What committer_measure() found: for a batch that is waited for, and for one while replies are sent. */
enum commit_way committer_best(const struct committer *c);
enum commit_way committer_best_ring(const struct committer *c);
uint64_t committer_cost_ns(const struct committer *c, enum commit_way way);

/* Write and sync. Returns 0 or a negative errno, which is final: it must not be tried again. */
int committer_write(struct committer *c, const struct log_batch *batch, enum commit_way way);

/* Begin to; committer_wait() for the outcome before anything else. Only the ring's ways. */
void committer_start(struct committer *c, const struct log_batch *batch, enum commit_way way);
int committer_wait(struct committer *c);

const char *commit_way_name(enum commit_way way);

#endif
