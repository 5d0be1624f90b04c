/* SPDX-License-Identifier: BSL-1.0 */
/* Run a function and keep every distinct image that it leaves on its way. */
#ifndef STOAI_EXPLORE_STEP_H
#define STOAI_EXPLORE_STEP_H
#include "explore/image.h"

enum stoai_step_how {
	STOAI_STEP_EACH, /* trap after each instruction, compare all bytes */
	STOAI_STEP_STORES, /* trap each store to the segment: the same images, sooner */
	STOAI_STEP_COUNT /* count the stores, look at nothing: stoai_step_until */
};

/* What the watching process may read at any time; lies in shared memory. */
struct stoai_step_watch {
	uint64_t beat;   /* grows while there is progress */
	uint32_t signal; /* 0, or the fault that ends this process */
	uintptr_t fault_at, fault_on; /* program counter, address */
};

struct stoai_stepper {
	struct stoai_view *view;
	struct stoai_images *images;
	struct stoai_step_watch *watch;
	enum stoai_step_how how;
	uint64_t steps; /* instructions or stores of the last run */
	uint64_t until; /* COUNT: see stoai_step_until */
};

/* Signal handlers; for the rest of this process's life. */
int stoai_step_begin(struct stoai_stepper *stepper);
/*
 * images: emptied, then the image before f, then each distinct one after it.
 * Returns f's result; stepper->last: index of the image that f ended in.
 */
int stoai_step(struct stoai_stepper *stepper, struct stoai_images *images,
	enum stoai_step_how how, int (*f)(void *), void *user, uint32_t *last);

/*
 * From now on stores are trapped. At `until`, which is 2n - 1 just before the nth
 * store and 2n just behind it, the segment is open again, and f() is called
 * in the signal handler; it need not return, or it may call this again. 0: nothing
 * is trapped any more. Not inside stoai_step.
 */
void stoai_step_until(
	struct stoai_stepper *stepper, uint64_t until, void (*f)(void));

#endif
