/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Accounts: what is in each span, and so in the heap by size class and by slot? What was
 * there at most, and what was refused?
 *
 * One walk, over the table and the bitmaps of slabs, without the lock; the rest are sums
 * of it.
 *
 *	span	FREE	free
 *		SLAB	used | transient | room, by its bitmaps; lost behind the last block
 *		LARGE	used, if published; else transient
 *		lent	used | room, by the map of its blocks (lent.c)
 *
 * The marks stand in the header. Nothing reads them but people, so their stores are in
 * no protocol: each is one word. A refusal's place and time are three words; the last
 * of them is 0 while they are written, so a reader takes none of a killed writer's.
 */
#include "heap/account.h"
#include "heap/block.h"
#include "heap/heap.h"
#include "os/os.h"
#include "stoa/heapstat.h"

enum {
	WHO_SLOT_SHIFT = 32, /* refused_who: pid | slot | reason */
	WHO_REASON_SHIFT = 56
};

STOA_STATIC_ASSERT(
	STOAI_COUNT(((struct stoai_header *)0)->refused) == STOA_LIMIT_MEMORY,
	"");

/* ---- written ---- */

void
stoai_account_most(uint64_t *most, uint64_t value)
{
	uint64_t is = a64_load_relaxed(most);

	while (is < value && !a64_cas_seq_cst(most, &is, value))
		;
}

void
stoai_account_refused(
	const struct stoai_seat *seat, uint64_t wanted, uint32_t reason)
{
	struct stoai_header *h = stoai_header(seat->seg);

	if (!reason || reason > STOAI_COUNT(h->refused))
		return;
	a32_fetch_add_seq_cst(&h->refused[reason - 1], 1);
	a64_store_before(&h->refused_who, 0);
	a64_store_relaxed(&h->refused_size, wanted);
	a64_store_relaxed(&h->refused_ns, stoai_os_realtime());
	/* pairs with: last_refusal */
	a64_store_release(&h->refused_who,
		(uint64_t)reason << WHO_REASON_SHIFT |
			(uint64_t)seat->index << WHO_SLOT_SHIFT |
			stoai_os_pid());
}

static void
last_refusal(const struct stoai_header *h, stoa_heap_refusal *ret)
{
	uint64_t who = a64_load_acquire(&h->refused_who);
	uint64_t reason = who >> WHO_REASON_SHIFT;

	ret->wanted = a64_load_relaxed(&h->refused_size);
	ret->when_ns = a64_load_relaxed(&h->refused_ns);
	if (!reason || reason > STOAI_COUNT(h->refused) ||
		a64_load_after(&h->refused_who) != who) {
		*ret = (stoa_heap_refusal){0};
		return;
	}
	ret->reason = (stoa_segment_limit)reason;
	ret->pid = (uint32_t)who;
	ret->slot = (uint32_t)(who >> WHO_SLOT_SHIFT) & 0xffffff;
}

/* ---- the walk ---- */

static void
look_slab(stoa_segment *seg, uint64_t span, stoa_heap_span *it)
{
	struct stoai_meta *meta = stoai_meta_at(seg, span);
	uint32_t index = stoai_slab_class(seg, meta), blocks;

	if (index == STOAI_CLASSES) {
		it->kind = STOA_HEAP_DAMAGED;
		return;
	}
	blocks = stoai_span_blocks(seg, index);
	it->kind = STOA_HEAP_SLAB;
	it->slot =
		stoai_word_slot(seg, (uint32_t)a64_load_relaxed(&meta->owner));
	it->size = stoai_class_size(index);
	it->blocks = blocks;
	for (uint32_t w = 0; w < stoai_words(blocks); w++) {
		uint64_t transient;
		uint64_t used =
			stoai_slab_word(seg, span, w, blocks, &transient);

		it->used += (uint64_t)__builtin_popcountll(used);
		it->transient += (uint64_t)__builtin_popcountll(transient);
	}
	it->used_bytes = it->used * it->size;
	it->transient_bytes = it->transient * it->size;
	it->room_bytes = (blocks - it->used - it->transient) * it->size;
}

static int
lent_block(void *user, uint64_t off, uint64_t size)
{
	stoa_heap_span *it = user;

	(void)off;
	it->blocks++;
	it->used++;
	it->used_bytes += size;
	return 0;
}

static void
look_lent(stoa_segment *seg, uint64_t word, stoa_heap_span *it)
{
	it->kind = STOA_HEAP_LENT;
	(void)stoai_lent_each(seg, it->first, word, lent_block, it);
	/* its map may be changing, or damaged */
	it->used_bytes = stoai_min(it->used_bytes, it->bytes);
	it->room_bytes = it->bytes - it->used_bytes;
}

static void
look_large(stoa_segment *seg, uint64_t word, stoa_heap_span *it)
{
	bool published = word & STOAI_SPAN_PUBLISHED;
	uint32_t slot = stoai_span_owner(word);

	it->kind = STOA_HEAP_LARGE;
	it->size = it->bytes;
	it->blocks = 1;
	it->used = published;
	it->transient = !published;
	it->used_bytes = it->used * it->bytes;
	it->transient_bytes = it->transient * it->bytes;
	if (!published && slot < seg->slot_count)
		it->slot = slot;
}

stoa_heap_span
stoa_heap_spans(const stoa_segment *seg)
{
	return (stoa_heap_span){.segment_ = seg};
}

bool
stoa_heap_span_next(stoa_heap_span *it)
{
	stoa_segment *seg =
		(stoa_segment *)(uintptr_t)it->segment_; /* may grow */
	uint64_t count = seg ? stoai_span_count(seg) : 0, word;

	if (it->next_ >= count)
		return false;
	word = stoai_span_load(seg, it->next_);
	*it = (stoa_heap_span){.segment_ = seg,
		.first = it->next_,
		.count = stoai_min(stoai_span_step(word), count - it->next_),
		.slot = STOA_HEAP_NOBODY};
	it->next_ = it->first + it->count;
	it->offset = stoai_span_off(seg, it->first);
	it->bytes = it->count << seg->span_shift;
	switch (stoai_span_state(word)) {
	case STOAI_SPAN_SLAB:
		look_slab(seg, it->first, it);
		break;
	case STOAI_SPAN_LARGE:
		if (word & STOAI_SPAN_LENT)
			look_lent(seg, word, it);
		else
			look_large(seg, word, it);
		break;
	case STOAI_SPAN_FREE:
		it->returned = word & STOAI_SPAN_PUNCHED;
		break;
	case STOAI_SPAN_BODY: /* the head is gone: others are at it */
	default:
		it->kind = STOA_HEAP_DAMAGED;
		break;
	}
	return true;
}

/* ---- sums ---- */

static uint64_t
span_lost(const stoa_heap_span *it)
{
	return it->bytes - it->used_bytes - it->transient_bytes -
	       it->room_bytes;
}

void
stoa_heap_statistics(const stoa_segment *seg, stoa_heap_stat *ret)
{
	const struct stoai_header *h = stoai_header(seg);
	stoa_heap_span it = stoa_heap_spans(seg);
	uint64_t taken = 0;

	*ret = (stoa_heap_stat){.span_size = UINT64_C(1) << seg->span_shift,
		.limit = seg->size - seg->heap_off};
	while (stoa_heap_span_next(&it)) {
		ret->size += it.bytes;
		ret->used += it.used_bytes;
		ret->transient += it.transient_bytes;
		ret->room += it.room_bytes;
		if (it.kind == STOA_HEAP_FREE)
			ret->free += it.bytes;
		else
			ret->lost += span_lost(&it);
	}
	taken = ret->size - ret->free;
	ret->size_most = stoai_max(a64_load_relaxed(&h->size_most), ret->size);
	ret->taken_most = stoai_max(a64_load_relaxed(&h->taken_most), taken);
	for (uint32_t i = 0; i < STOAI_COUNT(h->refused); i++) {
		ret->refused[i + 1] = a32_load_relaxed(&h->refused[i]);
		ret->refused[STOA_LIMIT_NONE] += ret->refused[i + 1];
	}
	last_refusal(h, &ret->last);
}

static uint32_t
class_row(const stoa_heap_span *it)
{
	switch (it->kind) {
	case STOA_HEAP_SLAB:
		return stoai_class_of(it->size);
	case STOA_HEAP_LARGE:
		return STOAI_CLASSES;
	case STOA_HEAP_LENT:
		return STOAI_CLASSES + 1;
	case STOA_HEAP_FREE:
		return STOAI_CLASSES + 2;
	case STOA_HEAP_DAMAGED:
	default:
		return STOAI_CLASSES + 3;
	}
}

size_t
stoa_heap_classes(
	const stoa_segment *seg, stoa_heap_class_stat *ret, size_t room)
{
	stoa_heap_class_stat sum[STOAI_CLASSES + 4] = {0};
	stoa_heap_span it = stoa_heap_spans(seg);
	size_t rows = 0;

	while (stoa_heap_span_next(&it)) {
		stoa_heap_class_stat *s = &sum[class_row(&it)];

		s->kind = it.kind;
		s->size = it.kind == STOA_HEAP_SLAB ? it.size : 0;
		s->spans += it.count;
		s->bytes += it.bytes;
		s->blocks += it.blocks;
		s->used += it.used;
		s->transient += it.transient;
		s->used_bytes += it.used_bytes;
		s->transient_bytes += it.transient_bytes;
		s->lost += it.kind == STOA_HEAP_FREE ? 0 : span_lost(&it);
	}
	for (uint32_t i = 0; i < STOAI_COUNT(sum); i++) {
		if (!sum[i].spans)
			continue;
		if (rows < room)
			ret[rows] = sum[i];
		rows++;
	}
	return rows;
}

/* ---- by slot ---- */

/* Which row of the caller's is a slot's; the last is that of nobody's slabs. */
struct slot_rows {
	uint16_t row[STOAI_SLOTS_MAX + 1]; /* + 1; 0: it has none */
};

static uint32_t
slot_of(const stoa_segment *seg, const stoa_heap_span *it)
{
	return it->slot < seg->slot_count ? it->slot : STOAI_SLOTS_MAX;
}

static bool
slot_counts(const stoa_heap_span *it)
{
	return it->kind == STOA_HEAP_SLAB || it->slot != STOA_HEAP_NOBODY;
}

static void
slot_row(const stoa_segment *seg, uint32_t i, stoa_heap_slot_stat *s)
{
	const struct stoai_slot *slot = stoai_slot_at(seg, i);

	*s = (stoa_heap_slot_stat){.slot = STOA_HEAP_NOBODY};
	if (i == STOAI_SLOTS_MAX)
		return;
	s->slot = i;
	if (a32_load_acquire(&slot->state) != STOAI_SLOT_LIVE)
		return;
	s->pid = a32_load_relaxed(&slot->pid);
	s->tid = a32_load_relaxed(&slot->tid);
	s->since_ns = a64_load_relaxed(&slot->since_ns);
	s->lane = seg->lane_stride;
}

static void
slot_add(stoa_heap_slot_stat *s, const stoa_heap_span *it)
{
	s->transient += it->transient_bytes;
	if (it->kind == STOA_HEAP_LARGE) {
		s->large += it->transient;
		return;
	}
	s->slabs++;
	s->bytes += it->bytes;
	s->used += it->used_bytes;
}

/* Rows for whoever is attached or owns something; returns how many. */
static size_t
slot_list(const stoa_segment *seg, struct slot_rows *rows,
	stoa_heap_slot_stat *ret, size_t room)
{
	stoa_heap_span it = stoa_heap_spans(seg);
	uint16_t n = 0;

	for (uint32_t i = 0; i < seg->slot_count; i++)
		rows->row[i] =
			a32_load_acquire(&stoai_slot_at(seg, i)->state) ==
			STOAI_SLOT_LIVE;
	while (stoa_heap_span_next(&it))
		if (slot_counts(&it))
			rows->row[slot_of(seg, &it)] = 1;
	for (uint32_t i = 0; i <= STOAI_SLOTS_MAX; i++) {
		if (!rows->row[i])
			continue;
		if (n < room)
			slot_row(seg, i, &ret[n]);
		rows->row[i] = ++n;
	}
	return n;
}

size_t
stoa_heap_slots(const stoa_segment *seg, stoa_heap_slot_stat *ret, size_t room)
{
	struct slot_rows rows = {0};
	size_t n = slot_list(seg, &rows, ret, room);
	stoa_heap_span it = stoa_heap_spans(seg);

	while (room && stoa_heap_span_next(&it)) {
		uint16_t row = rows.row[slot_of(seg, &it)];

		/* who came since it was listed has none */
		if (slot_counts(&it) && row && row <= room)
			slot_add(&ret[row - 1], &it);
	}
	return n;
}
