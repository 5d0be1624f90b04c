/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which object has this name?
 *
 *	header.root_off -> root
 *	                    buckets ------> [0] -> entry -> entry
 *	                    bucket_count    [1]
 *	                    count           [2] -> entry
 *	                    types --------> stored type -> stored type
 *
 * Everything is a block of the heap that was changed through a transaction, under
 * header.names (exclusively, to the transaction's end). So a death undoes or
 * finishes it like any other change, and nothing here needs to know.
 *
 * Invariants, under the lock:
 *  I1 bucket_count is 0 or a power of two; buckets is a block of so many words
 *  I2 each entry hangs in bucket hash & (bucket_count - 1), its hash is right,
 *     and no two entries have one name
 *  I3 count is the number of entries; no chain is longer
 *  I4 each entry's type is stored or built in, its data a block of its size
 *  I5 type_count is the number of stored types; their texts and ids are right
 *
 * Growth doubles the buckets when there are as many objects: the new
 * array is filled aside, each entry is relinked with undo, one store swaps them.
 *
 * Progress: readers share the lock; each walk is bounded by count.
 */
#include <string.h>
#include "base/base.h"
#include "base/hash.h"
#include "heap/heap.h"
#include "object/index.h"
#include "object/text.h"
#include "sync/lock.h"

enum {
	BUCKETS_MIN = 16,
	CHAIN_MEAN = 1
};

bool
stoai_names_lock(const stoa_tx *rd)
{
	const struct stoa_tx *scope = rd;

	if (!stoai_tx_reads(rd))
		return false;
	while (scope->state != STOAI_TX_WRITES && scope->outer)
		scope = scope->outer;
	return stoai_tx_own_lock(rd, &stoai_header(rd->seg)->names,
		scope->state == STOAI_TX_WRITES);
}

const void *
stoai_words_at(const stoa_tx *rd, uint64_t off, uint64_t size)
{
	if (stoai_unlikely(off % 8 != 0)) {
		(void)stoai_tx_damaged(rd,
			"an offset of the object index is %#llx",
			(unsigned long long)off);
		return NULL;
	}
	return stoai_tx_at(rd, off, size);
}

const struct stoai_root *
stoai_root(const stoa_tx *rd)
{
	const struct stoai_root *root = stoai_words_at(
		rd, stoai_header(rd->seg)->root_off, sizeof *root);

	if (!root && !stoa_tx_error(rd))
		(void)stoai_tx_damaged(rd, "it has no root");
	return root;
}

bool
stoai_set_word(stoa_tx *tx, const uint64_t *to, uint64_t value)
{
	return stoa_tx_store_(tx, to, &value, sizeof value);
}

int
stoai_object_name_check(const char *name, size_t *ret_size)
{
	size_t size = strnlen(name, STOAI_NAME_MAX + 1);

	if (size > STOAI_NAME_MAX)
		return stoai_error(-ENAMETOOLONG,
			"an object's name has at most %d bytes; this one "
			"begins "
			"with '%.40s'",
			STOAI_NAME_MAX, name);
	if (!stoai_name_bytes_ok(name, size))
		return stoai_error(-EINVAL, "an object's name is UTF-8, "
					    "without control characters, "
					    "and not empty");
	*ret_size = size;
	return 0;
}

/* ---- reading ---- */

struct buckets { /* read once, checked */
	const uint64_t *first;
	uint64_t count, entries;
};

/* I1. false: none yet, or damaged. */
static bool
buckets_read(
	const stoa_tx *rd, const struct stoai_root *root, struct buckets *b)
{
	uint64_t off = a64_load_relaxed(&root->buckets);

	b->count = a64_load_relaxed(&root->bucket_count);
	b->entries = a64_load_relaxed(&root->count);
	b->first = NULL;
	/* each is a block: more than fit in the heap would be walked for long */
	if (b->entries >
		stoai_committed(rd->seg) / sizeof(struct stoai_entry)) {
		(void)stoai_tx_damaged(rd, "object I3: %llu objects",
			(unsigned long long)b->entries);
		return false;
	}
	if (!b->count)
		return false;
	if (stoai_is_pow2(b->count) && b->count <= rd->seg->size / 8)
		b->first = stoai_words_at(rd, off, b->count * 8);
	if (!b->first)
		(void)stoai_tx_damaged(rd, "object I1: %llu buckets at %#llx",
			(unsigned long long)b->count, (unsigned long long)off);
	return b->first != NULL;
}

const struct stoai_entry *
stoai_entry_at(const stoa_tx *rd, uint64_t off)
{
	const struct stoai_entry *e = stoai_words_at(rd, off, sizeof *e);
	uint32_t size = e ? a32_load_relaxed(&e->name_size) : 0;

	if (!e)
		return NULL;
	if (size && size <= STOAI_NAME_MAX &&
		stoai_tx_at(rd, off, sizeof *e + size + 1) &&
		e->name[size] == '\0')
		return e;
	(void)stoai_tx_damaged(rd, "object I2: an entry at %#llx has no name",
		(unsigned long long)off);
	return NULL;
}

static void
chain_is_damaged(const stoa_tx *rd)
{
	(void)stoai_tx_damaged(
		rd, "object I3: a chain is longer than there are objects");
}

/*
 * *ret_link: the word that points to the entry, or to the end of its chain. Most
 * entries on the way are not ours, which their hash tells: no other line of them
 * is looked at.
 */
static uint64_t
index_seek(const stoa_tx *rd, const struct buckets *b, const char *name,
	size_t size, uint64_t hash, const uint64_t **ret_link)
{
	const uint64_t *link = &b->first[hash & (b->count - 1)];
	uint64_t off;

	for (uint64_t n = 0; (off = a64_load_relaxed(link)) != 0; n++) {
		const struct stoai_entry *e =
			stoai_words_at(rd, off, sizeof *e);

		if (e && n >= b->entries) {
			chain_is_damaged(rd);
			e = NULL;
		}
		if (e && a64_load_relaxed(&e->hash) == hash) {
			e = stoai_entry_at(rd, off);
			if (e && a32_load_relaxed(&e->name_size) == size &&
				!memcmp(e->name, name, size))
				break;
		}
		if (!e)
			return 0;
		link = &e->next;
	}
	*ret_link = link;
	return off;
}

static uint64_t
index_hash(const stoa_tx *rd, const char *name, size_t size)
{
	return stoai_hash(name, size, rd->seg->seed);
}

uint64_t
stoai_index_find(const stoa_tx *rd, const char *name, size_t size)
{
	const struct stoai_root *root = stoai_root(rd);
	const uint64_t *link;
	struct buckets b;

	if (!root || !buckets_read(rd, root, &b))
		return 0;
	return index_seek(
		rd, &b, name, size, index_hash(rd, name, size), &link);
}

static bool
chain_each(const stoa_tx *rd, const struct buckets *b, uint64_t bucket,
	uint64_t *seen,
	bool (*f)(void *user, uint64_t off, const struct stoai_entry *e),
	void *user)
{
	uint64_t off = a64_load_relaxed(&b->first[bucket]);

	while (off) {
		const struct stoai_entry *e = stoai_entry_at(rd, off);
		uint64_t next = e ? a64_load_relaxed(&e->next) : 0;

		if (e && (*seen)++ >= b->entries) {
			chain_is_damaged(rd);
			e = NULL;
		}
		if (!e || !f(user, off, e))
			return false;
		off = next;
	}
	return true;
}

bool
stoai_index_each(const stoa_tx *rd,
	bool (*f)(void *user, uint64_t off, const struct stoai_entry *e),
	void *user)
{
	const struct stoai_root *root = stoai_root(rd);
	uint64_t seen = 0;
	struct buckets b;

	if (!root || !buckets_read(rd, root, &b))
		return root && !stoa_tx_error(rd);
	for (uint64_t i = 0; i < b.count; i++)
		if (!chain_each(rd, &b, i, &seen, f, user))
			return false;
	return true;
}

bool
stoai_stored_each(const stoa_tx *rd,
	bool (*f)(void *user, uint64_t off, const struct stoai_stored_type *s),
	void *user)
{
	const struct stoai_root *root = stoai_root(rd);
	uint64_t off, count;

	if (!root)
		return false;
	off = a64_load_relaxed(&root->types);
	count = a64_load_relaxed(&root->type_count);
	for (uint64_t n = 0; off; n++) {
		const struct stoai_stored_type *s =
			stoai_words_at(rd, off, sizeof *s);
		uint64_t next = s ? a64_load_relaxed(&s->next) : 0;

		if (s && (n >= count || n >= STOAI_STORED_MAX)) {
			(void)stoai_tx_damaged(rd,
				"object I5: more than %llu stored types",
				(unsigned long long)n);
			s = NULL;
		}
		if (!s || !f(user, off, s))
			return false;
		off = next;
	}
	return true;
}

/* ---- changing ---- */

/* Every entry into a bucket of the new array, with undo. */
static bool
index_relink(stoa_tx *tx, const struct buckets *b, uint64_t *fresh,
	uint64_t fresh_count)
{
	uint64_t seen = 0;

	for (uint64_t i = 0; i < b->count; i++) {
		uint64_t off = a64_load_relaxed(&b->first[i]);

		while (off) {
			const struct stoai_entry *e = stoai_entry_at(tx, off);
			uint64_t next = e ? a64_load_relaxed(&e->next) : 0;
			uint64_t *bucket;

			if (e && seen++ >= b->entries) {
				chain_is_damaged(tx);
				e = NULL;
			}
			if (!e)
				return false;
			bucket = &fresh[e->hash & (fresh_count - 1)];
			if (!stoai_set_word(tx, &e->next, *bucket))
				return false;
			*bucket = off;
			off = next;
		}
	}
	return true;
}

static bool
count_entry(void *user, uint64_t off, const struct stoai_entry *e)
{
	uint64_t *count = user;

	(void)off;
	(void)e;
	(*count)++;
	return true;
}

/* I3; asked before the array is doubled because of the count. */
static bool
count_is_true(const stoa_tx *rd, const struct buckets *b)
{
	uint64_t count = 0;

	if (!stoai_index_each(rd, count_entry, &count))
		return false;
	if (count != b->entries)
		(void)stoai_tx_damaged(rd,
			"object I3: %llu objects, should be %llu",
			(unsigned long long)count,
			(unsigned long long)b->entries);
	return count == b->entries;
}

/* Room for one more: the first array, or one of twice the size. */
static bool
index_grow(stoa_tx *tx, const struct stoai_root *root)
{
	struct buckets b;
	uint64_t count, *fresh;

	if (!buckets_read(tx, root, &b) && stoa_tx_error(tx))
		return false;
	if (b.count && b.entries < b.count * CHAIN_MEAN)
		return true;
	if (b.count && !count_is_true(tx, &b))
		return false;
	count = b.count ? b.count * 2 : BUCKETS_MIN;
	fresh = stoai_tx_alloc(tx, count * sizeof *fresh, 16);
	if (!fresh)
		return false;
	if (b.count && !index_relink(tx, &b, fresh, count))
		return false;
	if (b.count && !stoai_tx_free(tx, a64_load_relaxed(&root->buckets)))
		return false;
	return stoai_set_word(tx, &root->buckets, stoai_off(tx->seg, fresh)) &&
	       stoai_set_word(tx, &root->bucket_count, count);
}

struct stoai_entry *
stoai_index_insert(stoa_tx *tx, const char *name, size_t size)
{
	const struct stoai_root *root = stoai_root(tx);
	struct stoai_entry *e;
	const uint64_t *bucket;
	struct buckets b;

	if (!root || !index_grow(tx, root) || !buckets_read(tx, root, &b))
		return NULL;
	e = stoai_tx_alloc(tx, sizeof *e + size + 1, 16);
	if (!e)
		return NULL;
	e->hash = index_hash(tx, name, size);
	e->name_size = (uint32_t)size;
	memcpy(e->name, name, size);
	e->name[size] = '\0';
	bucket = &b.first[e->hash & (b.count - 1)];
	e->next = a64_load_relaxed(bucket);
	if (!stoai_set_word(tx, bucket, stoai_off(tx->seg, e)) ||
		!stoai_set_word(tx, &root->count, b.entries + 1))
		return NULL;
	return e;
}

bool
stoai_index_remove(stoa_tx *tx, uint64_t off)
{
	const struct stoai_root *root = stoai_root(tx);
	const struct stoai_entry *e = root ? stoai_entry_at(tx, off) : NULL;
	const uint64_t *link = NULL;
	struct buckets b;

	if (!e || !buckets_read(tx, root, &b))
		return false;
	if (index_seek(tx, &b, e->name, e->name_size, e->hash, &link) != off ||
		!b.entries) {
		(void)stoai_tx_damaged(tx,
			"object I2: '%s' cannot be found by its name", e->name);
		return false;
	}
	return stoai_set_word(tx, link, e->next) &&
	       stoai_set_word(tx, &root->count, b.entries - 1) &&
	       stoai_tx_free(tx, off);
}

/* ---- a fresh segment ---- */

int
stoai_object_format(stoa_segment *seg)
{
	struct stoai_seat *seat = stoai_seat_of(seg);
	uint64_t off;
	int rc;

	STOA_ASSERT(seat);
	if (!seat)
		return stoai_error(-EPERM, "a segment's maker is not attached");
	rc = stoai_heap_alloc(seat, sizeof(struct stoai_root), 16, &off);
	if (rc)
		return rc;
	memset(stoai_at(seg, off), 0, sizeof(struct stoai_root));
	stoai_heap_publish(seat, off);
	stoai_header(seg)->root_off = off;
	return 0;
}
