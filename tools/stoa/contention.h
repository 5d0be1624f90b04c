/* SPDX-License-Identifier: BSL-1.0 */
/* Which locks are waited for, as counted. See contention.c. */
#ifndef TOOLS_STOA_CONTENTION_H
#define TOOLS_STOA_CONTENTION_H
#include "out.h"
#include "place.h"

/* As every program does it, with a slot; on: anew. Returns the status. */
int contention_switch(const struct call *c, bool on);
/* A row for each place, most time waited first. */
json_t *contention_read(const stoa_segment *seg);
/* And what people call it: after names may have needed a private picture. */
void contention_name(json_t *rows, const struct places *places);
void contention_table(const json_t *rows);

#endif
