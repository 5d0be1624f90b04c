/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Best fit: the smallest free chunk that will do, in logarithmic time.
 *
 *	used   | head |        block        |       a block begins behind its head
 *	free   | head | left | right | ... | size | the last word: for who is behind it
 *	piece  | before | ... | chunk | chunk | ... | 0 USED |
 *
 *	head   bytes of the chunk | USED | BEFORE: the chunk in front of it is free
 *
 * Free chunks stand in a treap, ordered by size and then by address. A chunk stands
 * above another when its priority is higher: a mix of its place and the segment's
 * seed, so it is stored nowhere and no order of calls makes the tree deep.
 *
 * A block is cut from the end of a free chunk. What is left of it stays where it is
 * in the tree as long as it is larger than the one before it, which the search has
 * met; a free chunk that grows stays as well while it is smaller than the next one.
 * So blocks that come and go beside a large rest change no tree.
 *
 * The bytes of a free chunk that somebody is given and that say something (left,
 * right, size) are saved before, since he will not (stoa/heap.h).
 *
 * Every block begins at a multiple of `unit`, and chunks are multiples of it.
 *
 * Invariants
 *	I1  the tree is in order, and priorities fall on every way down
 *	I2  chunks lead from a piece's begin to its end; two free ones never touch
 *	I3  BEFORE is said behind free ones alone, and their last word is their size
 *	I4  what is free by its head is in the tree, and nothing else
 *	I5  a used chunk is somebody's block
 */
#include "alloc/words.h"
#include "heap/heap.h"

enum {
	USED = 1,
	BEFORE = 2,
	HEAD_FLAGS = 15,
	BEST_HEAD = 8,
	LEAST = 32, /* bytes of a chunk */
	BEST_DEPTH_MAX = 256
};

struct best_fit {
	uint64_t root, pieces, unit;
};

struct chunk {
	uint64_t head, left, right;
};

static const stoa_field best_fit_fields[] = {
	{"root", 0, 8, STOA_KIND_U64, NULL},
	{"pieces", 8, 8, STOA_KIND_U64, NULL},
	{"unit", 16, 8, STOA_KIND_U64, NULL}};
static const stoa_type best_fit_type = {"stoa_heap_best_fit",
	sizeof(struct best_fit), 8, STOA_KIND_STRUCT, 0, best_fit_fields, 3,
	NULL, NULL};

/* ---- chunks ---- */

static const struct chunk *
best_at(const stoa_tx *rd, uint64_t off)
{
	return stoai_alloc_at(rd, off, sizeof(struct chunk));
}

static const uint64_t *
chunk_word(const stoa_tx *rd, uint64_t off)
{
	return stoai_alloc_at(rd, off, sizeof(uint64_t));
}

static uint64_t
size_of(uint64_t head)
{
	return head & ~(uint64_t)HEAD_FLAGS;
}

static void
chunk_damaged(const stoa_tx *rd, uint64_t off)
{
	(void)stoai_tx_damaged(rd,
		"best fit: the chunk at %#llx makes no sense",
		(unsigned long long)off);
}

/* The chunk that begins there has, or has not, a free one in front of it. */
static bool
mark_before(stoa_tx *tx, uint64_t off, bool is_free)
{
	const uint64_t *head = chunk_word(tx, off);

	return head &&
	       stoai_alloc_put(tx, head,
		       is_free ? *head | BEFORE : *head & ~(uint64_t)BEFORE);
}

/* Head and last word of a free chunk. */
static bool
mark_free(stoa_tx *tx, uint64_t off, uint64_t size)
{
	const uint64_t *head = chunk_word(tx, off);
	const uint64_t *last = chunk_word(tx, off + size - BEST_HEAD);

	return head && last && stoai_alloc_put(tx, head, size) &&
	       stoai_alloc_put(tx, last, size);
}

/* ---- the tree ---- */

struct key {
	uint64_t size, off;
};

static bool
key_less(struct key a, struct key b)
{
	return a.size < b.size || (a.size == b.size && a.off < b.off);
}

static uint64_t
best_priority(const stoa_tx *rd, uint64_t off)
{
	uint64_t x = off ^ rd->seg->seed;

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

struct found {
	const uint64_t *link;  /* the word that leads to it */
	const struct chunk *c; /* NULL: there is none, or tx has failed */
	struct key key;
	struct key less,
		greater; /* beside it in order, as far as met; off 0: none */
};

/* The chunk that link leads to; NULL: none, or damaged. left: steps to go. */
static const struct chunk *
step(const stoa_tx *rd, const uint64_t *link, unsigned *left, struct key *key)
{
	const struct chunk *c = *link ? best_at(rd, *link) : NULL;

	if (!c)
		return NULL;
	key->off = *link;
	key->size = size_of(c->head);
	if ((*left)--)
		return c;
	chunk_damaged(rd, *link);
	return NULL;
}

/* The least key that is not less than `want`. */
static void
seek(const stoa_tx *rd, const struct best_fit *s, struct key want,
	struct found *ret)
{
	const uint64_t *link = &s->root;
	const struct chunk *c;
	unsigned left = BEST_DEPTH_MAX;
	struct key key;

	memset(ret, 0, sizeof *ret);
	while ((c = step(rd, link, &left, &key))) {
		if (key_less(key, want)) {
			ret->less = key;
			link = &c->right;
			continue;
		}
		if (ret->c)
			ret->greater = ret->key;
		ret->link = link;
		ret->c = c;
		ret->key = key;
		link = &c->left;
	}
	if (stoa_tx_error(rd))
		ret->c = NULL;
}

/* What is right behind it in order; off 0: nothing. */
static struct key
behind(const stoa_tx *rd, const struct found *at)
{
	const uint64_t *link = &at->c->right;
	struct key next = at->greater, key;
	const struct chunk *c;
	unsigned left = BEST_DEPTH_MAX;

	while ((c = step(rd, link, &left, &key))) {
		next = key;
		link = &c->left;
	}
	return next;
}

/* Two trees, one in front of the other, become the one that link leads to. */
static bool
unlink_chunk(stoa_tx *tx, const struct found *at)
{
	const uint64_t *link = at->link;
	uint64_t a = at->c->left, b = at->c->right;

	while (a && b) {
		bool first = best_priority(tx, a) > best_priority(tx, b);
		const struct chunk *c = best_at(tx, first ? a : b);

		if (!c || !stoai_alloc_put(tx, link, first ? a : b))
			return false;
		link = first ? &c->right : &c->left;
		if (first)
			a = *link;
		else
			b = *link;
	}
	return stoai_alloc_put(tx, link, a ? a : b);
}

/* Its words are set; what is less goes to its left, the rest to its right. */
static bool
split_below(stoa_tx *tx, const uint64_t *link, const struct chunk *fresh,
	struct key key)
{
	const uint64_t *side[2] = {&fresh->left, &fresh->right};
	uint64_t tree = *link;
	unsigned left = BEST_DEPTH_MAX;
	const struct chunk *c;
	struct key other;

	if (!stoai_alloc_put(tx, link, key.off))
		return false;
	while (tree && (c = step(tx, &tree, &left, &other))) {
		bool less = key_less(other, key);

		if (!stoai_alloc_put(tx, side[!less], tree))
			return false;
		side[!less] = less ? &c->right : &c->left;
		tree = *side[!less];
	}
	return !tx->error && stoai_alloc_put(tx, side[0], 0) &&
	       stoai_alloc_put(tx, side[1], 0);
}

static bool
insert(stoa_tx *tx, const struct best_fit *s, struct key key)
{
	const struct chunk *fresh = best_at(tx, key.off), *c;
	const uint64_t *link = &s->root;
	uint64_t mine = best_priority(tx, key.off);
	unsigned left = BEST_DEPTH_MAX;
	struct key other;

	while ((c = step(tx, link, &left, &other)) &&
		best_priority(tx, other.off) > mine)
		link = key_less(other, key) ? &c->right : &c->left;
	return fresh && !tx->error && split_below(tx, link, fresh, key);
}

/* A free chunk, whole. */
static bool
put_free(stoa_tx *tx, const struct best_fit *s, uint64_t off, uint64_t size)
{
	struct key key = {size, off};

	return mark_free(tx, off, size) && insert(tx, s, key) &&
	       mark_before(tx, off + size, true);
}

/* A free chunk of the tree gets another size, larger or smaller. */
static bool
chunk_resize(stoa_tx *tx, const struct best_fit *s, const struct found *at,
	uint64_t size)
{
	struct key key = {size, at->key.off}, next;
	bool stays;

	if (size < at->key.size) {
		stays = !at->less.off || key_less(at->less, key);
	} else {
		next = behind(tx, at);
		stays = !next.off || key_less(key, next);
	}
	if (tx->error || !mark_free(tx, key.off, size))
		return false;
	return stays || (unlink_chunk(tx, at) && insert(tx, s, key));
}

/* ---- the class ---- */

static void
extend(stoa_tx *tx, const struct best_fit *s, uint64_t from, uint64_t size,
	uint64_t unit)
{
	uint64_t first = stoai_align_up(from + UINT64_C(2) * BEST_HEAD, unit) -
			 BEST_HEAD;
	uint64_t end = from + size - BEST_HEAD, bytes;
	const uint64_t *before = chunk_word(tx, from), *last;

	if (first + stoai_max(LEAST, unit) > end || !before)
		return; /* too little to be of use */
	bytes = (end - first) & ~(unit - 1);
	last = chunk_word(tx, first + bytes);
	if (last && stoai_alloc_put(tx, before, s->pieces) &&
		stoai_alloc_put(tx, &s->pieces, from) &&
		stoai_alloc_put(tx, &s->unit, unit) &&
		stoai_alloc_put(tx, last, USED))
		(void)put_free(tx, s, first, bytes);
}

/*
 * Of the chunk that was found, [off, +size) is to be used; what is in front of it
 * stays free, what is behind it is given or is a chunk of its own.
 */
static bool
best_cut(stoa_tx *tx, const struct best_fit *s, const struct found *at,
	uint64_t off, uint64_t size)
{
	uint64_t front = off - at->key.off, end = at->key.off + at->key.size;
	uint64_t tail = end - off - size;
	const uint64_t *last = chunk_word(tx, end - BEST_HEAD);
	const uint64_t *head = chunk_word(tx, off);

	if (!last || !head || !stoai_tx_save(tx, last, BEST_HEAD) ||
		!stoai_tx_save(tx, &at->c->left, UINT64_C(2) * BEST_HEAD))
		return false;
	if (!(front ? chunk_resize(tx, s, at, front) : unlink_chunk(tx, at)))
		return false;
	if (tail >= stoai_max(LEAST, s->unit)) {
		if (!put_free(tx, s, off + size, tail))
			return false;
	} else {
		size += tail;
		if (!mark_before(tx, end, false))
			return false;
	}
	return stoai_alloc_put(tx, head, size | USED | (front ? BEFORE : 0));
}

static stoa_ref
best_fit_alloc(stoa_tx *tx, const void *state, uint64_t size, uint64_t align)
{
	const struct best_fit *s = state;
	uint64_t unit = s->unit, least = stoai_max(LEAST, unit), off;
	struct key want = {0, 0};
	stoa_ref ref = {0};
	struct found at;

	if (!stoai_is_pow2(unit)) /* 0: no memory yet */
		return ref;
	size = stoai_max(stoai_align_up(size + BEST_HEAD, unit), least);
	/* so much more always has a place in it that is aligned */
	want.size = align <= unit ? size : size + align + least;
	seek(tx, s, want, &at);
	if (!at.c)
		return ref;
	off = ((at.key.off + at.key.size - size + BEST_HEAD) &
		      ~(stoai_max(align, unit) - 1)) -
	      BEST_HEAD;
	if (off - at.key.off < least && off != at.key.off) {
		size += off - at.key.off;
		off = at.key.off;
	}
	if (best_cut(tx, s, &at, off, size))
		ref.off = off + BEST_HEAD;
	return ref;
}

/* A free chunk by its place; false: it is not in the tree. */
static bool
find(stoa_tx *tx, const struct best_fit *s, uint64_t off, uint64_t size,
	struct found *ret)
{
	struct key key = {size, off};

	seek(tx, s, key, ret);
	if (ret->c && ret->key.off == off && ret->key.size == size)
		return true;
	chunk_damaged(tx, off);
	return false;
}

static void
best_fit_free(stoa_tx *tx, const void *state, stoa_ref block)
{
	const struct best_fit *s = state;
	uint64_t off = block.off - BEST_HEAD, size, front;
	const uint64_t *head = chunk_word(tx, off), *next, *last;
	struct found at;

	if (!head)
		return;
	size = size_of(*head);
	next = chunk_word(tx, off + size);
	if (!next)
		return;
	if (!(*next & USED)) {
		if (!find(tx, s, off + size, size_of(*next), &at) ||
			!unlink_chunk(tx, &at))
			return;
		size += size_of(*next);
	}
	if (!(*head & BEFORE)) {
		(void)put_free(tx, s, off, size);
		return;
	}
	last = chunk_word(tx, off - BEST_HEAD);
	front = last ? *last : 0;
	if (last && find(tx, s, off - front, front, &at) &&
		chunk_resize(tx, s, &at, front + size))
		(void)mark_before(tx, off + size, true);
}

static uint64_t
best_fit_usable(const stoa_tx *rd, const void *state, stoa_ref block)
{
	const uint64_t *head = chunk_word(rd, block.off - BEST_HEAD);

	(void)state;
	return head ? size_of(*head) - BEST_HEAD : 0;
}

/* Its one chunk is free. A piece that was too little is in no list. */
static bool
best_fit_reduce(stoa_tx *tx, const void *state, stoa_ref from, uint64_t size)
{
	const struct best_fit *s = state;
	uint64_t off =
		stoai_align_up(from.off + UINT64_C(2) * BEST_HEAD, s->unit) -
		BEST_HEAD;
	const uint64_t *link = &s->pieces, *head, *piece = NULL;
	uint64_t left = size_of(tx->seg->size) / LEAST;
	struct found at;

	while (*link && *link != from.off && left--) {
		link = chunk_word(tx, *link);
		if (!link)
			return false;
	}
	head = chunk_word(tx, off);
	if (*link != from.off)
		return off - from.off + stoai_max(LEAST, s->unit) + BEST_HEAD >
		       size;
	piece = chunk_word(tx, from.off);
	return head && piece && !(*head & USED) &&
	       find(tx, s, off, size_of(*head), &at) && unlink_chunk(tx, &at) &&
	       stoai_alloc_put(tx, link, *piece);
}

/* ---- verification ---- */

struct chunk_sum {
	uint64_t chunks, bytes;
};

static int
wrong(const stoa_tx *rd, int invariant, uint64_t off, const char *what)
{
	return stoai_tx_damaged(rd, "best fit I%d: chunk %#llx: %s", invariant,
		(unsigned long long)off, what);
}

/* I1; a stack of the nodes whose left side is being walked. */
static int
tree_check(const stoa_tx *rd, const struct best_fit *s, struct chunk_sum *sum)
{
	uint64_t stack[BEST_DEPTH_MAX], at = s->root;
	struct key last = {0, 0};
	unsigned depth = 0;

	while (at || depth) {
		const struct chunk *c;
		struct key key;

		if (at) {
			c = best_at(rd, at);
			if (!c || depth == BEST_DEPTH_MAX)
				return wrong(rd, 1, at, "too deep");
			if (c->head & USED ||
				(depth && c->left &&
					best_priority(rd, c->left) >
						best_priority(rd, at)))
				return wrong(
					rd, 1, at, "used, or out of place");
			stack[depth++] = at;
			at = c->left;
			continue;
		}
		at = stack[--depth];
		c = best_at(rd, at);
		if (!c)
			return stoa_tx_error(rd);
		key = (struct key){size_of(c->head), at};
		if (!key_less(last, key) ||
			(c->right && best_priority(rd, c->right) >
					     best_priority(rd, at)))
			return wrong(rd, 1, at, "not in order");
		last = key;
		sum->chunks++;
		sum->bytes += key.size;
		at = c->right;
	}
	return 0;
}

/* I2, I3, I5 of the chunks of one piece. */
static int
piece_check(const stoa_tx *rd, const struct best_fit *s, uint64_t off,
	struct chunk_sum *sum)
{
	bool free_before = false;
	const uint64_t *head, *last;

	while ((head = chunk_word(rd, off)) && size_of(*head)) {
		uint64_t size = size_of(*head);

		if (size < LEAST || size & (s->unit - 1))
			return wrong(rd, 2, off, "its size");
		if (!(*head & BEFORE) == free_before)
			return wrong(rd, 3, off, "is there a free one before?");
		last = chunk_word(rd, off + size - BEST_HEAD);
		if (!last)
			break;
		if (*head & USED) {
			if (stoai_heap_usable(rd->seg, off + BEST_HEAD) !=
				size - BEST_HEAD)
				return wrong(rd, 5, off, "nobody's block");
		} else {
			if (free_before)
				return wrong(rd, 2, off, "two free ones");
			if (*last != size)
				return wrong(rd, 3, off, "its last word");
			sum->chunks++;
			sum->bytes += size;
		}
		free_before = !(*head & USED);
		off += size;
	}
	if (head && !(*head & BEFORE) == free_before)
		return wrong(rd, 3, off, "the piece's end");
	return stoa_tx_error(rd);
}

static int
best_fit_check(const stoa_tx *rd, const void *state)
{
	const struct best_fit *s = state;
	uint64_t piece = s->pieces, left = rd->seg->size / LEAST;
	struct chunk_sum tree = {0, 0}, pieces = {0, 0};
	int rc = tree_check(rd, s, &tree);

	while (piece && !rc) {
		const uint64_t *before = chunk_word(rd, piece);

		if (!before || !left-- || !stoai_is_pow2(s->unit))
			return wrong(rd, 2, piece, "the pieces go round");
		rc = piece_check(rd, s,
			stoai_align_up(
				piece + UINT64_C(2) * BEST_HEAD, s->unit) -
				BEST_HEAD,
			&pieces);
		piece = *before;
	}
	/* I4 */
	if (!rc && (tree.chunks != pieces.chunks || tree.bytes != pieces.bytes))
		rc = wrong(rd, 4, s->root, "what is free is not in the tree");
	return rc;
}

static void
extend_16(stoa_tx *tx, const void *state, stoa_ref from, uint64_t size)
{
	extend(tx, state, from.off, size, 16);
}

static void
extend_64(stoa_tx *tx, const void *state, stoa_ref from, uint64_t size)
{
	extend(tx, state, from.off, size, 64);
}

static void
extend_4096(stoa_tx *tx, const void *state, stoa_ref from, uint64_t size)
{
	extend(tx, state, from.off, size, 4096);
}

#define BEST_FIT(text, extends) \
 { \
  .name = (text), .state = &best_fit_type, .extend = (extends), \
  .alloc = best_fit_alloc, .free = best_fit_free, .usable = best_fit_usable, \
  .check = best_fit_check, .reduce = best_fit_reduce \
 }

const stoa_heap_class stoa_heap_best_fit = BEST_FIT("best-fit", extend_16);
const stoa_heap_class stoa_heap_best_fit_64 =
	BEST_FIT("best-fit-64", extend_64);
const stoa_heap_class stoa_heap_best_fit_4096 =
	BEST_FIT("best-fit-4096", extend_4096);
