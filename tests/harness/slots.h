/* SPDX-License-Identifier: BSL-1.0 */
/* A picture of a segment's slots for people, when something stands still. */
#ifndef TESTS_HARNESS_SLOTS_H
#define TESTS_HARNESS_SLOTS_H
#include "stoa/segment.h"

/* Each slot in use, with what it holds and waits for, on stderr. Needs no slot. */
void show_slots(const stoa_segment *seg);

#endif
