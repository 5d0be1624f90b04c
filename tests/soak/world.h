/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What the soak's workers share. Each part has a lock of its own and says twice
 * what it holds: once as it is and once as a count or sum, changed in the same
 * transaction. Where the two differ, half of a transaction has been seen.
 *
 *	W1  the sum of all accounts never changes
 *	W2  map_count and map_sum are those of map
 *	W3  text_bytes is that of all values of text
 *	W4  vec_sum is that of vec
 *	W5  left equals right
 *	W6  graph_count and graph_sum are those of the nodes from graph on
 *	W7  the ring's items sum up to ring_in - ring_out
 *	W8  each box's balance equals its moves
 *	W9  each thing's note and list tell its id
 *	W10 a holder's block is its stamp, and words that follow from it, to the end;
 *	    a shelf's bytes are those of its blocks
 */
#ifndef TESTS_SOAK_WORLD_H
#define TESTS_SOAK_WORLD_H
#include <inttypes.h>
#include <stdio.h>
#include <stoa/stoa.h>
#include <string.h>

enum {
	ACCOUNTS = 16,
	START_BALANCE = 1000,
	KEYS = 200,
	VEC_MAX = 300,
	GRAPH_MAX = 60,
	RING = 8,
	BOXES = 4,
	OWNERS = 8,
	THINGS = 8,
	SHELVES = 8,
	PLACES = 48
};

typedef struct account {
	stoa_rwlock lock;
	int64_t balance;
	int64_t moves;
} account;
STOA_TYPE(account, lock, balance, moves);

typedef struct node node;
typedef STOA_REF(node) node_ref;
struct node {
	uint64_t value;
	stoa_str note;
	node_ref next, twin;
};
STOA_TYPE(node, value, note, (next, node, own), (twin, node, own));

#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>

#define STOA_NAME table
#define STOA_KEY  uint64_t
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

#define STOA_NAME texts
#define STOA_KEY  stoa_str
#define STOA_VAL  stoa_str
#include <stoa/template/hashmap.h>

#define STOA_NAME boxes
#define STOA_KEY  uint64_t
#define STOA_VAL  account
#define STOA_BOXED
#include <stoa/template/hashmap.h>

typedef struct thing {
	uint64_t id;
	stoa_str note;
	numbers list;
} thing;
STOA_TYPE(thing, id, note, (list, numbers));

typedef struct holder {
	STOA_REF(uint8_t) block;
	uint64_t size, stamp; /* size 0: no block */
} holder;
STOA_TYPE(holder, (block, uint8_t, own), size, stamp);

typedef struct shelf {
	stoa_rwlock lock;
	uint64_t bytes;
	holder at[PLACES];
} shelf;
STOA_TYPE(shelf, lock, bytes, (at, holder));

typedef struct world {
	account account[ACCOUNTS];

	stoa_rwlock map_lock;
	table map;
	uint64_t map_count, map_sum;

	stoa_rwlock text_lock;
	texts text;
	uint64_t text_bytes;

	stoa_rwlock vec_lock;
	numbers vec;
	uint64_t vec_sum;

	stoa_rwlock str_lock;
	stoa_str left, right;

	stoa_rwlock graph_lock;
	node_ref graph;
	uint64_t graph_count, graph_sum;

	stoa_mutex ring_lock;
	stoa_cond not_empty, not_full;
	uint64_t ring[RING];
	uint64_t ring_head, ring_tail, ring_in, ring_out;

	stoa_rwlock box_lock;
	boxes box;

	/* under the segment's own lock */
	stoa_owner owner[OWNERS];
	uint64_t ticks, filled;
	numbers big;

	shelf shelf[SHELVES];
} world;
STOA_TYPE(world, (account, account), map_lock, (map, table), map_count, map_sum,
	text_lock, (text, texts), text_bytes, vec_lock, (vec, numbers), vec_sum,
	str_lock, left, right, graph_lock, (graph, node, own), graph_count,
	graph_sum, ring_lock, not_empty, not_full, ring, ring_head, ring_tail,
	ring_in, ring_out, box_lock, (box, boxes), owner, ticks, filled,
	(big, numbers), (shelf, shelf));

/* Tell of a broken invariant; defined by the program. */
void broken(const char *format, ...) STOA_PRINTF_(1, 2);

/* ---- what is in a block ---- */

static inline uint64_t
pattern_word(uint64_t stamp, uint64_t i)
{
	return i ? (stamp + i) * UINT64_C(0x9e3779b97f4a7c15) : stamp;
}

/* p: the block's bytes from `from` on, which is a multiple of 8, to `to`. */
static inline void
pattern_write(uint8_t *p, uint64_t from, uint64_t to, uint64_t stamp)
{
	for (uint64_t at = from; at < to; at += 8) {
		const uint64_t word = pattern_word(stamp, at / 8);

		memcpy(p + (at - from), &word, to - at < 8 ? to - at : 8);
	}
}

static inline bool
pattern_whole(const uint8_t *p, uint64_t size, uint64_t stamp)
{
	for (uint64_t at = 0; at < size; at += 8) {
		const uint64_t word = pattern_word(stamp, at / 8);

		if (memcmp(p + at, &word, size - at < 8 ? size - at : 8))
			return false;
	}
	return true;
}

/* ---- the invariants; each is called with its lock held ---- */

static inline void
check_map(const stoa_tx *rd, const world *w)
{
	uint64_t count = 0, sum = 0;

	for (table_iter it = table_begin(rd, &w->map); table_next(&it);) {
		count++;
		sum += *it.val;
	}
	if (stoa_tx_error(rd))
		return;
	if (count != w->map_count || count != table_count(rd, &w->map) ||
		sum != w->map_sum)
		broken("W2: map has %" PRIu64 " (%zu) and %" PRIu64
		       ", says %" PRIu64 " and %" PRIu64,
			count, table_count(rd, &w->map), sum, w->map_count,
			w->map_sum);
}

static inline void
check_text(const stoa_tx *rd, const world *w)
{
	uint64_t bytes = 0;

	for (texts_iter it = texts_begin(rd, &w->text); texts_next(&it);)
		bytes += strlen(it.val);
	if (!stoa_tx_error(rd) && bytes != w->text_bytes)
		broken("W3: text has %" PRIu64 " bytes, says %" PRIu64, bytes,
			w->text_bytes);
}

static inline void
check_vec(const stoa_tx *rd, const world *w)
{
	size_t n = 0;
	const uint64_t *v = numbers_data(rd, &w->vec, &n);
	uint64_t sum = 0;

	if (stoa_tx_error(rd))
		return;
	for (size_t i = 0; i < n; i++)
		sum += v[i];
	if (sum != w->vec_sum)
		broken("W4: vec sums up to %" PRIu64 ", says %" PRIu64, sum,
			w->vec_sum);
}

static inline void
check_str(const stoa_tx *rd, const world *w)
{
	const char *left = stoa_str_get(rd, &w->left);
	const char *right = stoa_str_get(rd, &w->right);

	if (!stoa_tx_error(rd) && strcmp(left, right))
		broken("W5: '%s' and '%s'", left, right);
}

static inline void
check_graph(const stoa_tx *rd, const world *w)
{
	uint64_t count = 0, sum = 0;

	for (const node *n = stoa_get(rd, w->graph);
		n && count <= GRAPH_MAX * 2; n = stoa_get(rd, n->next)) {
		const node *twin = stoa_get(rd, n->twin);
		char note[64];

		count++;
		sum += n->value;
		snprintf(note, sizeof note, "node %" PRIu64 " of the graph",
			n->value);
		if (stoa_tx_error(rd))
			return;
		if (strcmp(stoa_str_get(rd, &n->note), note))
			broken("W6: note '%s'", stoa_str_get(rd, &n->note));
		if (twin && twin->value != n->value + 1)
			broken("W6: twin %" PRIu64 " of %" PRIu64, twin->value,
				n->value);
	}
	if (!stoa_tx_error(rd) &&
		(count != w->graph_count || sum != w->graph_sum))
		broken("W6: graph has %" PRIu64 " and %" PRIu64
		       ", says %" PRIu64 " and %" PRIu64,
			count, sum, w->graph_count, w->graph_sum);
}

static inline void
check_ring(const stoa_tx *rd, const world *w)
{
	const uint64_t n = w->ring_tail - w->ring_head;
	uint64_t sum = 0;

	if (stoa_tx_error(rd))
		return;
	for (uint64_t i = w->ring_head; n <= RING && i < w->ring_tail; i++)
		sum += w->ring[i % RING];
	if (n > RING || sum != w->ring_in - w->ring_out)
		broken("W7: %" PRIu64 " items of %" PRIu64
		       ", should be %" PRIu64,
			n, sum, w->ring_in - w->ring_out);
}

static inline void
check_thing(const stoa_tx *rd, const thing *t)
{
	uint64_t sum = 0;
	size_t n = 0;
	const uint64_t *v = numbers_data(rd, &t->list, &n);
	char note[64];

	for (size_t i = 0; i < n; i++)
		sum += v[i];
	snprintf(note, sizeof note, "this is the thing of number %" PRIu64,
		t->id);
	if (!stoa_tx_error(rd) &&
		(sum != t->id * n || strcmp(stoa_str_get(rd, &t->note), note)))
		broken("W9: thing %" PRIu64 " '%s' sums up to %" PRIu64, t->id,
			stoa_str_get(rd, &t->note), sum);
}

static inline void
check_things(const stoa_tx *rd, const stoa_object *it)
{
	const thing *t = it->data;

	for (uint64_t i = 0; i < it->count; i++)
		check_thing(rd, &t[i]);
}

static inline void
check_accounts(const stoa_tx *rd, const world *w)
{
	int64_t sum = 0, moves = 0;

	for (int i = 0; i < ACCOUNTS; i++) {
		if (i && stoa_tx_lock(rd, &w->account[i].lock))
			return;
		sum += w->account[i].balance;
		moves += w->account[i].moves;
	}
	if (!stoa_tx_error(rd) && w->filled &&
		(sum != ACCOUNTS * START_BALANCE || moves & 1))
		broken("W1: %" PRId64 " in all accounts, %" PRId64 " moves",
			sum, moves);
}

static inline void
check_boxes(const stoa_tx *rd, const world *w)
{
	for (boxes_iter it = boxes_begin(rd, &w->box); boxes_next(&it);) {
		if (stoa_tx_lock(rd, &it.val->lock))
			return;
		if (it.val->balance != it.val->moves)
			broken("W8: box %" PRIu64 " has %" PRId64
			       " after %" PRId64 " moves",
				it.key, it.val->balance, it.val->moves);
	}
}

static inline void
check_holder(const stoa_tx *rd, const holder *h)
{
	const uint8_t *p = stoa_get(rd, h->block);

	if (stoa_tx_error(rd))
		return;
	if (!p != !h->size)
		broken("W10: %" PRIu64 " bytes, and a block or none", h->size);
	else if (p && stoa_usable(rd, p) < h->size)
		broken("W10: %" PRIu64 " bytes in a block of %" PRIu64, h->size,
			stoa_usable(rd, p));
	else if (p && !pattern_whole(p, h->size, h->stamp))
		broken("W10: a block of %" PRIu64 " bytes is not as it was",
			h->size);
}

static inline void
check_shelf(const stoa_tx *rd, const shelf *s)
{
	uint64_t bytes = 0;

	for (int i = 0; i < PLACES && !stoa_tx_error(rd); i++) {
		check_holder(rd, &s->at[i]);
		bytes += s->at[i].size;
	}
	if (!stoa_tx_error(rd) && bytes != s->bytes)
		broken("W10: %" PRIu64 " bytes on a shelf, says %" PRIu64,
			bytes, s->bytes);
}

#endif
