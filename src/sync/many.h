/* SPDX-License-Identifier: BSL-1.0 */
/* Waiting on many, in its steps. See many.c. */
#ifndef STOAI_SYNC_MANY_H
#define STOAI_SYNC_MANY_H
#include "stoa/wait.h"
#include "sync/signal.h"

enum {
	STOAI_KEY_GIVEN = 1 /* which_ of an event whose wait has begun before */
};

struct stoai_kind; /* what there is to know of a kind of waitable */

/* local, of one wait */
struct stoai_many_part {
	const struct stoai_kind *kind;
	void *object;
	uint32_t key, which;
	uint64_t *entry; /* in the lane, while it may sleep; NULL: none */
};

struct stoai_many {
	unsigned n;
	unsigned how; /* STOAI_LOOK_* */
	struct stoai_many_part part[STOA_WAIT_MAX];
	/* of each part (NULL: a descriptor), and what they sleep at; the last for a word of the caller's */
	struct stoai_seat *seat[STOA_WAIT_MAX + 1];
	struct stoai_os_word on[STOA_WAIT_MAX + 1];
};

/* Finds what they name; the thread is in a call from here on until the end. */
int stoai_many_begin(struct stoai_many *m, const stoa_waitable *on, unsigned n);
void stoai_many_end(struct stoai_many *m);
/* The first that has come about, taken if m->how says so; -EAGAIN: none. */
int stoai_many_look(struct stoai_many *m, unsigned how);
/* Says in the lanes that one waits there. 0, -EOVERFLOW. */
int stoai_many_list(struct stoai_many *m);
/* It waits there no more: what one was woken for is handed on, but by `but`. */
void stoai_many_unlist(struct stoai_many *m, int but);

/* pollable.c, for a wait that has looked at all of them itself */
int
stoai_pollable_open(const stoa_waitable *on, unsigned n, stoa_pollable **ret);
void stoai_pollable_arm(stoa_pollable *p);

#endif
