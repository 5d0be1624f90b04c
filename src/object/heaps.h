/* SPDX-License-Identifier: BSL-1.0 */
/* What divides a segment's memory, if it is not the library's heap. See heaps.c. */
#ifndef STOAI_OBJECT_HEAPS_H
#define STOAI_OBJECT_HEAPS_H
#include "object/entry.h"
#include "stoa/heap.h"

/* A fresh segment whose root stands: its class's name and state. */
int stoai_heap_class_format(stoa_segment *seg);
/* Which class has it? 0, -ENOTSUP: one that nobody has brought; -EPROTOTYPE. */
int stoai_heap_class_open(stoa_segment *seg, const stoa_heap_class *given);
/* Name and state; NULL: it has none (or is damaged, and rd has failed). */
const struct stoai_entry *stoai_heap_class_entry(const stoa_tx *rd);
/* As stoai_heap_trim, after the class has given up what it does not need. */
int64_t stoai_heap_class_trim(struct stoai_seat *seat);
/* What its class has to say of its state. 0, -EBADMSG. */
int stoai_heap_class_check(stoa_segment *seg);

#endif
