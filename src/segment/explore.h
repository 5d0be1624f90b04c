/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What libstoa-explore needs of this library beside its public calls. Exported for
 * it (STOA_PRIVATE in stoa.map), for the same version only. It also knows the
 * layout of segments, and of struct stoa_segment.
 */
#ifndef STOAI_SEGMENT_EXPLORE_H
#define STOAI_SEGMENT_EXPLORE_H
#include "os/os.h"
#include "segment/seat.h"
#include "stoa/attr.h"
STOA_BEGIN_DECLS

/*
 * The segment's bytes were put back to an earlier instant, and the calling thread
 * is somebody else: no seat, no slot of this process, nothing remembered of what
 * was read there. Nothing shared is touched.
 */
void stoai_explore_forget(stoa_segment *seg);
/* The calling thread's slot; UINT32_MAX: none. */
uint32_t stoai_explore_slot(const stoa_segment *seg);
/*
 * Another handle of the same mapping, with nothing in common in this process: what
 * a second process would have. For one thread, until the process ends.
 */
int stoai_explore_twin(const stoa_segment *seg, stoa_segment **ret);
/* A stoa_slots of this process alone. */
int stoai_explore_slots(
	stoa_slots *s, void *memory, uint64_t size, stoa_segment **ret);
/*
 * The process that had this handle is gone, and with it what was locked there: its
 * mutex, and the owner bytes, which the kernel drops.
 */
void stoai_explore_release(stoa_segment *seg);
/* Asked before each system call of this library: see stoai_os_fault. */
void stoai_explore_on_call(int (*f)(enum stoai_os_call call));
/* Told of each sleep and yield: see stoai_os_idle. */
void stoai_explore_on_idle(void (*f)(void));
/* stoai_error */
int stoai_explore_error(int rc, const char *format, ...) STOA_PRINTF_(2, 3);

STOA_END_DECLS
#endif
