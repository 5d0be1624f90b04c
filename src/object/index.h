/* SPDX-License-Identifier: BSL-1.0 */
/* The index of named objects. See index.c. */
#ifndef STOAI_OBJECT_INDEX_H
#define STOAI_OBJECT_INDEX_H
#include "object/object.h"

/*
 * The lock of the root block and all that hangs on it, kept to the end of the
 * scope. A transaction takes it exclusively even to look: it may want to change
 * the index later, and a shared lock cannot be upgraded.
 */
bool stoai_names_lock(const stoa_tx *rd);

/* As stoai_tx_at, of something that holds words. */
const void *stoai_words_at(const stoa_tx *rd, uint64_t off, uint64_t size);
/* Under the lock; NULL: damaged. */
const struct stoai_root *stoai_root(const stoa_tx *rd);

/* A word of shared memory, undone if the transaction is. */
bool stoai_set_word(stoa_tx *tx, const uint64_t *to, uint64_t value);

/* 1 to 1024 bytes of UTF-8 without control characters. 0, -EINVAL, -ENAMETOOLONG. */
int stoai_object_name_check(const char *name, size_t *ret_size);

/* The entry at off with its name, checked; NULL: damaged, rd has failed. */
const struct stoai_entry *stoai_entry_at(const stoa_tx *rd, uint64_t off);
/* Under the lock. 0: there is none (or rd has failed). */
uint64_t stoai_index_find(const stoa_tx *rd, const char *name, size_t size);
/* There is no such name. The fresh entry; NULL: tx has failed. */
struct stoai_entry *
stoai_index_insert(stoa_tx *tx, const char *name, size_t size);
/* Off the index, and freed at commit. */
bool stoai_index_remove(stoa_tx *tx, uint64_t off);
/* Each entry, in no order; false when f stopped it or rd has failed. */
bool stoai_index_each(const stoa_tx *rd,
	bool (*f)(void *user, uint64_t off, const struct stoai_entry *e),
	void *user);
/* Each stored description; false as above. */
bool stoai_stored_each(const stoa_tx *rd,
	bool (*f)(void *user, uint64_t off, const struct stoai_stored_type *s),
	void *user);

#endif
