/* SPDX-License-Identifier: BSL-1.0 */
/* The index of named objects. See index.c. */
#ifndef STOAI_OBJECT_INDEX_H
#define STOAI_OBJECT_INDEX_H
#include "object/entry.h"

/*
 * The lock of the root block and all that hangs on it, kept to the end of the
 * scope. A transaction takes it exclusively even to look: it may want to change
 * the index later, and a shared lock cannot be upgraded.
 */
bool stoai_names_lock(const stoa_tx *rd);

/* As stoai_tx_at, of something that holds words. */
const void *stoai_words_not(const stoa_tx *rd, uint64_t off);
static inline const void *
stoai_words_at(const stoa_tx *rd, uint64_t off, uint64_t size)
{
	return stoai_likely(off % 8 == 0) ? stoai_tx_at(rd, off, size)
					  : stoai_words_not(rd, off);
}
/* Under the lock; NULL: damaged. */
const struct stoai_root *stoai_root(const stoa_tx *rd);
/*
 * How many objects the index has, which is what each walk in it is bounded by. Each
 * is a block: no more than fit in the heap. false: damaged, rd has failed.
 */
bool stoai_object_count(
	const stoa_tx *rd, const struct stoai_root *root, uint64_t *ret);

/* A word of shared memory, undone if the transaction is. */
bool stoai_set_word(stoa_tx *tx, const uint64_t *to, uint64_t value);

/* 1 to 65535 bytes of UTF-8 without control characters. 0, -EINVAL, -ENAMETOOLONG. */
int stoai_object_name_check(const char *name, size_t *ret_size);
/* Its size alone: 0 or -ENAMETOOLONG. A name that is found is right. */
int stoai_object_name_size(const char *name, size_t *ret_size);

/* The entry at off with its name, checked; NULL: damaged, rd has failed. */
const struct stoai_entry *stoai_entry_at(const stoa_tx *rd, uint64_t off);
/* Under the lock. 0: there is none (or rd has failed). */
uint64_t stoai_index_find(const stoa_tx *rd, const char *name, size_t size);
/* The same in two steps, and a hint in between, without the lock: it will be asked. */
uint64_t
stoai_index_hash(const stoa_segment *seg, const char *name, size_t size);
void stoai_index_ahead(stoa_segment *seg, uint64_t hash);
const struct stoai_entry *stoai_index_entry(
	const stoa_tx *rd, const char *name, size_t size, uint64_t hash);
/* The entry at off, whose name nobody has. false: tx has failed. */
bool stoai_index_insert(stoa_tx *tx, uint64_t off);
/* Off the index; its block is the caller's to free. */
bool stoai_index_remove(stoa_tx *tx, uint64_t off);
/* Room for so many objects, without growth on the way. */
bool stoai_index_reserve(stoa_tx *tx, uint64_t count);
/* No more memory than what is there needs. */
bool stoai_index_shrink(stoa_tx *tx);
/* Off the index, cleared and freed: what destroying is (object.c). */
bool stoai_object_remove(stoa_tx *tx, const struct stoai_entry *e);
/* Each entry, in no order; false when f stopped it or rd has failed. */
bool stoai_index_each(const stoa_tx *rd,
	bool (*f)(void *user, uint64_t off, const struct stoai_entry *e),
	void *user);
/* Each stored description; false as above. */
bool stoai_stored_each(const stoa_tx *rd,
	bool (*f)(void *user, uint64_t off, const struct stoai_stored_type *s),
	void *user);

#endif
