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
 *  I3 count is the number of entries, uniques of those whose name begins with
 *     STOAI_UNIQUE; no chain is longer than count
 *  I4 each entry's type is stored or built in, its block holds its elements
 *  I5 type_count is the number of stored types; their texts and ids are right
 *  I6 contention is 0 or a table of waits; header.contention is 0 or the same
 *
 * A segment may have been made with another index (classes.c); then the buckets
 * are not used. The hash is asked directly, and stands here.
 *
 * Growth doubles the buckets when there are three objects for four of them: the new
 * array is filled aside, each entry is relinked with undo, one store swaps them.
 *
 * Progress: readers share the lock; each walk is bounded by count.
 */
#include <string.h>
#include "base/base.h"
#include "base/hash.h"
#include "heap/heap.h"
#include "object/classes.h"
#include "object/heaps.h"
#include "object/index.h"
#include "object/text.h"
#include "sync/lock.h"

enum {
	BUCKETS_MIN = 16,
	LOAD_OF_4 = 3 /* objects for 4 buckets, at most */
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
stoai_words_not(const stoa_tx *rd, uint64_t off)
{
	(void)stoai_tx_damaged(rd, "an offset of the object index is %#llx",
		(unsigned long long)off);
	return NULL;
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
stoai_object_name_size(const char *name, size_t *ret_size)
{
	size_t size = strnlen(name, STOAI_NAME_MAX + 1);
	char text[STOAI_NAME_TEXT];

	if (size > STOAI_NAME_MAX)
		return stoai_error(-ENAMETOOLONG,
			"an object's name has at most %d bytes; this one is "
			"'%s'",
			STOAI_NAME_MAX, stoai_name_text(name, size, text));
	*ret_size = size;
	return 0;
}

int
stoai_object_name_check(const char *name, size_t *ret_size)
{
	int rc = stoai_object_name_size(name, ret_size);

	if (!rc && !stoai_name_bytes_ok(name, *ret_size))
		rc = stoai_error(-EINVAL, "an object's name is UTF-8, "
					  "without control characters, "
					  "and not empty");
	return rc;
}

/* ---- reading ---- */

struct buckets { /* read once, checked */
	const uint64_t *first;
	uint64_t count, entries;
};

bool
stoai_object_count(
	const stoa_tx *rd, const struct stoai_root *root, uint64_t *ret)
{
	uint64_t count = a64_load_relaxed(&root->count);

	*ret = count;
	if (stoai_likely(count <= rd->seg->size / STOAI_OBJECT_MIN &&
			 stoai_in_heap(rd->seg, rd->seg->heap_off,
				 count * STOAI_OBJECT_MIN)))
		return true;
	(void)stoai_tx_damaged(
		rd, "object I3: %llu objects", (unsigned long long)count);
	return false;
}

/* I1. false: none yet, or damaged. */
static bool
buckets_read(
	const stoa_tx *rd, const struct stoai_root *root, struct buckets *b)
{
	uint64_t off = a64_load_relaxed(&root->buckets);

	b->count = a64_load_relaxed(&root->bucket_count);
	b->first = NULL;
	if (!stoai_object_count(rd, root, &b->entries) || !b->count)
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
	/* what is no entry, the root say, has its data nowhere */
	if (size && size <= STOAI_NAME_MAX &&
		a32_load_relaxed(&e->data_at) >= stoai_entry_head(size) &&
		stoai_tx_at(rd, off, stoai_entry_head(size)) &&
		e->name[size] == '\0')
		return e;
	(void)stoai_tx_damaged(rd, "object I2: what lies at %#llx is no entry",
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
static const struct stoai_entry *
index_seek(const stoa_tx *rd, const struct buckets *b, const char *name,
	size_t size, uint64_t hash, const uint64_t **ret_link)
{
	const uint64_t *link = &b->first[hash & (b->count - 1)];
	const struct stoai_entry *e = NULL;
	uint64_t off;

	for (uint64_t n = 0; (off = a64_load_relaxed(link)) != 0; n++) {
		e = stoai_words_at(rd, off, sizeof *e);
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
			return NULL;
		link = &e->next;
		e = NULL;
	}
	*ret_link = link;
	return e;
}

uint64_t
stoai_index_hash(const stoa_segment *seg, const char *name, size_t size)
{
	return stoai_hash(name, size, seg->seed);
}

/*
 * What is read here may be changing, or be damaged: then it is asked for in vain
 * (and ThreadSanitizer, which cannot know that, need not see it).
 * The names' lock and all that comes before it take as long as the line of the
 * bucket; with some luck the entry's is on its way too when it is wanted.
 */
void
stoai_index_ahead(stoa_segment *seg, uint64_t hash)
{
	const struct stoai_root *root;
	uint64_t off = stoai_header(seg)->root_off, count;

	if (STOAI_UNDER_TSAN || !stoai_in_heap(seg, off, sizeof *root) ||
		off % 8)
		return;
	root = stoai_at(seg, off);
	off = a64_load_relaxed(&root->buckets);
	count = a64_load_relaxed(&root->bucket_count);
	if (!stoai_is_pow2(count) || count > seg->size / 8 || off % 8 ||
		!stoai_in_heap(seg, off, count * 8))
		return;
	off = a64_load_relaxed(
		(const uint64_t *)stoai_at(seg, off) + (hash & (count - 1)));
	__builtin_prefetch(stoai_at(seg, off & STOAI_LOG_OFFSET));
}

const struct stoai_entry *
stoai_index_entry(
	const stoa_tx *rd, const char *name, size_t size, uint64_t hash)
{
	const struct stoai_root *root = stoai_root(rd);
	const uint64_t *link;
	struct buckets b;

	if (!root)
		return NULL;
	if (stoai_unlikely(a64_load_relaxed(&root->index)))
		return stoai_class_find(rd, root, name, size);
	if (!buckets_read(rd, root, &b))
		return NULL;
	return index_seek(rd, &b, name, size, hash, &link);
}

uint64_t
stoai_index_find(const stoa_tx *rd, const char *name, size_t size)
{
	const struct stoai_entry *e = stoai_index_entry(
		rd, name, size, stoai_index_hash(rd->seg, name, size));

	return e ? stoai_off(rd->seg, e) : 0;
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

	if (root && a64_load_relaxed(&root->index))
		return stoai_class_each(rd, root, f, user);
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

/* An array of so many buckets in the place of the one that is there. */
static bool
index_resize(stoa_tx *tx, const struct stoai_root *root,
	const struct buckets *b, uint64_t count)
{
	uint64_t *fresh;

	if (count > tx->seg->size / sizeof *fresh) {
		(void)stoai_tx_fail(tx,
			stoai_error(-ENOSPC,
				"%s: an index of %llu objects is larger than "
				"the segment",
				stoai_name(tx->seg),
				(unsigned long long)count));
		return false;
	}
	if (b->count && !count_is_true(tx, b))
		return false;
	fresh = stoai_tx_alloc(tx, count * sizeof *fresh, 16);
	if (!fresh)
		return false;
	if (b->count && !index_relink(tx, b, fresh, count))
		return false;
	if (b->count && !stoai_tx_free(tx, a64_load_relaxed(&root->buckets)))
		return false;
	return stoai_set_word(tx, &root->buckets, stoai_off(tx->seg, fresh)) &&
	       stoai_set_word(tx, &root->bucket_count, count);
}

/* Room for one more: the first array, or one of twice the size. */
static bool
index_grow(stoa_tx *tx, const struct stoai_root *root)
{
	struct buckets b;

	if (!buckets_read(tx, root, &b) && stoa_tx_error(tx))
		return false;
	if (b.count && b.entries < b.count / 4 * LOAD_OF_4)
		return true;
	return index_resize(
		tx, root, &b, b.count ? b.count * 2 : (uint64_t)BUCKETS_MIN);
}

static uint64_t
buckets_for(uint64_t objects)
{
	uint64_t count = BUCKETS_MIN;

	while (count / 4 * LOAD_OF_4 < objects && count <= UINT64_MAX / 2)
		count *= 2;
	return count;
}

bool
stoai_index_reserve(stoa_tx *tx, uint64_t count)
{
	const struct stoai_root *root = stoai_root(tx);
	struct buckets b;

	if (root && a64_load_relaxed(&root->index))
		return stoai_class_reserve(tx, root, count);
	if (!root || (!buckets_read(tx, root, &b) && stoa_tx_error(tx)))
		return false;
	count = buckets_for(count);
	return b.count >= count || index_resize(tx, root, &b, count);
}

bool
stoai_index_shrink(stoa_tx *tx)
{
	const struct stoai_root *root = stoai_root(tx);
	struct buckets b;
	uint64_t count;

	if (root && a64_load_relaxed(&root->index))
		return stoai_class_shrink(tx, root);
	if (!root || !buckets_read(tx, root, &b))
		return root && !stoa_tx_error(tx);
	if (!b.entries)
		return stoai_tx_free(tx, a64_load_relaxed(&root->buckets)) &&
		       stoai_set_word(tx, &root->buckets, 0) &&
		       stoai_set_word(tx, &root->bucket_count, 0);
	count = buckets_for(b.entries);
	return b.count <= count || index_resize(tx, root, &b, count);
}

/* One entry more, or one less; their words are the same for every index. */
static bool
count_change(stoa_tx *tx, const struct stoai_root *root,
	const struct stoai_entry *e, int by)
{
	uint64_t count = a64_load_relaxed(&root->count);
	uint64_t uniques = a64_load_relaxed(&root->uniques);
	bool unique = e->name[0] == STOAI_UNIQUE;

	if (by < 0 && (!count || (unique && !uniques))) {
		(void)stoai_tx_damaged(tx,
			"object I3: %llu objects, %llu unique",
			(unsigned long long)count, (unsigned long long)uniques);
		return false;
	}
	return stoai_set_word(tx, &root->count, count + (uint64_t)by) &&
	       (!unique || stoai_set_word(
				   tx, &root->uniques, uniques + (uint64_t)by));
}

bool
stoai_index_insert(stoa_tx *tx, uint64_t off)
{
	const struct stoai_root *root = stoai_root(tx);
	const struct stoai_entry *e = root ? stoai_entry_at(tx, off) : NULL;
	struct stoai_entry *fresh = (struct stoai_entry *)(uintptr_t)e;
	const uint64_t *bucket;
	struct buckets b;

	if (!e)
		return false;
	if (a64_load_relaxed(&root->index))
		return stoai_class_insert(tx, root, off) &&
		       count_change(tx, root, e, 1);
	if (!index_grow(tx, root) || !buckets_read(tx, root, &b))
		return false;
	fresh->hash = stoai_index_hash(tx->seg, e->name, e->name_size);
	bucket = &b.first[e->hash & (b.count - 1)];
	fresh->next = a64_load_relaxed(bucket);
	return stoai_set_word(tx, bucket, off) && count_change(tx, root, e, 1);
}

bool
stoai_index_remove(stoa_tx *tx, uint64_t off)
{
	const struct stoai_root *root = stoai_root(tx);
	const struct stoai_entry *e = root ? stoai_entry_at(tx, off) : NULL;
	const uint64_t *link = NULL;
	char text[STOAI_NAME_TEXT];
	struct buckets b;

	if (!e)
		return false;
	if (a64_load_relaxed(&root->index))
		return stoai_class_remove(tx, root, off) &&
		       count_change(tx, root, e, -1);
	if (!buckets_read(tx, root, &b))
		return false;
	if (index_seek(tx, &b, e->name, e->name_size, e->hash, &link) != e) {
		(void)stoai_tx_damaged(tx,
			"object I2: '%s' cannot be found by its name",
			stoai_name_text(e->name, e->name_size, text));
		return false;
	}
	return stoai_set_word(tx, link, e->next) &&
	       count_change(tx, root, e, -1);
}

/* ---- a fresh segment ---- */

int
stoai_object_format(stoa_segment *seg)
{
	struct stoai_seat *seat = stoai_seat_of(seg);
	struct stoai_cached block;
	int rc;

	STOA_ASSERT(seat && !seg->heap_state);
	if (!seat)
		return stoai_error(-EPERM, "a segment's maker is not attached");
	rc = stoai_heap_alloc(seat, sizeof(struct stoai_root), 16, &block);
	if (rc)
		return rc;
	memset(stoai_at(seg, block.off), 0, sizeof(struct stoai_root));
	stoai_heap_publish(seat, block);
	stoai_header(seg)->root_off = block.off;
	rc = stoai_class_format(seg);
	return rc ? rc : stoai_heap_class_format(seg);
}
