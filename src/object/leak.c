/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which blocks does nobody own? Every published block is listed, then struck off
 * from whatever owns it:
 *
 *	root, bucket array, stored types      the index
 *	where waits are counted               the root
 *	an object and all that it owns        its description
 *	another index, and what it owns       its state's description
 *	another heap, the same                the header
 *
 * What is left was leaked. Under the segment's lock and the names'; a transaction
 * under another lock may have made a block and not yet linked it, which looks
 * like a leak while it lasts. It may also have linked one that is not listed yet, or
 * freed one that was: that looks like damage, which is believed only if nobody else
 * was in the middle of a change or did one meanwhile.
 */
#include <stdlib.h>
#include "base/base.h"
#include "heap/heap.h"
#include "object/classes.h"
#include "object/heaps.h"
#include "object/index.h"
#include "object/leak.h"
#include "object/visit.h"
#include "os/os.h"
#include "segment/others.h"

enum {
	LEAK_TRIES = 100
}; /* against writers, and circles of waiters */

static int
blocks_add(void *user, uint64_t off, uint64_t size)
{
	struct stoai_blocks *b = user;

	if (b->count == b->room) {
		size_t room = b->room ? b->room * 2 : 64;
		void *list = realloc(b->list, room * sizeof *b->list);

		if (!list)
			return stoai_error(-ENOMEM, "out of memory");
		b->list = list;
		b->room = room;
	}
	b->list[b->count].off = off;
	b->list[b->count].size = size;
	b->list[b->count].whose = NULL;
	b->list[b->count].need = 0;
	b->list[b->count++].owned = false;
	return 0;
}

/* Somebody owns the block at off; whose NULL: the library itself. */
static bool
blocks_strike(void *user, uint64_t off, const stoa_type *whose, uint64_t need)
{
	struct stoai_blocks *b = user;
	size_t from = 0, to = b->count;

	while (from < to) { /* in order of addresses */
		size_t mid = from + (to - from) / 2;

		if (b->list[mid].off < off)
			from = mid + 1;
		else
			to = mid;
	}
	if (from < b->count && b->list[from].off == off &&
		!b->list[from].owned) {
		b->list[from].owned = true;
		b->list[from].whose = whose;
		b->list[from].need = need;
		b->owned++;
		return true;
	}
	(void)stoai_tx_damaged(b->rd, "%s at %#llx is owned",
		from < b->count && b->list[from].off == off
			? "twice the block"
			: "what is no block",
		(unsigned long long)off);
	return false;
}

static bool
blocks_strike_stored(
	void *user, uint64_t off, const struct stoai_stored_type *s)
{
	(void)s;
	return blocks_strike(user, off, NULL, 0);
}

static bool
blocks_strike_object(void *user, uint64_t off, const struct stoai_entry *e)
{
	struct stoai_blocks *b = user;
	const stoa_type *type = stoai_entry_type(b->rd, e);
	struct stoai_walk w = {.rd = b->rd,
		.block = blocks_strike,
		.user = b,
		.seen = &b->seen};
	uint64_t count = 0;
	const char *data =
		type ? stoai_entry_data(b->rd, e, type, &count) : NULL;
	bool ok = data && blocks_strike(b, off, type,
				  (uint64_t)(data - (const char *)e) +
					  count * type->size);

	if (ok && stoai_type_is_plain(type))
		return true;
	for (uint64_t i = 0; ok && i < count; i++)
		ok = stoai_walk(&w, type, data + i * type->size);
	return ok;
}

static void
blocks_strike_all(struct stoai_blocks *b)
{
	const struct stoai_root *root = stoai_root(b->rd);
	const struct stoai_entry *state;
	uint64_t buckets, contention;

	if (!root || !blocks_strike(b, stoai_off(b->rd->seg, root), NULL, 0))
		return;
	buckets = a64_load_relaxed(&root->buckets);
	if (buckets && !blocks_strike(b, buckets, NULL, 0))
		return;
	contention = a64_load_relaxed(&root->contention);
	if (contention && !blocks_strike(b, contention, NULL, 0))
		return;
	state = stoai_class_entry(b->rd, root);
	if (state &&
		!blocks_strike_object(b, stoai_off(b->rd->seg, state), state))
		return;
	state = stoai_heap_class_entry(b->rd);
	if (state &&
		!blocks_strike_object(b, stoai_off(b->rd->seg, state), state))
		return;
	(void)(stoai_stored_each(b->rd, blocks_strike_stored, b) &&
		stoai_index_each(b->rd, blocks_strike_object, b));
}

/* How many are left, with a text that names the first. */
static int64_t
blocks_leaked(const struct stoai_blocks *b, void *user)
{
	size_t i = 0;

	(void)user;
	if (b->owned == b->count)
		return 0;
	while (b->list[i].owned)
		i++;
	(void)stoai_error(0,
		"%s: %zu of %zu blocks are leaked; the first is at %#llx (%llu "
		"bytes)",
		stoai_name(b->rd->seg), b->count - b->owned, b->count,
		(unsigned long long)b->list[i].off,
		(unsigned long long)b->list[i].size);
	return (int64_t)(b->count - b->owned);
}

static int64_t
blocks_once(stoa_segment *seg, stoai_blocks_reader f, void *user)
{
	const struct stoai_seat *seat = stoai_seat_of(seg);
	const uint32_t own = seat ? seat->index : UINT32_MAX;
	const uint64_t before = stoai_others_work(seg, own);
	struct stoai_blocks b = {0};
	int64_t result = 0;
	int rc;

	STOA_READ(rd, seg);
	b.rd = rd;
	if (stoai_names_lock(rd)) {
		rc = stoai_heap_each(seg, blocks_add, &b);
		if (rc < 0)
			(void)stoai_tx_fail(rd, rc);
		else
			blocks_strike_all(&b);
		if (!stoa_tx_error(rd))
			result = f(&b, user);
	}
	free(b.list);
	stoai_offsets_fini(&b.seen);
	rc = stoa_tx_error(rd);
	if (rc == -EBADMSG &&
		(!before || stoai_others_work(seg, own) != before))
		return stoai_error(-EAGAIN,
			"%s: others are changing it: count again",
			stoai_name(seg));
	return rc ? rc : result;
}

int64_t
stoai_blocks_read(stoa_segment *seg, stoai_blocks_reader f, void *user)
{
	int64_t result = 0;

	stoai_error_clear();
	if (!seg->readonly)
		(void)stoai_sweep(seg, true);
	for (int i = 0; i < LEAK_TRIES; i++) {
		if (i)
			stoai_os_yield();
		result = blocks_once(seg, f, user);
		if (result != -EAGAIN && result != -EDEADLK)
			break;
	}
	return result;
}

int64_t
stoa_segment_leaked(stoa_segment *seg)
{
	int64_t leaked;

	if (!seg)
		return stoai_error(-EINVAL, "stoa_segment_leaked: seg is NULL");
	leaked = stoai_blocks_read(seg, blocks_leaked, NULL);
	if (!leaked)
		stoai_error_clear();
	return leaked;
}
