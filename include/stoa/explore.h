/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The step explorer: does my critical section survive a kill at any instruction?
 * Library libstoa-explore; for tests, not for production.
 *
 *	static int op(stoa_segment *seg, void *user)
 *	{
 *		struct bank *b = user;
 *		return transfer(seg, b->from, b->to, 10);
 *	}
 *	...
 *	stoa_explore_case c = { .name = "transfer", .setup = setup, .op = op,
 *	                        .check = check, .state = state, .user = &bank };
 *	stoa_explore_result r;
 *	int rc = stoa_explore_run(&c, 0, &r);
 *	if (rc || r.failures)
 *		fprintf(stderr, "%s\n", r.text);
 *
 * `op` runs under single step. After each instruction the bytes of the segment are
 * compared with the last ones; every distinct image is what others could find if
 * the thread were killed right there. Each image is then put back in place, the
 * thread is declared dead, and a survivor
 *
 *	recovers          and finds the state before op or the state after it,
 *	                  nothing locked, nothing leaked, nothing damaged; goes on
 *	                  with op itself
 *	dies as well      at each distinct image inside that recovery, and the next
 *	                  survivor recovers from there
 *	acts first        runs each of `others` while the death is not yet known
 *	dies second       after any image of a second op on top; both are recovered,
 *	                  in both orders
 *
 * And nobody dies: op stops at each image, another process runs op or one of
 * `others` to its end, or until it would have to wait for op; op goes on. Both must
 * end as if one had come after the other. The same with the roles changed; with the
 * other one stopped in its turn; and with op killed while the other one waits.
 *
 * Unused log memory and free heap memory are filled with garbage before op, so
 * that bytes left by an earlier run cannot hide a mistake. A recovery that
 * crashes or hangs is a failure of that image: all of it happens in a child
 * process that is watched.
 *
 * op, prepare and others may run in another thread than setup, with a handle of the
 * segment that is not setup's; never two at the same time.
 *
 * Guarantees: deterministic for a deterministic case. Linux on x86-64; elsewhere
 * -ENOTSUP. Not for programs whose other threads use the segment.
 */
#ifndef STOA_EXPLORE_H
#define STOA_EXPLORE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/segment.h>
STOA_BEGIN_DECLS

/*
 * What a survivor may do, also while the thread in op, which is dead but not yet
 * known to be, holds locks: the death becomes known when the survivor would have
 * to wait. < 0: it did nothing.
 */
typedef struct stoa_explore_op {
	const char *name;
	int (*run)(stoa_segment *seg, void *user);
	bool whole; /* too long to be stepped: it is never the second to die */
} stoa_explore_op;

typedef struct stoa_explore_case {
	const char *name;
	/* Small: 64 KiB of heap and 7 threads when NULL. `limit` is at most 4 MiB;
	 * 0: as large as size, so nothing grows. Names and fds are not looked at:
	 * the segment is memory of the child. */
	const stoa_segment_options *options;
	/* Make the data. 0, or what stoa_explore_run returns. Threads that it
	 * starts and leaves attached, doing nothing, die with op's thread. */
	int (*setup)(stoa_segment *seg, void *user);
	/* Before each op, not stepped; or NULL. */
	int (*prepare)(stoa_segment *seg, void *user);
	/* What is explored. Its result must follow from the state it starts in. */
	int (*op)(stoa_segment *seg, void *user);
	/* The data's own invariants: 0, or < 0 with stoa_error_text(); or NULL. */
	int (*check)(stoa_segment *seg, void *user);
	/* A hash of what the data means, not of where it lies; or NULL: no before
	 * and after. */
	uint64_t (*state)(stoa_segment *seg, void *user);
	const stoa_explore_op *others; /* up to 8 */
	size_t other_count;
	/* How long without progress counts as hanging; 0: 30 s. */
	uint32_t patience_ms;
	/* Each failure's sentence, also those after the first; or NULL. */
	void (*report)(void *user, const char *text);
	void *user;
} stoa_explore_case;

enum { /* flags of stoa_explore_run */
	STOA_EXPLORE_NO_NESTED   = 1 << 0, /* not inside recovery */
	STOA_EXPLORE_NO_SURVIVOR = 1 << 1, /* no survivor that acts first */
	STOA_EXPLORE_NO_PAIRS    = 1 << 2, /* no second death */
	STOA_EXPLORE_NO_POISON   = 1 << 3, /* leave unused bytes as they are */
	STOA_EXPLORE_ALL_PAIRS   = 1 << 4, /* every pair of images, every stop of two
	                                      that live: minutes */
	STOA_EXPLORE_SAMPLE      = 1 << 5, /* inside recovery: of every fourth image */
	STOA_EXPLORE_STEP_ALL    = 1 << 6, /* single step recovery too, instead of
	                                      trapping its stores: slower, same images */
	STOA_EXPLORE_FILE        = 1 << 7, /* the segment is in a file of tmpfs, so it
	                                      grows and is trimmed like one */
	STOA_EXPLORE_LOOSE       = 1 << 8, /* op's result and state after a recovery
	                                      need not be those of the first run */
	STOA_EXPLORE_NO_INTERLEAVE = 1 << 9 /* no two that live; where prepare leaves
	                                       locks held */
};

typedef struct stoa_explore_result {
	uint64_t instructions;    /* of op */
	uint64_t images;          /* distinct ones while op ran */
	uint64_t recovery_images; /* distinct ones inside recoveries */
	uint64_t survivor_runs;   /* of others, before recovery */
	uint64_t pairs;           /* two dead, each order counted */
	uint64_t interleaved;     /* runs of two that met */
	uint64_t failures;
	char     text[1024];      /* the first failure: what, at which image, where */
} stoa_explore_result;

/*
 * stoa_explore_run - explore one case.
 *
 * Blocks:  as long as it takes: seconds for a call of a thousand instructions.
 * Returns: 0 when it ran to the end, whatever it found (look at failures);
 *          -EINVAL (case, options), -ENOTSUP (not this machine), -ENOMEM,
 *          -EOVERFLOW (too many images: make the case smaller), or setup's error.
 */
STOA_NODISCARD int stoa_explore_run(const stoa_explore_case *c, unsigned flags,
	stoa_explore_result *ret);

STOA_END_DECLS
#endif
