/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Our own side: a segment without a name that the workers inherit.
 *
 * Two views of it are measured. Works of a layer (a lock, a block) call the
 * layer's own functions, which is what everything above them pays; works of
 * programs (transactions, names, containers) call the public interface.
 */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H
#include <stoa/stoa.h>
#include "measure.h"
#include "segment/seat.h"

typedef struct cell {
	stoa_mutex mutex;
	uint64_t pad[7];
	stoa_rwlock lock;
	uint64_t value;
} cell;
STOA_TYPE(cell, mutex, pad, lock, value);

extern stoa_segment *ours_segment;
extern const cell *ours_cell;                 /* an object in it */
extern __thread struct stoai_seat *ours_seat; /* of a started worker */

bool ours_done(int rc);        /* tells of a failure */
bool ours_open(uint64_t size); /* heap of `size` bytes, its pages there */
bool ours_open_with(uint64_t size, const stoa_heap_class *heap);
bool ours_start(const struct measure_row *row, int role); /* attach */
void ours_stop(const struct measure_row *row, int role);  /* detach */
void ours_close(void);
int64_t ours_used(void);   /* spans that are not free, and what tells of them */
int64_t ours_held(void);   /* bytes of the system's memory */
void ours_give_back(void); /* trim */

#endif
