/* SPDX-License-Identifier: BSL-1.0 */
/* One exploration: what its parts share. */
#ifndef STOAI_EXPLORE_EXPLORER_H
#define STOAI_EXPLORE_EXPLORER_H
#include "explore/image.h"
#include "explore/step.h"
#include "stoa/explore.h"

enum stoai_explore_phase {
	STOAI_PHASE_SETUP,
	STOAI_PHASE_OP,
	STOAI_PHASE_REFERENCE,
	STOAI_PHASE_RECOVER,
	STOAI_PHASE_NESTED,
	STOAI_PHASE_SURVIVOR,
	STOAI_PHASE_PAIRS,
	STOAI_PHASE_INTERLEAVE
};

/* A flag of a case: the segment is a stoa_slots, in the middle of two pages of data. */
#define STOAI_EXPLORE_SLOTS (1u << 30)

enum {
	STOAI_OTHERS_MAX = 8,
	STOAI_REPORTS_MAX = 16,
	STOAI_REPORT_SIZE = 1024
};

/* Where an exploration stands; enough to say so after it has died. */
struct stoai_place {
	enum stoai_explore_phase phase;
	uint32_t image, inner;       /* UINT32_MAX: none */
	uint32_t other, then, order; /* which of `others`; UINT32_MAX: none */
	uint64_t step;               /* of op, when the image was made */
	uintptr_t at;                /* program counter then */
	uintptr_t inner_at;
	uint64_t other_stop, dies; /* interleaved; 0: never */
	const char *doing;         /* constant text */
};

/* Between the child that explores and the parent that watches. */
struct stoai_explore_shared {
	struct stoai_step_watch watch;
	uint64_t unit;   /* being worked on */
	uint64_t resume; /* units up to this one are not worked on again */
	struct stoai_place place;
	uint32_t done;
	int rc;
	char error[256];
	stoa_explore_result result;
	uint32_t reports;
	char report[STOAI_REPORTS_MAX][STOAI_REPORT_SIZE];
};

/* States that are right; and whether op may be compared after it. */
struct stoai_expect {
	uint64_t state[64];
	unsigned count;
	bool exact;
};

struct stoai_explorer {
	const stoa_explore_case *c;
	unsigned flags;
	struct stoai_explore_shared *shared;
	stoa_segment *seg;
	struct stoai_pool pool;
	uint32_t pool_kept; /* pages of op's images; others come and go */
	struct stoai_view view;
	struct stoai_images images; /* of op */
	struct stoai_images inner;  /* of a recovery, or of a second op */
	struct stoai_met met; /* images inside recoveries: resulting state */
	struct stoai_stepper stepper;
	uint32_t final; /* image in which op ended */
	/* what an undisturbed run gives: the first op, and one more after it */
	uint64_t before, after, again;
	int result, result_again;
	struct stoai_expect acted[STOAI_OTHERS_MAX]; /* by one of others */
	uint64_t living; /* slots of threads that setup left attached */
	uint64_t unit;
};

/* explore.c: a failure of the code under test; the sentence begins with the place. */
void stoai_explore_fail(const stoa_explore_case *c,
	struct stoai_explore_shared *shared, const char *format, ...)
	STOA_PRINTF_(3, 4);

/* verify.c */
/* Image `index` in place, the thread forgotten; the slots that were held. */
uint64_t stoai_explore_put(struct stoai_explorer *x,
	const struct stoai_images *images, uint32_t index);
int stoai_explore_op(struct stoai_explorer *x);
uint64_t stoai_explore_state(struct stoai_explorer *x);
/* Attach and recover; the function that is stepped inside recovery. 0 or < 0. */
int stoai_explore_recover(void *explorer);
/* All that must be true when nobody is dead. < 0: reported. *ret: the state. */
int stoai_explore_verify(struct stoai_explorer *x,
	const struct stoai_expect *expect, uint64_t *ret);
/* Op once more, by the survivor, and verify again. */
int stoai_explore_go_on(struct stoai_explorer *x,
	const struct stoai_expect *expect, uint64_t state);
void stoai_expect_add(struct stoai_expect *expect, uint64_t state);

/* phases.c: all of it, in the child. 0, or what stoa_explore_run returns. */
int stoai_explore_child(struct stoai_explorer *x);
/* pairs.c */
void stoai_explore_pairs(struct stoai_explorer *x);
/* interleave.c; 0, or what stoa_explore_run returns */
int stoai_explore_interleave(struct stoai_explorer *x);
/* phases.c: begin the next unit of work; false: an earlier child did it. */
bool stoai_explore_unit(struct stoai_explorer *x,
	enum stoai_explore_phase phase, uint32_t image, uint32_t other);

#endif
