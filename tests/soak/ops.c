/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The random operations of a worker. Each is a transaction or two over one part of
 * the world, or a call of the segment's own, and ends with 0 or with an error that
 * it may meet.
 */
#include "soak.h"
#include <stdlib.h>

/* ---- accounts ---- */

static void
move(stoa_tx *tx, const account *a, const account *b, int64_t n)
{
	STOA_SET(tx, a->balance, a->balance - n);
	STOA_ADD(tx, a->moves, 1);
	STOA_SET(tx, b->balance, b->balance + n);
	STOA_ADD(tx, b->moves, 1);
}

static void
two_accounts(struct actor *me, const account **a, const account **b)
{
	const uint32_t i = below(me, ACCOUNTS);

	*a = &me->w->account[i];
	*b = &me->w->account[(i + 1 + below(me, ACCOUNTS - 1)) % ACCOUNTS];
}

static int
op_transfer(struct actor *me)
{
	const account *a, *b;

	two_accounts(me, &a, &b);
	STOA_TX(tx, me->seg, &a->lock, &b->lock);
	move(tx, a, b, below(me, 100));
	return end_tx(me, tx);
}

/* The second lock later, in any order: two of these can meet in a circle. */
static int
op_transfer_unordered(struct actor *me)
{
	const account *a, *b;

	two_accounts(me, &a, &b);
	STOA_TX(tx, me->seg, &a->lock);
	STOA_ADD(tx, a->moves, 2);
	if (stoa_tx_lock(tx, &b->lock))
		return stoa_tx_error(tx);
	move(tx, a, b, below(me, 100));
	return end_tx(me, tx);
}

static void
inner(stoa_tx *outer, struct actor *me, const account *a, const account *b)
{
	const int64_t before_a = a->balance, before_b = b->balance;

	{
		STOA_TX(tx, me->seg, &a->lock);
		move(tx, a, b, 1 + below(me, 100));
		if (below(me, 2)) {
			STOA_TX(deeper, me->seg, &b->lock);
			move(deeper, b, a, 1 + below(me, 50));
			if (below(me, 2) && stoa_tx_commit(deeper))
				return;
		}
		stoa_tx_fail(tx, -ECANCELED);
	}
	if (!stoa_tx_error(outer) &&
		(a->balance != before_a || b->balance != before_b))
		broken("a savepoint that failed left %" PRId64 " and %" PRId64,
			a->balance - before_a, b->balance - before_b);
}

static int
op_savepoints(struct actor *me)
{
	const account *a, *b;

	two_accounts(me, &a, &b);
	STOA_TX(tx, me->seg, &a->lock, &b->lock);
	move(tx, a, b, below(me, 100));
	inner(tx, me, a, b);
	{
		STOA_TX(more, me->seg, &a->lock);
		move(more, b, a, below(me, 100));
		if (stoa_tx_commit(more))
			return stoa_tx_error(tx);
	}
	return end_tx(me, tx);
}

static int
op_try(struct actor *me)
{
	const account *a, *b;
	const uint64_t deadline = below(me, 2) ? STOA_NOW : stoa_in_ms(1);

	two_accounts(me, &a, &b);
	STOA_TX_UNTIL(tx, deadline, me->seg, &a->lock, &b->lock);
	move(tx, a, b, below(me, 100));
	return end_tx(me, tx);
}

static int
op_sum(struct actor *me)
{
	STOA_READ(rd, me->seg, &me->w->account[0].lock);
	check_accounts(rd, me->w);
	return stoa_tx_error(rd);
}

/* ---- hash maps ---- */

static void
map_put(struct actor *me, stoa_tx *tx, uint64_t key, uint64_t val)
{
	const world *w = me->w;
	const uint64_t *old = table_get(tx, &w->map, key);

	if (!old)
		STOA_ADD(tx, w->map_count, 1);
	else
		STOA_SET(tx, w->map_sum, w->map_sum - *old);
	STOA_ADD(tx, w->map_sum, val);
	if (below(me, 2))
		table_put(tx, &w->map, key, val);
	else
		*table_ensure(tx, &w->map, key) = val;
}

static void
map_remove(struct actor *me, stoa_tx *tx, uint64_t key)
{
	const world *w = me->w;
	const uint64_t *old = table_get(tx, &w->map, key);
	const uint64_t val = old ? *old : 0;

	if (table_remove(tx, &w->map, key) != (old != NULL) &&
		!stoa_tx_error(tx))
		broken("W2: key %" PRIu64 " is there and is not", key);
	if (!old)
		return;
	STOA_ADD(tx, w->map_count, -1);
	STOA_SET(tx, w->map_sum, w->map_sum - val);
}

static void
map_sweep(struct actor *me, stoa_tx *tx)
{
	const world *w = me->w;
	const uint64_t rest = below(me, 5);

	for (table_iter it = table_begin(tx, &w->map); table_next(&it);) {
		if (it.key % 5 != rest)
			continue;
		STOA_ADD(tx, w->map_count, -1);
		STOA_SET(tx, w->map_sum, w->map_sum - *it.val);
		table_remove_at(tx, &it);
	}
}

static int
op_map(struct actor *me)
{
	const world *w = me->w;

	STOA_TX(tx, me->seg, &w->map_lock);
	for (uint32_t n = 1 + below(me, 6); n; n--) {
		const uint64_t key = below(me, KEYS);
		const uint32_t what = below(me, 100);

		if (what < 55) {
			map_put(me, tx, key, below(me, 1000));
		} else if (what < 95) {
			map_remove(me, tx, key);
		} else if (what < 98) {
			map_sweep(me, tx);
		} else if (what < 99) {
			table_clear(tx, &w->map);
			STOA_SET(tx, w->map_count, 0);
			STOA_SET(tx, w->map_sum, 0);
		} else {
			table_reserve(tx, &w->map, below(me, 2 * KEYS));
		}
	}
	if (below(me, 4) == 0)
		check_map(tx, w);
	return end_tx(me, tx);
}

static int
op_map_read(struct actor *me)
{
	STOA_READ(rd, me->seg, &me->w->map_lock);
	check_map(rd, me->w);
	return stoa_tx_error(rd);
}

/* Of any length, so that some lie inside the string and some in a block. */
static const char *
any_text(struct actor *me, char buf[160])
{
	const uint32_t n = below(me, 3) ? below(me, 40) : below(me, 159);

	for (uint32_t i = 0; i < n; i++)
		buf[i] = (char)('a' + (i + n) % 26);
	buf[n] = '\0';
	return buf;
}

static int
op_text(struct actor *me)
{
	const world *w = me->w;
	char key[192], val[160];

	STOA_TX(tx, me->seg, &w->text_lock);
	for (uint32_t n = 1 + below(me, 4); n; n--) {
		const uint32_t id = below(me, KEYS);
		const char *old;

		snprintf(key, sizeof key, id & 1 ? "%u" : "the long key of %u",
			id);
		old = texts_get(tx, &w->text, key);
		if (old)
			STOA_SET(
				tx, w->text_bytes, w->text_bytes - strlen(old));
		if (below(me, 3)) {
			any_text(me, val);
			texts_put(tx, &w->text, key, val);
			STOA_ADD(tx, w->text_bytes, strlen(val));
		} else {
			texts_remove(tx, &w->text, key);
		}
	}
	if (below(me, 4) == 0)
		check_text(tx, w);
	return end_tx(me, tx);
}

static int
op_box(struct actor *me)
{
	const world *w = me->w;
	const uint64_t key = below(me, BOXES);

	if (below(me, 3) == 0) {
		STOA_TX(tx, me->seg, &w->box_lock);
		if (below(me, 2))
			boxes_remove(tx, &w->box, key);
		else
			boxes_ensure(tx, &w->box, key);
		return end_tx(me, tx);
	}
	STOA_TX(tx, me->seg, stoa_shared(&w->box_lock));
	const account *a = boxes_get(tx, &w->box, key);

	if (!a)
		return stoa_tx_error(tx);
	if (stoa_tx_lock(tx, &a->lock))
		return stoa_tx_error(tx);
	if (a->balance != a->moves)
		broken("W8: box %" PRIu64, key);
	STOA_ADD(tx, a->balance, 1);
	STOA_ADD(tx, a->moves, 1);
	return end_tx(me, tx);
}

static int
op_box_read(struct actor *me)
{
	STOA_READ(rd, me->seg, &me->w->box_lock);
	check_boxes(rd, me->w);
	return stoa_tx_error(rd);
}

/* ---- vector, string ---- */

static void
vec_change(struct actor *me, stoa_tx *tx)
{
	const world *w = me->w;
	const uint64_t val = below(me, 1000);
	const size_t n = numbers_count(tx, &w->vec);
	const size_t i = n ? below(me, (uint32_t)n) : 0;
	const uint64_t *at = numbers_get(tx, &w->vec, i);
	uint64_t *edit, old = at ? *at : 0;

	switch (n < VEC_MAX ? below(me, 6) : 2) {
	case 0:
		numbers_push(tx, &w->vec, val);
		STOA_ADD(tx, w->vec_sum, val);
		break;
	case 1:
		numbers_insert(tx, &w->vec, i, val);
		STOA_ADD(tx, w->vec_sum, val);
		break;
	case 2:
		if (numbers_remove(tx, &w->vec, i))
			STOA_SET(tx, w->vec_sum, w->vec_sum - old);
		break;
	case 3:
		if (numbers_pop(tx, &w->vec, &old))
			STOA_SET(tx, w->vec_sum, w->vec_sum - old);
		break;
	case 4:
		edit = numbers_edit(tx, &w->vec, i);
		if (!edit)
			break;
		STOA_SET(tx, w->vec_sum, w->vec_sum - *edit + val);
		*edit = val;
		break;
	default:
		numbers_resize(tx, &w->vec, n + below(me, 8));
	}
}

static int
op_vec(struct actor *me)
{
	STOA_TX(tx, me->seg, &me->w->vec_lock);
	for (uint32_t n = 1 + below(me, 8); n; n--)
		vec_change(me, tx);
	if (below(me, 4) == 0)
		check_vec(tx, me->w);
	return end_tx(me, tx);
}

static int
op_str(struct actor *me)
{
	const world *w = me->w;
	char text[160];

	STOA_TX(tx, me->seg, &w->str_lock);
	check_str(tx, w);
	any_text(me, text);
	if (below(me, 2)) {
		stoa_str_set(tx, &w->left, text);
		stoa_str_setn(tx, &w->right, text, strlen(text));
	} else if (stoa_str_size(tx, &w->left) < 400) {
		stoa_str_append(tx, &w->left, text);
		stoa_str_printf(tx, &w->right, "%s", text);
	}
	check_str(tx, w);
	return end_tx(me, tx);
}

/* ---- a graph of nodes that own each other ---- */

static node *
graph_new(stoa_tx *tx, uint64_t value)
{
	node *n = stoa_new(tx, node);

	n->value = value;
	stoa_str_printf(tx, &n->note, "node %" PRIu64 " of the graph", value);
	return n;
}

static void
graph_push(struct actor *me, stoa_tx *tx)
{
	const world *w = me->w;
	node *fresh = graph_new(tx, below(me, 100000));

	fresh->next = w->graph;
	if (below(me, 2)) {
		node *twin = graph_new(tx, fresh->value + 1);

		STOA_LINK(tx, fresh->twin, twin);
	}
	STOA_LINK(tx, w->graph, fresh);
	STOA_ADD(tx, w->graph_count, 1);
	STOA_ADD(tx, w->graph_sum, fresh->value);
}

/* The first goes alone: what it owns is taken from it before. */
static void
graph_pop(struct actor *me, stoa_tx *tx)
{
	const world *w = me->w;
	const node *n = stoa_get(tx, w->graph);

	if (!n)
		return;
	STOA_SET(tx, w->graph, n->next);
	STOA_LINK(tx, n->next, NULL);
	STOA_ADD(tx, w->graph_count, -1);
	STOA_SET(tx, w->graph_sum, w->graph_sum - n->value);
	stoa_delete(tx, node, n);
}

/* All from some place on: one delete for what they own in a chain. */
static void
graph_cut(struct actor *me, stoa_tx *tx)
{
	const world *w = me->w;
	const node_ref *link = &w->graph;
	const node *first, *n;
	uint64_t keep = below(me, GRAPH_MAX), count = 0, sum = 0;

	while (keep-- && (n = stoa_get(tx, *link)))
		link = &n->next;
	first = stoa_get(tx, *link);
	if (!first)
		return;
	for (n = first; n && count < GRAPH_MAX * 2; n = stoa_get(tx, n->next)) {
		count++;
		sum += n->value;
	}
	STOA_LINK(tx, *link, NULL);
	STOA_SET(tx, w->graph_count, w->graph_count - count);
	STOA_SET(tx, w->graph_sum, w->graph_sum - sum);
	stoa_delete(tx, node, first);
}

static int
op_graph(struct actor *me)
{
	const world *w = me->w;

	STOA_TX(tx, me->seg, &w->graph_lock);
	for (uint32_t n = 1 + below(me, 5); n; n--) {
		const uint32_t what = below(me, 100);

		if (what < 60 && w->graph_count < GRAPH_MAX)
			graph_push(me, tx);
		else if (what < 97)
			graph_pop(me, tx);
		else
			graph_cut(me, tx);
	}
	if (below(me, 4) == 0)
		check_graph(tx, w);
	return end_tx(me, tx);
}

/* ---- a bounded queue with two conditions ---- */

static int
op_produce(struct actor *me)
{
	const world *w = me->w;
	const uint64_t deadline = stoa_in_ms(20);
	const uint64_t val = below(me, 1000);

	STOA_TX(tx, me->seg, &w->ring_lock);
	while (!stoa_tx_error(tx) && w->ring_tail - w->ring_head == RING) {
		int rc = stoa_tx_wait(tx, &w->not_full, deadline);

		if (rc)
			return rc;
	}
	check_ring(tx, w);
	STOA_SET(tx, w->ring[w->ring_tail % RING], val);
	STOA_ADD(tx, w->ring_tail, 1);
	STOA_ADD(tx, w->ring_in, val);
	if (below(me, 4))
		stoa_tx_signal(tx, &w->not_empty);
	else
		stoa_tx_broadcast(tx, &w->not_empty);
	return end_tx(me, tx);
}

static int
op_consume(struct actor *me)
{
	const world *w = me->w;
	const uint64_t deadline = stoa_in_ms(20);

	STOA_TX(tx, me->seg, &w->ring_lock);
	while (!stoa_tx_error(tx) && w->ring_tail == w->ring_head) {
		int rc = stoa_tx_wait(tx, &w->not_empty, deadline);

		if (rc)
			return rc;
	}
	check_ring(tx, w);
	STOA_ADD(tx, w->ring_out, w->ring[w->ring_head % RING]);
	STOA_ADD(tx, w->ring_head, 1);
	stoa_tx_signal(tx, &w->not_full);
	return end_tx(me, tx);
}

/* ---- named objects ---- */

static int
fill_thing(stoa_tx *tx, void *element, uint64_t index, void *user)
{
	const uint64_t id = *(const uint64_t *)user;
	thing *fresh = element;

	fresh->id = id;
	stoa_str_printf(
		tx, &fresh->note, "this is the thing of number %" PRIu64, id);
	for (uint64_t n = (id + index) % 20; n; n--)
		numbers_push(tx, &fresh->list, id);
	return 0;
}

/* An array of one to three; destroyed by its name, or by its address. */
static int
op_thing(struct actor *me)
{
	uint64_t id = below(me, THINGS), count;
	char name[32];

	snprintf(name, sizeof name, "thing %" PRIu64, id);
	STOA_TX(tx, me->seg);
	const thing *t = stoa_object_find_array(tx, name, thing, &count);

	if (!t && !stoa_tx_error(tx))
		(void)stoa_object_create_with(tx, name, thing,
			STOA_OBJECT_OPTIONS(.count = id % 3 + 1,
				.init = fill_thing, .user = &id));
	if (!t)
		return end_tx(me, tx);
	if (t->id != id || count != id % 3 + 1)
		broken("W9: %s is %" PRIu64 ", %" PRIu64 " of it", name, t->id,
			count);
	for (uint64_t i = 0; i < count; i++)
		check_thing(tx, &t[i]);
	if (below(me, 2))
		stoa_delete(tx, thing, t);
	else if (!stoa_object_destroy(tx, name) && !stoa_tx_error(tx))
		broken("W9: %s is there and is not", name);
	return end_tx(me, tx);
}

static int
op_things_read(struct actor *me)
{
	STOA_READ(rd, me->seg);
	for (stoa_object it = stoa_object_begin(rd); stoa_object_next(&it);)
		if (!strncmp(it.name, "thing", 5))
			check_things(rd, &it);
	return stoa_tx_error(rd);
}

/* Created zeroed by whoever comes first, then found by all. */
static int
op_open_object(struct actor *me)
{
	const thing *t = NULL;
	char name[32];
	int rc;

	snprintf(name, sizeof name, "late %u", below(me, THINGS));
	rc = stoa_object_open(me->seg, name, thing, &t);
	if (!rc && t->id)
		broken("W9: %s is %" PRIu64, name, t->id);
	return rc;
}

/* ---- owners, memory, attaching ---- */

/*
 * A thread that lives keeps what bears its name; what bears a dead name is
 * free. Who loses his while he lives was declared dead.
 */
static int
op_own(struct actor *me)
{
	const world *w = me->w;
	const int i = me->owns ? me->owns - 1 : (int)below(me, OWNERS);
	const stoa_owner nobody = {0, 0};
	int rc;

	STOA_TX(tx, me->seg);
	const stoa_owner self = stoa_owner_self(tx);

	if (stoa_tx_error(tx))
		return stoa_tx_error(tx);
	if (me->owns) {
		if (memcmp(&w->owner[i], &self, sizeof self) ||
			!stoa_owner_alive(tx, w->owner[i]))
			broken("the name of a living thread is gone");
		if (below(me, 4))
			return stoa_tx_commit(tx);
		STOA_SET(tx, w->owner[i], nobody);
	} else if (stoa_owner_alive(tx, w->owner[i])) {
		return stoa_tx_commit(tx);
	} else {
		STOA_SET(tx, w->owner[i], self);
	}
	STOA_ADD(tx, w->ticks, 1);
	rc = stoa_tx_commit(tx);
	if (!rc)
		me->owns = me->owns ? 0 : i + 1;
	return rc;
}

static int
op_big(struct actor *me)
{
	STOA_TX(tx, me->seg);
	numbers_resize(tx, &me->w->big, 1000 * below(me, 40));
	if (below(me, 2))
		numbers_clear(tx, &me->w->big);
	return end_tx(me, tx);
}

static int
op_trim(struct actor *me)
{
	const int64_t n = stoa_segment_trim(me->seg);

	return n < 0 ? (int)n : 0;
}

static int
op_detach(struct actor *me)
{
	me->owns = 0;
	stoa_segment_detach(me->seg);
	return below(me, 2) ? stoa_segment_attach(me->seg) : 0;
}

static int
op_recover(struct actor *me)
{
	const int n = stoa_segment_recover(me->seg);

	return n < 0 ? n : 0;
}

static int
op_check(struct actor *me)
{
	return stoa_segment_check(me->seg);
}

/* ---- which, how often ---- */

static const struct op world_ops[WORLD_OPS] = {
	{"transfer", op_transfer, 200, false, false, WORLD},
	{"transfer unordered", op_transfer_unordered, 100, false, false, WORLD},
	{"savepoints", op_savepoints, 100, false, false, WORLD},
	{"try", op_try, 60, false, false, WORLD},
	{"sum", op_sum, 60, false, false, WORLD},
	{"map", op_map, 150, false, false, WORLD},
	{"map read", op_map_read, 40, false, false, WORLD},
	{"text", op_text, 120, false, false, WORLD},
	{"box", op_box, 120, false, false, WORLD},
	{"box read", op_box_read, 20, false, false, WORLD},
	{"vec", op_vec, 100, false, false, WORLD},
	{"str", op_str, 100, false, false, WORLD},
	{"graph", op_graph, 150, false, false, WORLD},
	{"produce", op_produce, 120, false, false, WORLD},
	{"consume", op_consume, 120, false, false, WORLD},
	{"thing", op_thing, 100, false, false, WORLD},
	{"things read", op_things_read, 20, false, false, WORLD},
	{"open object", op_open_object, 30, false, false, WORLD},
	{"own", op_own, 100, false, false, WORLD},
	{"big", op_big, 10, true, false, WORLD},
	{"trim", op_trim, 2, true, false, WORLD | BLOCKS},
	{"detach", op_detach, 20, false, true, WORLD | BLOCKS},
	{"recover", op_recover, 10, false, false, WORLD | BLOCKS},
	{"check", op_check, 1, false, false, WORLD | BLOCKS},
};

const struct op *
op_at(uint32_t i)
{
	return i < WORLD_OPS ? &world_ops[i] : &block_ops[i - WORLD_OPS];
}

static uint32_t
weight_of(uint32_t i)
{
	const struct op *it = op_at(i);

	return it->about & season.variant->about ? it->weight : 0;
}

uint32_t
choose_op(struct actor *me)
{
	uint32_t sum = 0, at, i;

	for (i = 0; i < OPS; i++)
		sum += weight_of(i);
	at = below(me, sum);
	for (i = 0; at >= weight_of(i); i++)
		at -= weight_of(i);
	return i;
}

bool
is_expected(int rc)
{
	return !rc || rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EAGAIN ||
	       rc == -EDEADLK;
}
