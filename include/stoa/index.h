/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How a segment finds its objects by name: four ways that are built in, or one of
 * your own. It is chosen when the segment is made, and its name is written there:
 *
 *	STOA_SEGMENT_OPTIONS(.index = &stoa_index_ordered)
 *
 *   stoa_index_hash      the default, and the fastest
 *   stoa_index_ordered   a tree: no step whose cost grows with the number of objects
 *   stoa_index_sorted    one array: least memory; creating moves what is behind
 *   stoa_index_none      nothing has a name; for segments of stoa_new alone
 *
 * Without an index nothing is owned by a name, so stoa_segment_leaked counts every
 * object, and stoa_object_open is -EOPNOTSUPP.
 *
 * An index of your own is a struct of functions over a described state. They are
 * given a scope and change the state, and the two words of each entry, with
 * STOA_SET. So it is kill-safe without a thought of its own: the log that undoes
 * your data undoes your index. Who opens the segment must bring the class of the
 * same name (.index again), or is refused with -ENOTSUP; with another state, with
 * -EPROTOTYPE.
 *
 * Sync:    the library holds the lock of the names around each call: shared for
 *          find and each, exclusive and to the end of the transaction for others.
 * Caveats: in read-only mappings a reader takes no lock, so what find and each see
 *          may change under them: bound every loop, look at every pointer.
 */
#ifndef STOA_INDEX_H
#define STOA_INDEX_H
#include <stoa/attr.h>
#include <stoa/ref.h>
#include <stoa/tx.h>
#include <stoa/type.h>
STOA_BEGIN_DECLS

typedef struct stoa_index_class stoa_index_class;
struct stoa_index_class { /* local, constant */
	const char      *name;  /* 1 to 255 bytes; written into the segment */
	const stoa_type *state; /* zeroed at first; NULL: none is needed */

	/* The entry of that key; null: there is none. */
	stoa_ref (*find)(const stoa_tx *rd, const void *state, const char *key, size_t size);
	/* Its key is not there yet, and its words are zero. */
	void (*insert)(stoa_tx *tx, const void *state, stoa_ref entry);
	void (*remove)(stoa_tx *tx, const void *state, stoa_ref entry);
	/* f for every entry, in any order, until it says false; true: all were shown. */
	bool (*each)(const stoa_tx *rd, const void *state,
		bool (*f)(void *user, stoa_ref entry), void *user);

	/* These may be NULL. Room for so many objects; no more than what is there needs;
	 * 0, or -EBADMSG when the state cannot be right. */
	void (*reserve)(stoa_tx *tx, const void *state, uint64_t count);
	void (*shrink)(stoa_tx *tx, const void *state);
	int  (*check)(const stoa_tx *rd, const void *state);
};

extern const stoa_index_class stoa_index_hash, stoa_index_ordered, stoa_index_sorted,
	stoa_index_none;

/*
 * The key of an entry, with a NUL behind it: bytes without a meaning to an index.
 * NULL: there is no entry, and the scope has failed (-EBADMSG).
 */
const char *stoa_index_key(const stoa_tx *rd, stoa_ref entry, size_t *ret_size);
/* Two words of the entry that are the index's own; NULL as above. */
const uint64_t *stoa_index_words(const stoa_tx *rd, stoa_ref entry);

STOA_END_DECLS
#endif
