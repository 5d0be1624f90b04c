/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The phases of an exploration, all in one child process:
 *
 *	setup      segment, data, the state before; poison
 *	op         single step: the images
 *	reference  what undisturbed runs give, from the first image and the last
 *	recover    each image: dead, recovered, verified, gone on with
 *	nested     each image: its recovery stepped; each image inside: dead again,
 *	           and again with a survivor that acts first
 *	survivor   each image, each of others: acts first, then the death is known
 *	pairs      two dead (pairs.c)
 *	interleave two that live (interleave.c)
 *
 * Work is cut into units, numbered alike in every child of one exploration. When a
 * unit kills its child, the parent starts another that leaves out all units up to
 * that one.
 */
#include <sys/mman.h>
#include <unistd.h>
#include "explore/death.h"
#include "explore/explorer.h"

#define FAIL(x, ...) stoai_explore_fail((x)->c, (x)->shared, __VA_ARGS__)

enum {
	DEFAULT_SIZE = 64 << 10,
	DEFAULT_THREADS = 7,
	LIMIT_MAX = 4 << 20,
	SAMPLE_STRIDE = 4,
	FAILURES_MAX = 64, /* enough to see; more of the same help nobody */
	REPORTED = 1       /* a failure that was written down: stop here */
};

bool
stoai_explore_unit(struct stoai_explorer *x, enum stoai_explore_phase phase,
	uint32_t image, uint32_t other)
{
	struct stoai_place *place = &x->shared->place;

	if (++x->unit <= x->shared->resume || x->pool.full || x->inner.full ||
		x->shared->result.failures >= FAILURES_MAX)
		return false;
	x->shared->unit = x->unit;
	memset(place, 0, sizeof *place);
	place->phase = phase;
	place->image = image;
	place->inner = UINT32_MAX;
	place->other = other;
	place->then = place->order = UINT32_MAX;
	place->step = x->images.info[image].step;
	place->at = x->images.info[image].at;
	return true;
}

/*
 * Zero bytes, as a child of fork would find them, at a place where none of its slots
 * lies across a page; the page before the memory is only in the images.
 */
static int
open_slots(struct stoai_explorer *x)
{
	size_t page = STOAI_IMAGE_PAGE, size = sizeof(stoa_slots) + 2 * page;
	char *at = mmap(NULL, page + size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return stoai_explore_error(-errno, "%s: no memory", x->c->name);
	return stoai_explore_slots((stoa_slots *)(void *)(at + 2 * page + 64),
		at + page, size, &x->seg);
}

static int
open_segment(struct stoai_explorer *x)
{
	stoa_segment_options options = {.struct_size = sizeof options};
	int rc;

	if (x->flags & STOAI_EXPLORE_SLOTS)
		return open_slots(x);
	if (x->c->options)
		options = *x->c->options;
	if (!options.size)
		options.size = DEFAULT_SIZE;
	if (!options.threads)
		options.threads = DEFAULT_THREADS;
	if (!options.limit)
		options.limit = options.size;
	if (options.limit > LIMIT_MAX || options.threads > 62 ||
		options.threads < 4 || options.fd || options.buffer)
		return stoai_explore_error(-EINVAL,
			"%s: options: a limit of at most 4 MiB, 4 to 62 "
			"threads, no fd, no buffer",
			x->c->name);
	if (!(x->flags & STOA_EXPLORE_FILE))
		return stoa_segment_open(
			NULL, STOA_CREATE | STOA_LOCAL, &options, &x->seg);
	/* libc's list would keep entries of threads that are forgotten */
	options.without |= STOA_WITHOUT_TOKENS;
	rc = stoa_segment_open(NULL, STOA_CREATE, &options, &x->seg);
	/* all of it may be looked at, also where nothing is yet */
	if (!rc && ftruncate(x->seg->fd, (off_t)x->seg->size))
		rc = stoai_explore_error(-errno, "%s: no file", x->c->name);
	return rc;
}

/*
 * The same hashes in every child, so the same images: the seed is made constant
 * before anything was hashed with it.
 */
static void
fix_seed(stoa_segment *seg)
{
	struct stoai_header *h = stoai_header(seg);

	h->seed = seg->seed = UINT64_C(0x5eed5eed5eed5eed);
	h->sum = stoai_image_sum(h, offsetof(struct stoai_header, sum));
}

static int
setup(struct stoai_explorer *x)
{
	int rc = open_segment(x);

	if (rc)
		return rc;
	fix_seed(x->seg);
	x->stepper.view = &x->view;
	x->stepper.watch = &x->shared->watch;
	rc = stoai_pool_make(&x->pool);
	if (!rc)
		rc = stoai_view_make(&x->view, &x->pool, x->seg);
	if (!rc)
		rc = stoai_images_make(&x->images, x->view.pages);
	if (!rc)
		rc = stoai_images_make(&x->inner, x->view.pages);
	if (!rc)
		rc = stoai_met_make(&x->met);
	if (!rc)
		rc = stoai_step_begin(&x->stepper);
	stoai_death_pending(x->seg, 0);
	if (!rc)
		rc = stoa_segment_attach(x->seg);
	if (!rc)
		rc = x->c->setup(x->seg, x->c->user);
	x->living = stoai_death_holders(x->seg);
	if (!rc && stoai_explore_verify(x, NULL, &x->before))
		rc = REPORTED;
	x->living = 0; /* when op's thread dies, they all do */
	if (!rc && x->c->prepare)
		rc = x->c->prepare(x->seg, x->c->user);
	return rc;
}

static int
plain_op(void *explorer)
{
	struct stoai_explorer *x = explorer;

	return x->c->op(x->seg, x->c->user);
}

static int
room_left(const struct stoai_explorer *x)
{
	return x->images.full || x->inner.full || x->pool.full
		       ? stoai_explore_error(-EOVERFLOW,
				 "%s: too many images; make the case smaller",
				 x->c->name)
		       : 0;
}

/* The first run, stepped, and its images. */
static int
step_op(struct stoai_explorer *x)
{
	stoa_explore_result *result = &x->shared->result;

	x->shared->place.phase = STOAI_PHASE_OP;
	x->shared->place.doing = "op";
	if (!(x->flags & STOA_EXPLORE_NO_POISON))
		stoai_death_poison(x->seg);
	x->result = stoai_step(&x->stepper, &x->images, STOAI_STEP_EACH,
		plain_op, x, &x->final);
	result->instructions = x->stepper.steps;
	result->images = x->images.count;
	x->pool_kept = x->pool.count;
	return room_left(x);
}

/* The states after op, and after one more; from the image it ended in. */
static int
reference(struct stoai_explorer *x)
{
	x->shared->place.phase = STOAI_PHASE_REFERENCE;
	stoai_death_mark(x->seg, stoai_explore_put(x, &x->images, x->final));
	if (stoai_explore_recover(x)) {
		FAIL(x, "recovery failed: %s", stoa_error_text());
		return REPORTED;
	}
	if (stoai_explore_verify(x, NULL, &x->after))
		return REPORTED;
	x->result_again = stoai_explore_op(x);
	return stoai_explore_verify(x, NULL, &x->again) ? REPORTED : 0;
}

/* What one of others gives, undisturbed, on the image. */
static void
expect_other(struct stoai_explorer *x, uint32_t image, uint32_t other)
{
	stoai_death_mark(x->seg, stoai_explore_put(x, &x->images, image));
	if (!stoai_explore_recover(x)) {
		x->shared->place.doing = "other";
		(void)x->c->others[other].run(x->seg, x->c->user);
		stoai_expect_add(&x->acted[other], stoai_explore_state(x));
	}
}

static void
recover_image(struct stoai_explorer *x, uint32_t image)
{
	struct stoai_expect expect = {
		.exact = !(x->flags & STOA_EXPLORE_LOOSE)};
	uint64_t state;

	if (!stoai_explore_unit(x, STOAI_PHASE_RECOVER, image, UINT32_MAX))
		return;
	stoai_expect_add(&expect, x->before);
	stoai_expect_add(&expect, x->after);
	stoai_death_mark(x->seg, stoai_explore_put(x, &x->images, image));
	if (stoai_explore_recover(x)) {
		FAIL(x, "recovery failed: %s", stoa_error_text());
		return;
	}
	if (!stoai_explore_verify(x, &expect, &state))
		(void)stoai_explore_go_on(x, &expect, state);
}

/* A survivor acts while the death is not yet known; then it is. */
static void
act_first(struct stoai_explorer *x, const struct stoai_images *images,
	uint32_t index, uint32_t other, const struct stoai_expect *idle)
{
	uint64_t dead = stoai_explore_put(x, images, index), state;
	int rc = stoa_segment_attach(x->seg);

	if (rc) {
		FAIL(x, "attach failed: %s", stoa_error_text());
		return;
	}
	x->shared->place.doing = "other";
	x->shared->place.other = other;
	stoai_death_pending(x->seg, dead);
	rc = x->c->others[other].run(x->seg, x->c->user);
	x->shared->result.survivor_runs++;
	stoai_death_pending(x->seg, 0);
	stoai_death_mark(x->seg, dead);
	if (stoai_explore_recover(x))
		FAIL(x, "recovery failed: %s", stoa_error_text());
	else if (!stoai_explore_verify(
			 x, rc < 0 ? idle : &x->acted[other], &state))
		(void)stoai_explore_go_on(x, idle, state);
	x->shared->place.other = UINT32_MAX;
}

/*
 * Dead inside the recovery of an image: the next survivor must reach the same; and
 * so must one that first does something else, in between.
 */
static void
recover_inner(struct stoai_explorer *x, uint32_t inner, uint64_t reached)
{
	struct stoai_expect expect = {.state = {reached},
		.count = 1,
		.exact = !(x->flags & STOA_EXPLORE_LOOSE)};
	uint64_t *word, state;

	x->shared->place.inner = inner;
	x->shared->place.inner_at = x->inner.info[inner].at;
	if (stoai_met_find(&x->met, x->inner.info[inner].sum, &word)) {
		if (*word != reached && x->c->state)
			FAIL(x, "this recovery led elsewhere before");
		return;
	}
	*word = reached;
	x->shared->result.recovery_images++;
	stoai_death_mark(x->seg, stoai_explore_put(x, &x->inner, inner));
	if (stoai_explore_recover(x))
		FAIL(x, "recovery failed: %s", stoa_error_text());
	else if (!stoai_explore_verify(x, &expect, &state))
		(void)stoai_explore_go_on(x, &expect, state);
	expect.exact = false;
	if (x->c->other_count && !(x->flags & STOA_EXPLORE_NO_SURVIVOR))
		act_first(x, &x->inner, inner,
			(uint32_t)(x->shared->result.recovery_images %
				   x->c->other_count),
			&expect);
}

static void
nested_image(struct stoai_explorer *x, uint32_t image)
{
	struct stoai_expect expect = {.count = 0};
	uint64_t reached;
	uint32_t last;
	int rc;

	if (!stoai_explore_unit(x, STOAI_PHASE_NESTED, image, UINT32_MAX))
		return;
	stoai_pool_back(&x->pool, &x->view, x->pool_kept);
	stoai_expect_add(&expect, x->before);
	stoai_expect_add(&expect, x->after);
	stoai_death_mark(x->seg, stoai_explore_put(x, &x->images, image));
	rc = stoai_step(&x->stepper, &x->inner,
		x->flags & STOA_EXPLORE_STEP_ALL ? STOAI_STEP_EACH
						 : STOAI_STEP_STORES,
		stoai_explore_recover, x, &last);
	if (rc) {
		FAIL(x, "stepped recovery failed: %s", stoa_error_text());
		return;
	}
	if (stoai_explore_verify(x, &expect, &reached))
		return;
	for (uint32_t i = 0; i < x->inner.count; i++)
		recover_inner(x, i, reached);
}

static void
survivor_image(struct stoai_explorer *x, uint32_t image, uint32_t other)
{
	struct stoai_expect idle = {.count = 0};

	if (!stoai_explore_unit(x, STOAI_PHASE_SURVIVOR, image, other))
		return;
	stoai_expect_add(&idle, x->before);
	stoai_expect_add(&idle, x->after);
	act_first(x, &x->images, image, other, &idle);
}

int
stoai_explore_child(struct stoai_explorer *x)
{
	uint32_t stride = x->flags & STOA_EXPLORE_SAMPLE ? SAMPLE_STRIDE : 1;
	int rc = setup(x);

	if (!rc)
		rc = step_op(x);
	if (!rc)
		rc = reference(x);
	if (rc)
		return rc == REPORTED ? 0 : rc;
	for (uint32_t k = 0; k < x->c->other_count; k++) {
		expect_other(x, 0, k);
		expect_other(x, x->final, k);
	}
	for (uint32_t i = 0; i < x->images.count; i++)
		recover_image(x, i);
	if (!(x->flags & STOA_EXPLORE_NO_NESTED))
		for (uint32_t i = 0; i < x->images.count; i += stride)
			nested_image(x, i);
	if (!(x->flags & STOA_EXPLORE_NO_SURVIVOR))
		for (uint32_t k = 0; k < x->c->other_count; k++)
			for (uint32_t i = 0; i < x->images.count; i++)
				survivor_image(x, i, k);
	if (!(x->flags & STOA_EXPLORE_NO_PAIRS))
		stoai_explore_pairs(x);
	if (!(x->flags & STOA_EXPLORE_NO_INTERLEAVE))
		rc = stoai_explore_interleave(x);
	return rc ? rc : room_left(x);
}
