/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which locks of a segment are waited for, how often, and how long? Counted on
 * request, while the programs run; `stoa locks --contention` shows the same.
 *
 *	rc = stoa_contention_start(seg, 0);
 *	...
 *	stoa_contention it = stoa_contention_begin(seg);
 *	while (stoa_contention_next(&it))
 *		printf("%p: %llu waits\n", it.place, (unsigned long long)it.waits);
 *
 * Counted is each wait in which a thread slept, when it ends, as got or as given up:
 * for mutexes, reader/writer locks, semaphores, permits, events, latches, event
 * counts, barriers, and, each time it wakes, for conditions. What nobody waits for is
 * not there. A place keeps its row when its object is deleted; what lies there next
 * goes on with it.
 *
 * While it is counted, holders note when they took what they hold, and `stoa locks`
 * shows it. A lock that nobody waits for then takes two clock reads' time more;
 * otherwise nothing changes for it.
 *
 * Guarantees: process-safe, thread-safe. Counters decide nothing: a thread killed
 * while it counts leaves one wait out, or out of one of the sums.
 */
#ifndef STOA_CONTENTION_H
#define STOA_CONTENTION_H
#include <stdbool.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/segment.h>
STOA_BEGIN_DECLS

/* Where an iteration stands, and what it has found there. */
typedef struct stoa_contention {
	const stoa_segment *segment_;
	uint64_t next_;
	const void *place; /* the lock, event, ...; NULL: all that had no row */
	uint64_t offset;   /* of it in the segment; 0: as above */
	uint64_t waits, waited_ns, longest_ns;
	uint64_t last_ns; /* when the last wait ended; CLOCK_REALTIME */
} stoa_contention;

/*
 * stoa_contention_start - from now on waits are counted, beginning with none.
 *
 * The first call takes a block of the segment, with room for `places` rows (0: 256;
 * 65536 at most), and about 200 bytes for each thread that fits. It stays: a thread
 * may be about to count in it. Later calls use it again, whatever they say.
 *
 * Blocks:  for the lock of the names.
 * Crash:   killed in it, it counts or not; the block, if there is one, is the
 *          segment's and used by the next call.
 * Returns: 0, -EINVAL (seg is NULL, too many places), -EROFS, -EBUSY (inside a scope
 *          of this thread), -ENOSPC, -EUSERS, -EBADMSG, -ENOTRECOVERABLE.
 */
int stoa_contention_start(stoa_segment *seg, uint32_t places);
/*
 * stoa_contention_stop - counts no more. What was counted stays, to be read.
 *
 * Blocks:  no.
 * Crash:   one store.
 * Returns: 0, -EINVAL, -EROFS.
 */
int stoa_contention_stop(stoa_segment *seg);
bool stoa_contention_is_on(const stoa_segment *seg);

/*
 * stoa_contention_begin, _next - each place that was waited for, in no order, and at
 * last, with place NULL, all those together for which there was no room.
 *
 * Blocks:  no. Needs no slot, no lock; also of a read-only mapping. Others count
 *          meanwhile: each number is right by itself.
 * Returns: false: there are no more; also where nothing was ever counted.
 */
stoa_contention stoa_contention_begin(const stoa_segment *seg);
bool stoa_contention_next(stoa_contention *it);

STOA_END_DECLS
#endif
