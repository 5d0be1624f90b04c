/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Deaths: how does a thread die that does not really die?
 *
 * Its stores have stopped: the image is restored. Its private memory is gone:
 * stoai_segment_forget. And the kernel has walked its robust list: each token that
 * held its TID is now OWNER_DIED, with WAITERS kept. The last is done here, for
 * tokens without a list as well, where the owner byte would have proved the death
 * and the prover would have stored the same word.
 *
 * A survivor that acts before the death is known may come to something that the
 * dead holds, and wait. In real life the kernel wakes it then; here the wait itself
 * marks the dead, and ends like one whose tick has passed.
 *
 * Poison: 0xaa in every byte that nothing owns. Code that reads what it did not
 * write then finds garbage instead of an equal value from an earlier run.
 *
 *	lane       log behind the cursor; held[] entries that are zero stay zero,
 *	           because zero is their meaning
 *	FREE span  all of it
 *	slab       blocks that are not allocated, that a thread merely caches, or
 *	           that were freed remotely
 */
#include "explore/death.h"
#include "heap/format.h"
#include "segment/log.h"

enum {
	GARBAGE = 0xaa
};

static stoa_segment *pending_in;
static uint64_t pending;

uint64_t
stoai_death_holders(const stoa_segment *seg)
{
	uint64_t slots = 0;

	for (uint32_t i = 0; i < seg->slot_count && i < 64; i++)
		if (a32_load_relaxed(stoai_token_at(seg, i)) & STOAI_TOKEN_TID)
			slots |= UINT64_C(1) << i;
	return slots;
}

void
stoai_death_mark(stoa_segment *seg, uint64_t slots)
{
	for (; slots; slots &= slots - 1) {
		uint32_t *word = stoai_token_at(seg, stoai_ctz64(slots));
		uint32_t token = a32_load_relaxed(word);

		if (token & STOAI_TOKEN_TID)
			a32_store_relaxed(
				word, STOAI_TOKEN_OWNER_DIED |
					      (token & STOAI_TOKEN_WAITERS));
	}
}

/* Asked before each system call of the library. */
static int
on_call(enum stoai_os_call call)
{
	if (call != STOAI_OS_FUTEX_WAIT && call != STOAI_OS_FUTEX_WAITV)
		return 0;
	stoai_death_mark(pending_in, pending);
	pending = 0;
	return -ETIMEDOUT;
}

void
stoai_death_pending(stoa_segment *seg, uint64_t slots)
{
	pending_in = seg;
	pending = slots;
	stoai_explore_on_call(on_call);
}

static void
poison_lane(stoa_segment *seg, uint32_t slot)
{
	uint64_t start = stoai_log_start(seg, slot);
	uint64_t end = stoai_log_lane_end(seg, slot);
	uint64_t cursor = stoai_lane_at(seg, slot)->cursor;

	if (!cursor) /* never used */
		cursor = start;
	if (cursor >= start && cursor <= end)
		memset(stoai_at(seg, cursor), GARBAGE, end - cursor);
}

static void
poison_slab(stoa_segment *seg, uint64_t span)
{
	const char *meta = (const char *)stoai_at(seg, seg->meta_off) +
			   span * seg->meta_stride;
	const struct stoai_meta *m = (const void *)meta;
	const struct stoai_bits *bits = (const void *)(m + 1);
	uint32_t blocks = (1u << seg->span_shift) / m->size;
	char *at = stoai_at(seg, seg->heap_off + (span << seg->span_shift));

	for (uint32_t i = 0; i < blocks; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);

		if (!(bits[i / 64].alloc & bits[i / 64].pub &
			    ~bits[i / 64].remote & bit))
			memset(at + (uint64_t)i * m->size, GARBAGE, m->size);
	}
}

void
stoai_death_poison(stoa_segment *seg)
{
	const uint64_t *table = stoai_at(seg, seg->table_off);
	uint64_t spans = (a64_load_relaxed(&stoai_header(seg)->committed) -
				 seg->heap_off) >>
			 seg->span_shift;

	for (uint32_t i = 0; i < seg->slot_count; i++)
		poison_lane(seg, i);
	if (seg->header_off) /* a stoa_slots: no heap */
		return;
	for (uint64_t i = 0; i < spans;) {
		uint64_t length = table[i] & STOAI_SPAN_LENGTH;
		unsigned state = (unsigned)(table[i] >> STOAI_SPAN_STATE_SHIFT);

		if (!length || length > spans - i)
			return; /* not walkable: the check will say so */
		if (state == STOAI_SPAN_FREE)
			memset(stoai_at(seg,
				       seg->heap_off + (i << seg->span_shift)),
				GARBAGE, length << seg->span_shift);
		else if (state == STOAI_SPAN_SLAB)
			poison_slab(seg, i);
		i += length;
	}
}
