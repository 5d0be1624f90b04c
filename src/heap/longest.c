/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The numbers of longest.h: how are they kept, by one who holds the lock, and by
 * those who do not?
 *
 *	freed    the freer: FREE; the chunk's bit; the header's bit
 *	gather   the searcher: takes the header's bits, then the chunks' bits, then
 *	         reads the table
 *
 * Each is sequentially consistent. So who finds a bit set and leaves it has freed
 * before whoever takes that bit reads the table.
 */
#include "heap/longest.h"

enum {
	SETS = 64 /* chunks, or sets of chunks, that a word has bits for */
};

static uint64_t
chunk_count(stoa_segment *seg)
{
	return (stoai_span_count(seg) + STOAI_CHUNK - 1) >> STOAI_CHUNK_SHIFT;
}

static struct stoai_chunk *
chunk_numbers(const stoa_segment *seg, uint64_t chunk)
{
	return stoai_meta_chunk(
		seg, stoai_meta_at(seg, chunk << STOAI_CHUNK_SHIFT));
}

/* ---- the tree: under the lock ---- */

/* The first chunk of the second half of the node of 1 << level chunks that holds it. */
static uint64_t
node_chunk(uint64_t chunk, unsigned level)
{
	return (chunk >> level << level) + (UINT64_C(1) << (level - 1));
}

/* Of the 1 << level chunks from `chunk` on; that one exists. */
static uint64_t
node_load(
	const stoa_segment *seg, uint64_t count, uint64_t chunk, unsigned level)
{
	while (level && node_chunk(chunk, level) >= count)
		level--;
	return a64_load_relaxed(
		level ? &chunk_numbers(seg, node_chunk(chunk, level))
				 ->longest_above
		      : &chunk_numbers(seg, chunk)->longest);
}

/* The larger of its halves'. False: that is what it says. */
static bool
node_update(
	const stoa_segment *seg, uint64_t count, uint64_t node, unsigned level)
{
	uint64_t *above = &chunk_numbers(seg, node)->longest_above;
	uint64_t left = node_load(
		seg, count, node - (UINT64_C(1) << (level - 1)), level - 1);
	uint64_t right = node_load(seg, count, node, level - 1);

	if (a64_load_relaxed(above) == stoai_max(left, right))
		return false;
	a64_store_relaxed(above, stoai_max(left, right));
	return true;
}

void
stoai_longest_raise(stoa_segment *seg, uint64_t span, uint64_t length)
{
	uint64_t count = chunk_count(seg), chunk = span >> STOAI_CHUNK_SHIFT;
	uint64_t *at = &chunk_numbers(seg, chunk)->longest;

	if (a64_load_relaxed(at) >= length)
		return;
	a64_store_relaxed(at, length);
	for (unsigned level = 1; count >> (level - 1); level++) {
		if (node_chunk(chunk, level) >= count)
			continue;
		at = &chunk_numbers(seg, node_chunk(chunk, level))
			      ->longest_above;
		if (a64_load_relaxed(at) >= length)
			break;
		a64_store_relaxed(at, length);
	}
}

void
stoai_longest_set(stoa_segment *seg, uint64_t chunk, uint64_t length)
{
	uint64_t count = chunk_count(seg);

	a64_store_relaxed(&chunk_numbers(seg, chunk)->longest, length);
	for (unsigned level = 1; count >> (level - 1); level++)
		if (node_chunk(chunk, level) < count &&
			!node_update(
				seg, count, node_chunk(chunk, level), level))
			break;
}

uint64_t
stoai_longest_find(stoa_segment *seg, uint64_t chunk, uint64_t length)
{
	uint64_t count = chunk_count(seg);
	unsigned top = stoai_log2(count | 1) + 1; /* 0: damaged */
	unsigned level = chunk ? stoai_ctz64(chunk) : top;

	while (chunk < count) {
		if (node_load(seg, count, chunk, level) < length) {
			chunk += UINT64_C(1) << level;
			level = stoai_ctz64(chunk);
		} else if (level--) {
			continue;
		} else {
			return chunk;
		}
	}
	return STOAI_NO_CHUNK;
}

void
stoai_longest_forget(stoa_segment *seg)
{
	for (uint64_t c = 0, count = chunk_count(seg); c < count; c++) {
		a64_store_relaxed(
			&chunk_numbers(seg, c)->longest, STOAI_UNKNOWN);
		a64_store_relaxed(
			&chunk_numbers(seg, c)->longest_above, STOAI_UNKNOWN);
	}
}

/* Of the nodes that lay behind the end only these were for chunks before it. */
void
stoai_longest_grown(stoa_segment *seg, uint64_t from)
{
	uint64_t count = chunk_count(seg);
	uint64_t before = (from + STOAI_CHUNK - 1) >> STOAI_CHUNK_SHIFT;

	for (unsigned level = 1; before && count >> (level - 1); level++) {
		uint64_t node = node_chunk(before - 1, level);

		if (node >= before && node < count)
			(void)node_update(seg, count, node, level);
	}
	stoai_longest_raise(seg, from, stoai_span_count(seg) - from);
}

/* ---- what was freed: any thread ---- */

void
stoai_longest_freed(stoa_segment *seg, uint64_t span)
{
	uint64_t chunk = span >> STOAI_CHUNK_SHIFT, set = chunk / SETS;
	uint64_t *chunks = &chunk_numbers(seg, set * SETS)->freed;
	uint64_t *sets = &stoai_header(seg)->freed;
	uint64_t bit = UINT64_C(1) << chunk % SETS;

	/* pairs with: stoai_longest_gather, its exchanges */
	if (!(a64_load_seq_cst(chunks) & bit))
		a64_fetch_or_seq_cst(chunks, bit);
	bit = UINT64_C(1) << set % SETS;
	if (!(a64_load_seq_cst(sets) & bit))
		a64_fetch_or_seq_cst(sets, bit);
}

static void
gather_set(stoa_segment *seg, uint64_t set, uint64_t count)
{
	uint64_t *word = &chunk_numbers(seg, set * SETS)->freed, chunks;

	if (!a64_load_seq_cst(word))
		return;
	for (chunks = a64_exchange_seq_cst(word, 0); chunks;
		chunks &= chunks - 1) {
		uint64_t chunk = set * SETS + stoai_ctz64(chunks);

		if (chunk < count)
			stoai_longest_raise(
				seg, chunk << STOAI_CHUNK_SHIFT, STOAI_UNKNOWN);
	}
}

void
stoai_longest_gather(stoa_segment *seg)
{
	uint64_t *word = &stoai_header(seg)->freed, sets;
	uint64_t count = chunk_count(seg);

	if (!a64_load_seq_cst(word))
		return;
	for (sets = a64_exchange_seq_cst(word, 0); sets; sets &= sets - 1)
		for (uint64_t set = stoai_ctz64(sets); set * SETS < count;
			set += SETS)
			gather_set(seg, set, count);
}
