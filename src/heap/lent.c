/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Lent runs: where are the blocks in memory that an algorithm of its own divides?
 *
 *	run     map        memory for the algorithm
 *	        2 bits for every 16 bytes of the run
 *
 *	map     . . . .  B . E  . .  B . . . H  .  B E
 *	block            [    ]      [       ]     [  ]
 *
 * A heap class (stoa/heap.h) knows how its memory is divided; others must know it
 * too, without calling it: who asks whether a block begins there, the check, the
 * count of what leaks, a process that does not have the class. So the library notes
 * where blocks begin and end. Ends are in steps of 8 bytes, since a header of 8 may
 * follow. Begin and end of one block are never the same 16 bytes (STOAI_LENT_LEAST).
 *
 * The words are changed under the algorithm's lock, by stores with undo: what a
 * death leaves is what the transaction found. The bit that lends the run is stored
 * before anybody can know the run, and goes with the run's undo.
 *
 * Invariant I12 (check.c): begins and ends come in turn, behind the map itself.
 */
#include "heap/block.h"
#include "heap/heap.h"

enum {
	MAP_ALIGN = 64
};

#define FIRST_OF_PAIRS UINT64_C(0x5555555555555555)

static uint64_t
map_size(uint64_t run)
{
	return stoai_align_up(run / 64, MAP_ALIGN);
}

uint64_t
stoai_heap_lent_need(uint64_t size)
{
	return size + size / 32 + UINT64_C(4) * MAP_ALIGN;
}

void
stoai_heap_lent_clear(stoa_segment *seg, uint64_t off)
{
	memset(stoai_at(seg, off), 0, map_size(stoai_heap_usable(seg, off)));
}

static void
lent_run(uint64_t off, uint64_t size, struct stoai_lent *ret)
{
	ret->map = off;
	ret->from = off + map_size(size);
	ret->end = off + size;
}

void
stoai_heap_lend(stoa_segment *seg, uint64_t off, struct stoai_lent *ret)
{
	uint64_t *at = stoai_span_at(seg, stoai_span_of(seg, off));
	uint64_t word = a64_load_relaxed(at);

	a64_store_release(at, word | STOAI_SPAN_LENT);
	lent_run(off, stoai_span_length(word) << seg->span_shift, ret);
}

bool
stoai_heap_lent(stoa_segment *seg, uint64_t off, struct stoai_lent *ret)
{
	struct stoai_block block;

	if (!stoai_block_find(seg, off, &block) ||
		stoai_span_state(block.word) != STOAI_SPAN_LARGE ||
		!(block.word & STOAI_SPAN_LENT))
		return false;
	lent_run(block.off, block.size, ret);
	return off >= ret->from;
}

/* Word w of the map, of which a damaged one may say what it likes. */
static uint64_t
map_word(stoa_segment *seg, const struct stoai_lent *lent, uint64_t w)
{
	return a64_load_relaxed((const uint64_t *)stoai_at(seg, lent->map) + w);
}

/* Both bits of those that say something. */
static uint64_t
map_said(uint64_t word)
{
	return (word | word >> 1) & FIRST_OF_PAIRS;
}

/* The next grain of [*grain, end) that says something; 0: there is none. */
static unsigned
map_next(stoa_segment *seg, const struct stoai_lent *lent, uint64_t *grain)
{
	uint64_t end = (lent->end - lent->map) / STOAI_LENT_GRAIN;
	uint64_t w = *grain / 32, said;
	unsigned shift = (unsigned)(*grain % 32 * 2);

	for (; w * 32 < end; w++, shift = 0) {
		uint64_t word = map_word(seg, lent, w);

		said = map_said(word) & UINT64_MAX << shift;
		if (!said)
			continue;
		shift = (unsigned)stoai_ctz64(said);
		*grain = w * 32 + shift / 2;
		return (unsigned)(word >> shift & 3);
	}
	return STOAI_LENT_NONE;
}

/* The last one up to *grain. */
static unsigned
map_before(stoa_segment *seg, const struct stoai_lent *lent, uint64_t *grain)
{
	uint64_t w = *grain / 32;
	unsigned shift = 62 - (unsigned)(*grain % 32 * 2);

	for (;; w--, shift = 0) {
		uint64_t word = map_word(seg, lent, w);
		uint64_t said = map_said(word) & UINT64_MAX >> shift;

		if (said) {
			shift = 63 - (unsigned)__builtin_clzll(said);
			*grain = w * 32 + shift / 2;
			return (unsigned)(word >> shift & 3);
		}
		if (!w)
			return STOAI_LENT_NONE;
	}
}

static uint64_t
grain_off(const struct stoai_lent *lent, uint64_t grain)
{
	return lent->map + grain * STOAI_LENT_GRAIN;
}

/* Where the block ends whose end is said there. */
static uint64_t
end_off(const struct stoai_lent *lent, uint64_t grain, unsigned what)
{
	return grain_off(lent, grain) + (what == STOAI_LENT_HALF
							? STOAI_LENT_GRAIN / 2
							: STOAI_LENT_GRAIN);
}

/* The block that begins at grain; 0: nothing ends it. */
static uint64_t
block_size(stoa_segment *seg, const struct stoai_lent *lent, uint64_t grain)
{
	uint64_t begin = grain_off(lent, grain);
	unsigned what;

	grain++;
	what = map_next(seg, lent, &grain);
	return what == STOAI_LENT_HALF || what == STOAI_LENT_END
		       ? end_off(lent, grain, what) - begin
		       : 0;
}

bool
stoai_lent_block(stoa_segment *seg, uint64_t off, struct stoai_block *ret)
{
	struct stoai_lent lent;
	uint64_t grain, size;
	unsigned what;

	if (stoai_span_state(ret->word) != STOAI_SPAN_LARGE ||
		!(ret->word & STOAI_SPAN_LENT))
		return true;
	lent_run(ret->off, ret->size, &lent);
	if (off < lent.from)
		return false;
	grain = (off - lent.map) / STOAI_LENT_GRAIN;
	what = map_before(seg, &lent, &grain);
	if (what > STOAI_LENT_BEGIN && off < end_off(&lent, grain, what) &&
		grain) {
		grain--;
		what = map_before(seg, &lent, &grain);
	}
	size = what == STOAI_LENT_BEGIN ? block_size(seg, &lent, grain) : 0;
	ret->off = grain_off(&lent, grain);
	ret->size = size;
	return off - ret->off < size;
}

int
stoai_lent_each(stoa_segment *seg, uint64_t span, uint64_t word,
	int (*f)(void *user, uint64_t off, uint64_t size), void *user)
{
	uint64_t spans =
		stoai_min(stoai_span_step(word), stoai_span_count(seg) - span);
	struct stoai_lent lent;
	uint64_t grain;
	unsigned what;
	int rc = 0;

	lent_run(stoai_span_off(seg, span), spans << seg->span_shift, &lent);
	grain = (lent.from - lent.map) / STOAI_LENT_GRAIN;
	while (!rc && (what = map_next(seg, &lent, &grain))) {
		uint64_t size = what == STOAI_LENT_BEGIN
					? block_size(seg, &lent, grain)
					: 0;

		if (size)
			rc = f(user, grain_off(&lent, grain), size);
		grain++;
	}
	return rc;
}

bool
stoai_lent_check(stoa_segment *seg, uint64_t span, uint64_t word)
{
	struct stoai_lent lent;
	uint64_t grain = 0;
	bool inside = false;
	unsigned what;

	lent_run(stoai_span_off(seg, span),
		stoai_span_length(word) << seg->span_shift, &lent);
	while ((what = map_next(seg, &lent, &grain))) {
		if (grain_off(&lent, grain) < lent.from ||
			(what == STOAI_LENT_BEGIN) == inside)
			return false;
		inside = !inside;
		grain++;
	}
	return !inside;
}

static int
any_block(void *user, uint64_t off, uint64_t size)
{
	(void)user;
	(void)off;
	(void)size;
	return 1;
}

bool
stoai_heap_lent_unused(stoa_segment *seg, uint64_t *at, struct stoai_lent *ret)
{
	uint64_t count = stoai_span_count(seg);

	while (*at < count) {
		uint64_t span = *at, word = stoai_span_load(seg, span);

		*at += stoai_span_step(word);
		if (stoai_span_state(word) != STOAI_SPAN_LARGE ||
			!(word & STOAI_SPAN_LENT) ||
			stoai_span_length(word) > count - span ||
			stoai_lent_each(seg, span, word, any_block, NULL))
			continue;
		lent_run(stoai_span_off(seg, span),
			stoai_span_length(word) << seg->span_shift, ret);
		return true;
	}
	return false;
}
