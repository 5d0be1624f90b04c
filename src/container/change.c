/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How containers change shared bytes, and the few calls that inlined container
 * code makes into the library.
 *
 * Crash argument for everything above this file: bytes are stored to only when
 * they are (1) saved in the log, (2) in a block made by this transaction, or
 * (3) dead (format.h). A death in the middle leaves (1) to the undo, (2) to the
 * heap, and (3) as meaningless as before. So the order of stores inside one
 * call does not matter, except that a save comes before the store that it
 * covers; the log's cursor is moved by a kill store, which orders the two.
 */
#include "base/hash.h"
#include "container/container.h"

bool
stoa_tx_save_(stoa_tx *tx, const void *p, size_t size)
{
	return stoai_tx_writes(tx) && stoai_tx_save(tx, p, size);
}

void *
stoa_scratch_(size_t size, const void *from)
{
	return stoai_scratch(size, from);
}

uint64_t
stoa_hash_(const void *bytes, size_t size, uint64_t seed)
{
	return stoai_hash(bytes, size, seed);
}
