/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does the block of an object look like, and which block is an object's?
 *
 *	entry | name, NUL | padding | (count) | element 0 | element 1 ...
 *
 * Entry and elements are one block: finding touches no other, creating allocates
 * once, and from an element's address the heap leads to the entry, so there is no
 * second index by address.
 *
 * A single object without a name has no entry: it begins where its block begins.
 * Whatever has one begins inside its block, and elements whose alignment is 8 or
 * less begin at 8 modulo 16 in an array without a name. That tells the two
 * apart, mostly without a look at the heap.
 *
 * Invariants (those of the index are in index.c):
 *  E1 data_at is behind the name and its NUL, and aligned for the type
 *  E2 an array's count is at least 1, and so many elements lie in the block
 *  E3 without a name, hash is array_mark() of the block's offset
 *  E4 a name is one that programs can say, or STOAI_UNIQUE and one
 *
 * A block is made in one transaction and not changed until it is freed, but for
 * the two words that belong to the index.
 */
#include <string.h>
#include "base/base.h"
#include "base/hash.h"
#include "heap/heap.h"
#include "object/entry.h"
#include "object/index.h"
#include "object/text.h"

enum {
	TEXT_BYTES = 60,      /* of a name in a text for people */
	SCRATCH_MAX = 1 << 29 /* as large as the largest type */
};

/* ---- names ---- */

const char *
stoai_name_text(const char *name, size_t size, char buf[STOAI_NAME_TEXT])
{
	size_t n = 0;

	if (size && *name == STOAI_UNIQUE) {
		name++;
		size--;
	}
	while (n < size && n < TEXT_BYTES) { /* whole characters */
		size_t one = stoai_utf8_length(
			(const unsigned char *)name + n, size - n);

		n += one ? one : 1;
	}
	memcpy(buf, name, n);
	memcpy(buf + n, n < size ? "..." : "", n < size ? 4 : 1);
	return buf;
}

/* ---- reading ---- */

static void
elements_are_damaged(
	const stoa_tx *rd, const struct stoai_entry *e, uint64_t count)
{
	uint32_t size = a32_load_relaxed(&e->name_size);
	const char *name = (const char *)(e + 1);
	char text[STOAI_NAME_TEXT];

	if (stoa_tx_error(rd))
		return;
	if (size > STOAI_NAME_MAX ||
		!stoai_tx_at(rd, stoai_off(rd->seg, e), sizeof *e + size))
		size = 0;
	(void)stoai_tx_damaged(rd,
		"object E2: '%s' has %llu elements at %#llx + %#x",
		stoai_name_text(name, size, text), (unsigned long long)count,
		(unsigned long long)stoai_off(rd->seg, e),
		(unsigned)a32_load_relaxed(&e->data_at));
}

const void *
stoai_entry_data(const stoa_tx *rd, const struct stoai_entry *e,
	const stoa_type *type, uint64_t *ret_count)
{
	uint64_t at = a32_load_relaxed(&e->data_at), count = 1, bytes;
	uint64_t head = stoai_entry_head(a32_load_relaxed(&e->name_size));
	uint64_t off = stoai_off(rd->seg, e);
	const void *data = NULL;

	if (at & STOAI_ARRAY) {
		const uint64_t *p;

		at -= STOAI_ARRAY;
		p = at < head ? NULL : stoai_words_at(rd, off + at - 8, 8);
		count = p ? a64_load_relaxed(p) : 0;
	}
	if (at >= head && (off + at) % type->align == 0 && count &&
		!__builtin_mul_overflow(count, type->size, &bytes))
		data = stoai_tx_at(rd, off + at, bytes);
	if (stoai_unlikely(!data))
		elements_are_damaged(rd, e, count);
	if (ret_count)
		*ret_count = data ? count : 0;
	return data;
}

const stoa_type *
stoai_entry_type(const stoa_tx *rd, const struct stoai_entry *e)
{
	const stoa_type *type =
		stoai_type_find(rd, a64_load_relaxed(&e->type_id));
	char text[STOAI_NAME_TEXT];

	if (!type && !stoa_tx_error(rd))
		(void)stoai_tx_damaged(rd,
			"object I4: the type of '%s' is not stored",
			stoai_name_text(e->name, e->name_size, text));
	return type;
}

/* ---- making ---- */

/* What the hash of an array without a name is: no block has it by chance. */
static uint64_t
array_mark(const stoa_segment *seg, uint64_t off)
{
	return stoai_hash(&off, sizeof off, seg->seed);
}

/* Bytes from an entry to its first element. */
static uint64_t
data_place(size_t name_size, bool array, uint32_t align)
{
	uint64_t head = stoai_entry_head(name_size);

	if (array)
		head = stoai_align_up(head, 8) + 8;
	return stoai_align_up(head, stoai_max(align, 8));
}

struct stoai_entry *
stoai_entry_new(stoa_tx *tx, const char *name, size_t size,
	const stoa_type *type, uint64_t count)
{
	bool array = count != 1 || !size;
	uint64_t at = data_place(size, array, type->align), bytes = 0;
	struct stoai_entry *e = NULL;
	uint64_t id;
	int rc = stoai_type_identify(type, &id);

	if (!rc &&
		(!count || __builtin_mul_overflow(count, type->size, &bytes) ||
			bytes > INT64_MAX))
		rc = stoai_error(-EINVAL,
			"an array of %llu %s: 1 at least, and no more than "
			"can be counted in bytes",
			(unsigned long long)count, type->name);
	if (rc)
		(void)stoai_tx_fail(tx, rc);
	else if (stoai_type_store(tx, type))
		e = stoai_tx_alloc(tx, at + bytes,
			stoai_max(type->align, STOAI_BLOCK_MIN));
	if (!e)
		return NULL;
	e->type_id = id;
	e->name_size = (uint32_t)size;
	e->data_at = (uint32_t)at | (array ? STOAI_ARRAY : 0);
	if (array)
		((uint64_t *)(void *)stoai_entry_elements(e))[-1] = count;
	if (size)
		memcpy(e->name, name, size);
	else
		e->hash = array_mark(tx->seg, stoai_off(tx->seg, e));
	return e;
}

void *
stoai_elements_scratch(const stoa_type *type, uint64_t count)
{
	uint64_t bytes;

	if (!type || __builtin_mul_overflow(
			     (uint64_t)type->size, stoai_max(count, 1), &bytes))
		bytes = SCRATCH_MAX;
	return stoai_scratch(stoai_min(bytes, SCRATCH_MAX), NULL);
}

bool
stoai_entry_delete(stoa_tx *tx, const struct stoai_entry *e)
{
	const stoa_type *type = stoai_entry_type(tx, e);
	const char *p;
	uint64_t count;

	p = type ? stoai_entry_data(tx, e, type, &count) : NULL;
	return p && stoai_type_clear_array(tx, type, p, count) &&
	       stoai_tx_free(tx, stoai_off(tx->seg, e));
}

/* ---- from an address ---- */

const struct stoai_entry *
stoai_entry_of(const stoa_tx *rd, const void *p)
{
	uint64_t off = stoai_off(rd->seg, p);
	uint64_t block = stoai_heap_block(rd->seg, off);
	const struct stoai_entry *e = NULL;

	if (block && block != off &&
		stoai_heap_usable(rd->seg, block) >= sizeof *e)
		e = stoai_words_at(rd, block, sizeof *e);
	if (!e || block + (a32_load_relaxed(&e->data_at) &
				  ~(uint32_t)STOAI_ARRAY) !=
			  off)
		return NULL;
	if (a32_load_relaxed(&e->name_size))
		return e;
	return a64_load_relaxed(&e->hash) == array_mark(rd->seg, block) ? e
									: NULL;
}

const struct stoai_entry *
stoai_entry_seen(const stoa_tx *rd, const void *p)
{
	const struct stoai_entry *e = stoai_entry_of(rd, p);

	if (!e || !a32_load_relaxed(&e->name_size))
		return e;
	return stoai_names_lock(rd) ? stoai_entry_of(rd, p) : NULL;
}

const struct stoai_entry *
stoai_array_of(const stoa_tx *rd, const stoa_type *type, uint64_t off)
{
	const struct stoai_entry *e = NULL;

	if (off % STOAI_BLOCK_MIN != 0 || type->align > 8)
		e = stoai_entry_of(rd, stoai_at(rd->seg, off));
	return e && !a32_load_relaxed(&e->name_size) ? e : NULL;
}
