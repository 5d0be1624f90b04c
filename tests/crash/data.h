/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The data that the crash cases change: one object that holds one of everything.
 * Setup, invariants and the meaning of its state are the same for every case, so
 * a case is little more than the call that it explores.
 */
#ifndef TESTS_CRASH_DATA_H
#define TESTS_CRASH_DATA_H
#include <string.h>
#include "crash.h"
#include "stoa/stoa.h"

#pragma GCC diagnostic ignored "-Wunused-function"

typedef struct node node;
typedef STOA_REF(node) node_ref;
struct node {
	uint64_t value;
	node_ref next;
	uint64_t pad[2];
};
STOA_TYPE_DECLARE(node);
STOA_TYPE(node, value, (next, node, own), pad);

typedef struct wide {
	uint64_t word[75];
} wide;
STOA_TYPE(wide, word);

typedef struct blob {
	unsigned char byte[1000];
} blob;
STOA_TYPE_OPAQUE(blob);

typedef struct pair {
	uint64_t a, b;
} pair;
STOA_TYPE(pair, a, b);

typedef struct counter { /* holds a lock: must not move */
	stoa_mutex lock;
	uint64_t n;
} counter;
STOA_TYPE(counter, lock, n);

#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>
#define STOA_NAME names
#define STOA_VAL  stoa_str
#include <stoa/template/vec.h>
#define STOA_NAME boxes
#define STOA_VAL  counter
#define STOA_BOXED
#include <stoa/template/vec.h>
#define STOA_NAME counts
#define STOA_KEY  stoa_str
#define STOA_VAL  uint64_t
#include "data_map.h"
#define STOA_NAME ids
#define STOA_KEY  uint64_t
#define STOA_VAL  pair
#include "data_map.h"
#define STOA_NAME notes
#define STOA_KEY  uint64_t
#define STOA_VAL  stoa_str
#include "data_map.h"
#define STOA_NAME marks
#define STOA_KEY  uint64_t
#include "data_map.h"
#define STOA_NAME tallies
#define STOA_KEY  stoa_str
#define STOA_VAL  counter
#define STOA_BOXED
#include "data_map.h"

typedef struct data {
	stoa_rwlock lock;
	stoa_mutex side; /* of side_list; nothing else is under it */
	stoa_cond changed;
	uint64_t word[4];
	wide wide;
	node_ref list;
	node_ref tail; /* last of list */
	node_ref side_list;
	stoa_str text;
	stoa_owner who;
	numbers numbers;
	names names;
	boxes boxes;
	counts counts;
	ids ids;
	notes notes;
	marks marks;
	tallies tallies;
} data;
STOA_TYPE(data, lock, side, changed, word, (wide, wide), (list, node, own),
	(tail, node, ref), (side_list, node, own), text, who,
	(numbers, numbers), (names, names), (boxes, boxes), (counts, counts),
	(ids, ids), (notes, notes), (marks, marks), (tallies, tallies));

static const char long_text[] = "a text that is longer than the twenty-two "
				"characters which fit into a stoa_str itself";
enum {
	SIDE_NODES = 6,
	LIST_NODES = 3,
	KEPT = 140
};

/* What a case is explored with; explore.user points here. */
struct test {
	const data *d;
	void (*fill)(stoa_tx *tx, const data *d); /* more data; or NULL */
	void (*body)(
		stoa_tx *tx, const data *d); /* what op does in its scope */
};

/* ---- state ---- */

static inline uint64_t
mix(uint64_t sum, uint64_t x)
{
	sum = (sum ^ x) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

static inline uint64_t
mix_text(uint64_t sum, const char *text)
{
	for (; *text; text++)
		sum = mix(sum, (unsigned char)*text);
	return mix(sum, 256);
}

static inline uint64_t
mix_list(const stoa_tx *rd, uint64_t sum, node_ref first)
{
	unsigned limit = 1000;

	for (const node *n = stoa_get(rd, first); n && limit;
		n = stoa_get(rd, n->next), limit--)
		sum = mix(mix(sum, n->value), n->pad[0]);
	return mix(sum, limit);
}

static inline uint64_t
mix_vectors(const stoa_tx *rd, const data *d, uint64_t sum)
{
	for (size_t i = 0; i < numbers_count(rd, &d->numbers); i++)
		sum = mix(sum, *numbers_get(rd, &d->numbers, i));
	for (size_t i = 0; i < names_count(rd, &d->names); i++)
		sum = mix_text(
			sum, stoa_str_get(rd, names_get(rd, &d->names, i)));
	for (size_t i = 0; i < boxes_count(rd, &d->boxes); i++)
		sum = mix(sum, boxes_get(rd, &d->boxes, i)->n);
	return mix(sum, 7);
}

/* Maps have no order: entries are added up. */
static inline uint64_t
mix_maps(const stoa_tx *rd, const data *d, uint64_t sum)
{
	uint64_t all = 0;

	for (counts_iter it = counts_begin(rd, &d->counts); counts_next(&it);)
		all += mix_text(mix(1, *it.val), it.key);
	for (ids_iter it = ids_begin(rd, &d->ids); ids_next(&it);)
		all += mix(mix(mix(2, it.key), it.val->a), it.val->b);
	for (notes_iter it = notes_begin(rd, &d->notes); notes_next(&it);)
		all += mix_text(mix(3, it.key), it.val);
	for (marks_iter it = marks_begin(rd, &d->marks); marks_next(&it);)
		all += mix(4, it.key);
	for (tallies_iter it = tallies_begin(rd, &d->tallies);
		tallies_next(&it);)
		all += mix_text(mix(5, it.val->n), it.key);
	return mix(sum, all);
}

static inline uint64_t
mix_objects(const stoa_tx *rd, uint64_t sum)
{
	for (stoa_object it = stoa_object_begin(rd); stoa_object_next(&it);)
		sum = mix(mix_text(sum, it.name), it.count + it.kind);
	return sum;
}

static inline uint64_t
data_state(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;
	uint64_t sum = 1;

	STOA_READ(rd, seg);
	for (size_t i = 0; i < 4; i++)
		sum = mix(sum, d->word[i]);
	for (size_t i = 0; i < 75; i++)
		sum = mix(sum, d->wide.word[i]);
	sum = mix_list(rd, sum, d->list);
	sum = mix_list(rd, sum, d->side_list);
	sum = mix_text(sum, stoa_str_get(rd, &d->text));
	sum = mix(sum, d->who.slot_ != 0);
	sum = mix_vectors(rd, d, sum);
	sum = mix_maps(rd, d, sum);
	sum = mix_objects(rd, sum);
	return stoa_tx_error(rd) ? 0 : sum;
}

/* ---- check ---- */

static inline int
data_check(stoa_segment *seg, void *user)
{
	const data *d = ((struct test *)user)->d;
	const node *last = NULL;

	if (d->lock.word_ || d->side.word_ || d->lock.seq_ & 1)
		return -EBUSY; /* nobody lives who could hold it */
	STOA_READ(rd, seg);
	for (const node *n = stoa_get(rd, d->list); n;
		n = stoa_get(rd, n->next))
		last = n;
	if (last != stoa_get(rd, d->tail))
		return -EBADMSG;
	for (size_t i = 0; i < 75; i++) /* changed all at once */
		if (d->wide.word[i] - d->wide.word[0] != i)
			return -EBADMSG;
	return stoa_tx_error(rd);
}

/* ---- setup ---- */

/* At the end, so that tail has something to do. */
static inline void
list_add(stoa_tx *tx, const data *d, uint64_t value)
{
	node *n = stoa_new(tx, node);
	const node *tail = stoa_get(tx, d->tail);

	n->value = value;
	n->pad[0] = ~value;
	if (tail)
		STOA_LINK(tx, tail->next, n);
	else
		STOA_LINK(tx, d->list, n);
	STOA_LINK(tx, d->tail, n);
}

static inline void
side_push(stoa_tx *tx, const data *d, uint64_t value)
{
	node *n = stoa_new(tx, node);

	n->value = value;
	STOA_LINK(tx, n->next, stoa_get(tx, d->side_list));
	STOA_LINK(tx, d->side_list, n);
}

static inline int
data_setup(stoa_segment *seg, void *user)
{
	struct test *t = user;
	int rc = stoa_object_open(seg, "data", data, &t->d);

	if (rc)
		return rc;
	STOA_TX(tx, seg, stoa_segment_lock(seg), &t->d->side);
	wide w = {{0}};
	for (size_t i = 0; i < 75; i++)
		w.word[i] = i;
	STOA_SET(tx, t->d->wide, w);
	for (uint64_t i = 0; i < LIST_NODES; i++)
		list_add(tx, t->d, 10 + i);
	for (uint64_t i = 0; i < SIDE_NODES; i++)
		side_push(tx, t->d, 20 + i);
	if (t->fill)
		t->fill(tx, t->d);
	return stoa_tx_commit(tx);
}

/* ---- op ---- */

static inline int
data_op(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX(tx, seg);
	t->body(tx, t->d);
	return stoa_tx_commit(tx);
}

/* ---- what a survivor may do meanwhile ---- */

/* The same as op, where it must not wait. */
static inline int
data_try(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX_UNTIL(tx, STOA_NOW, seg);
	if (stoa_tx_error(tx))
		return stoa_tx_error(tx);
	t->body(tx, t->d);
	return stoa_tx_commit(tx);
}

/* Under another lock: a block of the dead's freed, a new one linked. */
static inline int
data_side(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX_UNTIL(tx, STOA_NOW, seg, &t->d->side);
	const node *n = stoa_get(tx, t->d->side_list);
	if (stoa_tx_error(tx) || !n)
		return stoa_tx_fail(tx, -EAGAIN);
	STOA_LINK(tx, t->d->side_list, stoa_get(tx, n->next));
	STOA_LINK(tx, n->next, NULL);
	stoa_delete(tx, node, n);
	side_push(tx, t->d, 40);
	return stoa_tx_commit(tx);
}

/*
 * Many blocks, linked and kept: what was free and will be freed again is now in
 * use.
 */
static inline int
data_keep(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX_UNTIL(tx, STOA_NOW, seg, &t->d->side);
	for (unsigned i = 0; i < KEPT && !stoa_tx_error(tx); i++)
		side_push(tx, t->d, 50);
	return stoa_tx_commit(tx);
}

/*
 * Every block that can be had, filled with garbage, and given back: a block that
 * two own shows itself.
 */
static inline int
data_exhaust(stoa_segment *seg, void *user)
{
	struct test *t = user;

	STOA_TX_UNTIL(tx, STOA_NOW, seg, &t->d->side);
	for (unsigned i = 0; i < 150 && !stoa_tx_error(tx); i++)
		memset(stoa_new(tx, node), 0xee, sizeof(node));
	for (unsigned i = 0; i < 400 && !stoa_tx_error(tx); i++)
		memset(stoa_new(tx, blob), 0xee, sizeof(blob));
	(void)stoa_tx_fail(tx, -ECANCELED);
	return 0;
}

static const stoa_explore_op data_others[] = {{"the same", data_try, false},
	{"free and link", data_side, false}, {"take and keep", data_keep, true},
	{"exhaust", data_exhaust, true}};
/* for cases whose op is not body */
static const stoa_explore_op data_side_others[] = {
	{"free and link", data_side, false}, {"take and keep", data_keep, true},
	{"exhaust", data_exhaust, true}};

#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define COVERS(text) .covers = text

/* One scope to explore: body is what happens in it, fill what was there before. */
#define SCOPE(title, fill_, body_) \
 .name = title, .setup = data_setup, .op = data_op, .check = data_check, \
 .state = data_state, .others = data_others, \
 .other_count = COUNT(data_others), .user = &(struct test) \
 { \
  .fill = fill_, .body = body_ \
 }

#define CASE(title, calls, fill_, body_) \
 { \
  .explore = {SCOPE(title, fill_, body_)}, COVERS(calls) \
 }

/* A case whose op is a function of its own. */
#define CASE_OP(title, calls, fill_, op_) \
 { \
  .explore = {.name = title, \
	  .setup = data_setup, \
	  .op = op_, \
	  .check = data_check, \
	  .state = data_state, \
	  .others = data_side_others, \
	  .other_count = COUNT(data_side_others), \
	  .user = &(struct test){.fill = fill_}}, \
  COVERS(calls) \
 }

#endif
