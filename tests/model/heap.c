/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The heap when blocks change hands: allocated here and freed there, harvested by
 * the owner, adopted after its death; with the log (tx/lane.c) that owes a free
 * after a death. A block has one owner at a time, none is lost, none comes back
 * while its free may have to be repeated.
 *
 *	directory   a block that shared data has from the beginning; its words are
 *	            the places that lead to other blocks
 *	owned[]     by block: 0 nobody, SHARED, or thread + 1 (transient)
 *
 * And a large block becomes longer or shorter in place, without a lock, while another thread
 * walks over the table under the heap's lock: place 0 leads to it, place 2 is 1 if
 * it is long.
 *
 * At the end the dead are recovered, the living leave, and all that is left are
 * the directory and what its places lead to.
 */
#include <errno.h>
#include <string.h>
#include "tx/local.h"
#include "world.h"

enum {
	BLOCK = 64, /* 4 in a span */
	BLOCKS = (WORLD_SPANS << WORLD_SPAN_SHIFT) / BLOCK,
	PLACES = 4,
	SHARED = 99
};

/* Beside the segment, and what a death does to it is done by undone(). */
static struct {
	uint8_t owned[BLOCKS];
	uint64_t directory;
	/* of each thread's transaction: what it made, what it frees */
	uint64_t made[MODEL_THREADS], freed[MODEL_THREADS];
} book;

static uint8_t *
owned(uint64_t off)
{
	return &book.owned[(off - stoai_off(
					  &world_process[0].seg, world_at(0))) /
			   BLOCK];
}

static uint64_t *
place(unsigned n)
{
	/* the first word of a block is the heap's as long as it is cached */
	return (uint64_t *)stoai_at(&world_process[0].seg, book.directory) + 1 +
	       n;
}

/* ---- a transaction ---- */

/* The seat that acts: of the running thread, or of the one that begin is for. */
static struct stoai_seat *
mine(void)
{
	return stoai_self->seat[0];
}

static void
place_set(unsigned n, uint64_t to)
{
	struct stoai_seat *seat = mine();

	world_ok(stoai_lane_append(seat, STOAI_LOG_SAVE, 8,
		stoai_off(seat->seg, place(n)), place(n)));
	a64_store_kill(place(n), to);
}

/* A block of shared data, once the transaction is committed. */
static void
make(unsigned n)
{
	struct stoai_seat *seat = mine();
	struct stoai_cached block;
	uint64_t off;
	int rc = stoai_heap_alloc(seat, BLOCK, 16, &block);

	world_ok(rc);
	if (rc)
		return;
	off = block.off;
	if (*owned(off))
		model_wrong("a block is given out that somebody has");
	*owned(off) = (uint8_t)(seat->index + 1);
	book.made[seat->index] = off;
	world_ok(stoai_lane_append(seat, STOAI_LOG_ALLOC, 0, off, NULL));
	stoai_heap_publish(seat, block);
	place_set(n, off);
}

static void
unmake(unsigned n)
{
	struct stoai_seat *seat = mine();
	uint64_t off = *place(n);

	place_set(n, 0);
	world_ok(stoai_lane_append(seat, STOAI_LOG_FREE, 0, off, NULL));
	book.freed[seat->index] = off;
	seat->effects++;
}

/* The instant of the commit: nothing is between it and the store. */
static void
done(void)
{
	uint32_t me = mine()->index;

	if (book.made[me])
		*owned(book.made[me]) = SHARED;
	if (book.freed[me])
		*owned(book.freed[me]) = 0;
	book.made[me] = book.freed[me] = 0;
}

/* A dead one's transaction did not happen, or has happened: book says which. */
static void
undone(uint32_t slot)
{
	if (book.made[slot])
		*owned(book.made[slot]) = 0;
	book.made[slot] = book.freed[slot] = 0;
}

/* ---- the beginning ---- */

/* Thread 0 has made the directory and the blocks at places 0 to n - 1. */
static void
begin_with(unsigned threads, unsigned n)
{
	struct stoai_cached directory;
	struct stoai_seat *seat;

	memset(&book, 0, sizeof book);
	world_done = done;
	world_undone = undone;
	world_begin(threads, WORLD_HEAP);
	model_track(&book, sizeof book, MODEL_NOBODY);
	kernel_switch(0);
	seat = mine();
	world_ok(stoai_heap_alloc(seat, BLOCK, 16, &directory));
	book.directory = directory.off;
	memset(stoai_at(seat->seg, book.directory), 0, BLOCK);
	stoai_heap_publish(seat, directory);
	*owned(book.directory) = SHARED;
	for (unsigned i = 0; i < n; i++) {
		make(i);
		world_commit_of(seat);
	}
	kernel_switch(MODEL_NOBODY);
}

static void
begin_two(void)
{
	begin_with(2, 3);
}

static void
begin_three(void)
{
	begin_with(3, 3);
}

/* ---- what they do ---- */

/* Thread 0 owns the slab, which is full: it must harvest what others free. */
static void
here_and_there(unsigned thread)
{
	if (thread) {
		unmake(thread - 1);
		world_commit();
	} else {
		make(3);
		world_commit();
	}
}

/* The owner leaves or dies; who frees also allocates, and so adopts. */
static void
adopt(unsigned thread)
{
	if (thread == 0) {
		stoai_detach(mine());
		return;
	}
	if (thread == 1) {
		unmake(0);
		world_commit();
	}
	(void)stoai_sweep(mine()->seg, false);
	make(thread == 1 ? 0 : 3);
	world_commit();
}

/* A block is freed, given out again and freed, while a death is not yet known. */
static void
again(unsigned thread)
{
	if (thread) {
		unmake(0);
		world_commit();
		return;
	}
	make(3);
	world_commit();
	(void)stoai_sweep(mine()->seg, false);
	unmake(3);
	world_commit();
}

/* The class gives its empty slab back, and another thread makes one of it. */
static void
collect(unsigned thread)
{
	if (thread) {
		make(3);
		world_commit();
		unmake(0);
	} else {
		unmake(1);
		world_commit();
		unmake(2);
	}
	world_commit();
	stoai_heap_relax(mine());
}

/* ---- large blocks ---- */

enum {
	RUN = 1 << WORLD_SPAN_SHIFT
};

/* Of that many spans, once the transaction is committed. */
static bool
make_run(unsigned n, uint64_t spans)
{
	struct stoai_seat *seat = mine();
	struct stoai_cached block;
	int rc = stoai_heap_alloc(seat, RUN * spans, 16, &block);

	world_ok(rc == -ENOSPC ? 0 : rc);
	if (rc)
		return false;
	world_ok(stoai_lane_append(seat, STOAI_LOG_ALLOC, 0, block.off, NULL));
	stoai_heap_publish(seat, block);
	place_set(n, block.off);
	return true;
}

/*
 * Behind the block at place 0 one span is free, and then comes another block: one
 * takes that span and merges it away while others look at the table.
 */
static void
begin_run(void)
{
	begin_with(2, 0);
	kernel_switch(0);
	for (unsigned i = 0; i < 3; i++) {
		if (!make_run(i == 2 ? 3 : i, 1))
			model_wrong("there is no room at the beginning");
		world_commit_of(mine());
	}
	unmake(1);
	world_commit_of(mine());
	kernel_switch(MODEL_NOBODY);
}

/* The block at place 0 has two spans, and the last one is another's. */
static void
begin_long(void)
{
	begin_with(2, 0);
	kernel_switch(0);
	if (!make_run(0, 2))
		model_wrong("there is no room at the beginning");
	place_set(2, 1);
	world_commit_of(mine());
	if (!make_run(3, 1))
		model_wrong("there is no room at the beginning");
	world_commit_of(mine());
	kernel_switch(MODEL_NOBODY);
}

/* One span longer, and not yet committed. */
static bool
stretch(void)
{
	const uint64_t pair[2] = {1, 1};
	struct stoai_seat *seat = mine();
	uint64_t off = *place(0), spans = 1;

	if (stoai_heap_take_behind(seat, off, 1, 1, &spans))
		return false;
	world_ok(stoai_lane_append(seat, STOAI_LOG_ALLOC, 0, off + RUN, NULL));
	stoai_heap_publish(seat, (struct stoai_cached){off + RUN, 0});
	world_ok(stoai_lane_append(
		seat, STOAI_LOG_MERGE, sizeof pair, off, pair));
	world_ok(stoai_heap_merge(seat->seg, off, 1, 1));
	place_set(2, 1);
	return true;
}

/* One span shorter. */
static void
shorten(void)
{
	const uint64_t pair[2] = {1, 1};
	struct stoai_seat *seat = mine();
	uint64_t off = *place(0);

	world_ok(stoai_lane_append(
		seat, STOAI_LOG_SPLIT, sizeof pair, off, pair));
	world_ok(stoai_heap_split(seat->seg, seat->index, off, 1, 1));
	world_ok(stoai_lane_append(seat, STOAI_LOG_FREE, 0, off + RUN, NULL));
	seat->effects++;
	place_set(2, 0);
}

static void
undo(void)
{
	struct stoai_seat *seat = mine();

	world_ok(stoai_lane_rollback(seat->seg, seat->index,
		stoai_log_start(seat->seg, seat->index)));
	seat->effects = 0;
}

static void
other_makes_run(void)
{
	if (make_run(1, 1))
		world_commit();
	(void)stoai_sweep(mine()->seg, false);
}

static void
longer(unsigned thread)
{
	if (thread)
		other_makes_run();
	else if (stretch())
		world_commit();
}

static void
longer_undone(unsigned thread)
{
	if (thread)
		other_makes_run();
	else if (stretch())
		undo();
}

static void
shorter(unsigned thread)
{
	if (thread) {
		other_makes_run();
	} else {
		shorten();
		world_commit();
	}
}

static void
shorter_undone(unsigned thread)
{
	if (thread) {
		other_makes_run();
	} else {
		shorten();
		undo();
	}
}

/* ---- the end ---- */

static const char *
leave(void)
{
	for (unsigned t = 0; t < MODEL_THREADS; t++) {
		struct stoai_seat *seat = &world_process[t].mine.seat;

		if (!seat->seg || model_state_of(t) == MODEL_DEAD)
			continue;
		kernel_switch(t);
		stoai_detach(seat);
	}
	kernel_switch(MODEL_NOBODY);
	return stoai_heap_check(&world_process[MODEL_NOBODY].seg)
		       ? stoa_error_text()
		       : NULL;
}

static const char *
end(void)
{
	stoa_segment *seg = &world_process[MODEL_NOBODY].seg;
	const char *wrong = world_end();
	struct stoai_heap_stat stat;
	uint64_t led = 1;

	if (!wrong)
		wrong = leave();
	if (wrong)
		return wrong;
	for (unsigned n = 0; n < PLACES; n++) {
		if (!*place(n))
			continue;
		led++;
		if (stoai_heap_usable(seg, *place(n)) != BLOCK)
			return "shared data leads to a block that was freed";
	}
	stoai_heap_statistics(seg, &stat);
	if (stat.blocks > led)
		return "a block is lost: published, and nothing leads to it";
	if (stat.blocks < led)
		return "two places lead to one block";
	return stat.transient ? "a block is lost: transient, and nobody's"
			      : NULL;
}

static const char *
end_run(void)
{
	stoa_segment *seg = &world_process[MODEL_NOBODY].seg;
	const char *wrong = world_end();
	struct stoai_heap_stat stat;

	if (!wrong)
		wrong = leave();
	if (wrong)
		return wrong;
	if (stoai_heap_usable(seg, *place(0)) != RUN + RUN * *place(2))
		return "a block is not as long as it is said to be";
	if (*place(1) && stoai_heap_usable(seg, *place(1)) != RUN)
		return "shared data leads to what is no block";
	stoai_heap_statistics(seg, &stat);
	if (stat.blocks != 3 + (*place(1) != 0))
		return "a block is lost, or belongs to two";
	return stat.transient ? "a block is lost: transient, and nobody's"
			      : NULL;
}

static const struct model_case cases[] = {
	{"alloc here, free there", 2, {3, 1, 0, 8}, begin_two, here_and_there,
		world_idle, end},
	{"alloc here, two free there", 3, {1, 1, 0, 8}, begin_three,
		here_and_there, world_idle, end},
	{"freed, given out, freed", 2, {3, 1, 0, 8}, begin_two, again,
		world_idle, end},
	{"slabs given back", 2, {2, 1, 0, 8}, begin_two, collect, world_idle,
		end},
	{"the owner goes, one adopts", 2, {2, 1, 0, 8}, begin_two, adopt,
		world_idle, end},
	{"the owner goes, two adopt", 3, {1, 1, 0, 8}, begin_three, adopt,
		world_idle, end},
	{"longer in place", 2, {5, 1, 0, 8}, begin_run, longer, world_idle,
		end_run},
	{"longer in place, undone", 2, {5, 1, 0, 8}, begin_run, longer_undone,
		world_idle, end_run},
	{"shorter in place", 2, {5, 1, 0, 8}, begin_long, shorter, world_idle,
		end_run},
	{"shorter in place, undone", 2, {5, 1, 0, 8}, begin_long,
		shorter_undone, world_idle, end_run},
};

int
main(int argc, char **argv)
{
	return model_main(
		"heap", cases, sizeof cases / sizeof *cases, argc, argv);
}
