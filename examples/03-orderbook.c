/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Containers in structs in containers: a directory of order books, each with two
 * hash maps and a vector. The directory is shared, a book is locked on its own,
 * and readers do not stop each other.
 *	03-orderbook list SYMBOL
 *	03-orderbook buy|sell SYMBOL PRICE QUANTITY
 *	03-orderbook show SYMBOL
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>

typedef struct level {
	uint64_t qty, orders;
} level;
STOA_TYPE(level, qty, orders);

typedef struct trade {
	uint64_t sequence, qty;
	int64_t price;
} trade;
STOA_TYPE(trade, sequence, qty, price);

#define STOA_NAME levels
#define STOA_KEY  int64_t
#define STOA_VAL  level
#include <stoa/template/hashmap.h>

#define STOA_NAME trades
#define STOA_VAL  trade
#include <stoa/template/vec.h>

typedef struct book {
	stoa_rwlock lock; /* protects this book */
	levels bids, asks;
	trades done;
	uint64_t sequence;
} book;
STOA_TYPE(book, lock, (bids, levels), (asks, levels), (done, trades), sequence);

#define STOA_NAME  books
#define STOA_KEY   stoa_str
#define STOA_VAL   book
#define STOA_BOXED /* a book holds a lock, so it must not move */
#include <stoa/template/hashmap.h>

typedef struct market {
	stoa_rwlock lock; /* protects the directory only */
	books by_symbol;
} market;
STOA_TYPE(market, lock, (by_symbol, books));

struct order {
	int side; /* +1 buys from the asks, -1 sells to the bids */
	int64_t price;
	uint64_t qty;
};

/*
 * The best price of a side: the lowest (sign +1) or highest (-1), only beyond
 * `beyond` if given. A hash map has no order, so this walks it; a book has few
 * levels.
 */
static const level *
best(const stoa_tx *rd, const levels *side, int sign, const int64_t *beyond,
	int64_t *ret_price)
{
	const level *found = NULL;

	for (levels_iter it = levels_begin(rd, side); levels_next(&it);) {
		if (beyond && sign * (it.key - *beyond) <= 0)
			continue;
		if (!found || sign * (it.key - *ret_price) < 0) {
			*ret_price = it.key;
			found = it.val;
		}
	}
	return found;
}

/* Takes what crosses; returns what is left. It is given a tx, so the book is locked. */
static uint64_t
match(stoa_tx *tx, const book *b, const struct order *o)
{
	const levels *side = o->side > 0 ? &b->asks : &b->bids;
	uint64_t rest = o->qty;
	const level *l;
	int64_t price;

	while (rest && (l = best(tx, side, o->side, NULL, &price)) &&
		o->side * (o->price - price) >= 0) {
		uint64_t take = l->qty < rest ? l->qty : rest;

		if (take == l->qty)
			levels_remove(tx, side, price);
		else
			STOA_SET(tx, l->qty, l->qty - take);
		STOA_ADD(tx, b->sequence, 1);
		trades_push(tx, &b->done,
			(trade){.sequence = b->sequence,
				.qty = take,
				.price = price});
		rest -= take;
	}
	return rest;
}

static int
place(stoa_segment *seg, const market *m, const char *symbol,
	const struct order *o)
{
	STOA_TX(tx, seg,
		stoa_shared(&m->lock)); /* the directory only to read */
	const book *b = books_get(tx, &m->by_symbol, symbol);

	if (!b)
		return stoa_tx_fail(tx, -ENOENT);
	if (stoa_tx_lock(tx, &b->lock))
		return stoa_tx_error(tx);

	uint64_t rest = match(tx, b, o);
	if (rest) {
		level *l = levels_ensure(
			tx, o->side > 0 ? &b->bids : &b->asks, o->price);
		l->qty += rest;
		l->orders++;
	}
	return stoa_tx_commit(tx);
}

static int
list(stoa_segment *seg, const market *m, const char *symbol)
{
	STOA_TX(tx, seg, &m->lock);
	books_ensure(tx, &m->by_symbol, symbol);
	return stoa_tx_commit(tx);
}

static void
print_side(const stoa_tx *rd, const char *name, const levels *side, int sign)
{
	const int64_t *beyond = NULL;
	const level *l;
	int64_t price, last;

	while ((l = best(rd, side, sign, beyond, &price))) {
		printf("  %s %5" PRId64 ": %" PRIu64 " in %" PRIu64 "\n", name,
			price, l->qty, l->orders);
		last = price;
		beyond = &last;
	}
}

static int
show(stoa_segment *seg, const market *m, const char *symbol)
{
	STOA_READ(rd, seg, &m->lock); /* readers do not stop each other */
	const book *b = books_get(rd, &m->by_symbol, symbol);

	if (!b)
		return stoa_tx_fail(rd, -ENOENT);
	if (stoa_tx_lock(rd, &b->lock)) /* shared, as this is a read scope */
		return stoa_tx_error(rd);
	printf("%s, %zu trades\n", symbol, trades_count(rd, &b->done));
	for (size_t i = 0; i < trades_count(rd, &b->done); i++) {
		const trade *t = trades_get(rd, &b->done, i);
		if (t)
			printf("  trade %" PRIu64 ": %" PRIu64 " at %" PRId64
			       "\n",
				t->sequence, t->qty, t->price);
	}
	print_side(rd, "ask", &b->asks, +1);
	print_side(rd, "bid", &b->bids, -1);
	return stoa_tx_error(rd);
}

static int
run(stoa_segment *seg, const market *m, int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "list"))
		return list(seg, m, argv[2]);
	if (argc == 3 && !strcmp(argv[1], "show"))
		return show(seg, m, argv[2]);
	if (argc == 5) {
		struct order o = {.side = strcmp(argv[1], "buy") ? -1 : 1,
			.price = atoll(argv[3]),
			.qty = strtoull(argv[4], NULL, 10)};

		/* Locks taken one after the other can meet a cycle: then again. */
		return STOA_RETRY(100, place(seg, m, argv[2], &o));
	}
	fputs("usage: 03-orderbook list SYMBOL | show SYMBOL | "
	      "buy|sell SYMBOL PRICE QUANTITY\n",
		stderr);
	return -EINVAL;
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const market *m = NULL;
	int rc = stoa_segment_open("market", STOA_CREATE, NULL, &seg);

	if (!rc)
		rc = stoa_object_open(seg, "market", market, &m);
	if (!rc)
		rc = run(seg, m, argc, argv);
	if (rc)
		fprintf(stderr, "market: %s\n", stoa_strerror(rc));
	return rc != 0;
}
