/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Strings as fields: 24 bytes, up to 22 characters without an allocation.
 *
 * The layout is drawn in format.h. Short texts and changes of short ones are a
 * save and a store of the 24 bytes. A long text stays in its block while it
 * fits; otherwise a new block is built aside and swapped in, and the old one is
 * freed at commit, so a text that points into the string itself can be read to
 * the end of the call.
 *
 * Invariants
 *	S1  inline: size <= 22, a NUL behind it, and zero bytes to the end
 *	S2  in a block: size < capacity, the block holds capacity bytes, and the
 *	    byte behind the text is NUL
 *	S3  the last byte is at most 22, or 0xff
 *
 * Crash argument: change.c. Bytes of a block behind the NUL are dead; growing
 * inside the capacity saves the NUL, and shrinking saves what becomes dead.
 */
#include "base/atomic.h"
#include "container/container.h"
#include <stdarg.h>
#include <string.h>

enum {
	SAVE_MAX = 1024 /* longer texts are cheaper to replace than to save */
};

/* ---- reading ---- */

static bool
str_damaged(const stoa_tx *rd, const stoa_str *s, const char *what)
{
	stoai_tx_damaged(rd, "string at offset %llu: %s",
		(unsigned long long)stoai_off(rd->seg, s), what);
	return false;
}

/* Size, block and capacity from the words, which are read once. */
static bool
str_decode(const stoa_tx *rd, const stoa_str *s, struct stoai_string *ret)
{
	/* in registers: two words that were stored one by one and are read again as
	 * one wait for the stores, 5 ns */
	uint64_t first = a64_load_relaxed(&s->word_[0]);
	uint64_t second = a64_load_relaxed(&s->word_[1]);
	uint64_t third = a64_load_relaxed(&s->word_[2]);
	uint64_t tag = third >> 56;

	ret->word[0] = first;
	ret->word[1] = second;
	ret->word[2] = third;
	ret->block = ret->capacity = 0;
	ret->size = tag;
	if (tag <= STOA_STR_INLINE_)
		return true;
	if (tag != STOA_STR_HEAP_)
		return str_damaged(rd, s, "S3: neither inline nor in a block");
	ret->block = first;
	ret->size = second;
	ret->capacity = third & STOAI_STR_CAPACITY;
	if (!ret->block || ret->size >= ret->capacity ||
		ret->capacity > STOAI_BYTES_MAX)
		return str_damaged(
			rd, s, "S2: size, capacity and block disagree");
	return true;
}

bool
stoai_str_load(const stoa_tx *rd, const stoa_str *s, struct stoai_string *ret)
{
	if (!str_decode(rd, s, ret))
		return false;
	if (!ret->block) {
		ret->at = (const char *)ret->word;
		return ret->at[ret->size] == '\0' ||
		       str_damaged(rd, s, "S1: no NUL behind the text");
	}
	/* a read-only mapping may see a block of another moment: no NUL is asked */
	ret->at = stoai_tx_at(rd, ret->block, ret->size + 1);
	return ret->at &&
	       (!rd->seat || ret->at[ret->size] == '\0' ||
		       str_damaged(rd, s, "S2: no NUL behind the text"));
}

const char *
stoa_str_get(const stoa_tx *rd, const stoa_str *s)
{
	struct stoai_string text;
	char *copy;

	if (!stoai_tx_reads(rd) || !stoai_str_load(rd, s, &text))
		return "";
	if (rd->seat)
		return text.block ? text.at : (const char *)s->word_;
	copy = stoai_scratch(text.size + 1, NULL);
	memcpy(copy, text.at, text.size);
	copy[text.size] = '\0';
	return copy;
}

size_t
stoa_str_size(const stoa_tx *rd, const stoa_str *s)
{
	struct stoai_string text;

	return stoai_tx_reads(rd) && str_decode(rd, s, &text) ? text.size : 0;
}

bool
stoa_str_equal_(
	const stoa_tx *rd, const stoa_str *s, const void *text, size_t size)
{
	struct stoai_string stored;

	return stoai_str_load(rd, s, &stored) && stored.size == size &&
	       !memcmp(stored.at, text, size);
}

/* ---- changing ---- */

static void
str_image(const char *text, uint64_t size, uint64_t word[3])
{
	uint64_t image[3] = {0}; /* text may lie in word */

	memcpy(image, text, size);
	image[2] |= size << 56;
	memcpy(word, image, sizeof image);
}

/* A block for `room` characters and the NUL that holds two texts one after the other. */
static bool
str_block(stoa_tx *tx, uint64_t room, const struct stoai_string *first,
	const char *text, uint64_t size, uint64_t word[3])
{
	uint64_t capacity = stoai_align_up(room + 1, 16);
	char *block;

	if (room >= STOAI_BYTES_MAX / 2) {
		stoai_tx_fail(tx, stoai_error(-E2BIG, "a string of %llu bytes",
					  (unsigned long long)room));
		return false;
	}
	block = stoai_tx_alloc_dirty(tx, capacity, 16);
	if (!block)
		return false;
	if (first)
		memmove(block, first->at, first->size);
	memmove(block + (first ? first->size : 0), text, size);
	word[0] = stoai_off(tx->seg, block);
	word[1] = (first ? first->size : 0) + size;
	block[word[1]] = '\0';
	word[2] = STOAI_STR_HEAP | capacity;
	return true;
}

bool
stoai_str_make(stoa_tx *tx, const char *text, uint64_t size, uint64_t word[3])
{
	if (size > STOA_STR_INLINE_)
		return str_block(tx, size, NULL, text, size, word);
	str_image(text, size, word);
	return true;
}

/* The string becomes `word`; a block that it had is freed unless it keeps it. */
static void
str_store(stoa_tx *tx, const stoa_str *s, const struct stoai_string *old,
	const uint64_t word[3])
{
	bool keeps = old->block && word[0] == old->block &&
		     word[2] >> 56 == STOA_STR_HEAP_;

	if (stoai_tx_save(tx, s, sizeof *s) &&
		(keeps || stoai_tx_free(tx, old->block)))
		for (unsigned i = 0; i < 3; i++) /* see str_decode */
			a64_store_relaxed(
				&((stoa_str *)stoai_mutable(s))->word_[i],
				word[i]);
}

/* Overwrite the text in its block, which has room for it. */
static void
str_replace(stoa_tx *tx, const stoa_str *s, const struct stoai_string *old,
	const char *text, uint64_t size)
{
	uint64_t word[3] = {old->word[0], size, old->word[2]};
	char *block = stoai_mutable(old->at);

	if (!stoai_tx_save(tx, block, old->size + 1))
		return;
	if (size > old->size &&
		!stoai_change_dead(tx, block + old->size + 1, size - old->size))
		return;
	memmove(block, text, size);
	block[size] = '\0';
	str_store(tx, s, old, word);
}

static bool
str_open(stoa_tx *tx, const stoa_str *s, struct stoai_string *ret)
{
	return stoai_may_change(tx, s, sizeof *s) && stoai_str_load(tx, s, ret);
}

void
stoa_str_setn(stoa_tx *tx, const stoa_str *s, const char *text, size_t size)
{
	struct stoai_string old;
	uint64_t word[3];

	if (!str_open(tx, s, &old))
		return;
	if (size > STOA_STR_INLINE_ && size < old.capacity &&
		old.size <= SAVE_MAX)
		str_replace(tx, s, &old, text, size);
	else if (stoai_str_make(tx, text, size, word))
		str_store(tx, s, &old, word);
}

void
stoa_str_set(stoa_tx *tx, const stoa_str *s, const char *text)
{
	stoa_str_setn(tx, s, text, strlen(text));
}

/* Behind the text in its block, which has room for it. */
static void
str_extend(stoa_tx *tx, const stoa_str *s, const struct stoai_string *old,
	const char *text, uint64_t size)
{
	uint64_t word[3] = {old->word[0], old->size + size, old->word[2]};
	char *end = (char *)stoai_mutable(old->at) + old->size;

	if (!stoai_tx_save(tx, end, 1) || !stoai_change_dead(tx, end + 1, size))
		return;
	memmove(end, text, size);
	end[size] = '\0';
	stoai_tx_saved(tx, end + size, 1); /* the next append's first byte */
	str_store(tx, s, old, word);
}

/* Room for so many characters and the NUL in the same block. False: no, or tx has failed. */
static bool
str_lengthen(stoa_tx *tx, struct stoai_string *s, uint64_t room)
{
	uint64_t bytes = room < STOAI_BYTES_MAX / 2
				 ? stoai_tx_lengthen(tx, s->block, room + 1)
				 : 0;

	if (bytes) {
		s->capacity = bytes;
		s->word[2] = STOAI_STR_HEAP | bytes;
	}
	return bytes != 0;
}

static void
str_append(stoa_tx *tx, const stoa_str *s, const char *text, uint64_t size)
{
	struct stoai_string old;
	char together[STOA_STR_INLINE_ + 1];
	uint64_t word[3], room, larger;

	if (!size || !str_open(tx, s, &old))
		return;
	room = old.size + size;
	/* half as much again, so that n appends cost O(n) */
	larger = old.block ? room + old.size / 2 : room;
	if (room <= STOA_STR_INLINE_ && !old.block) {
		memcpy(together, old.at, old.size);
		memcpy(together + old.size, text, size);
		str_image(together, room, word);
		str_store(tx, s, &old, word);
	} else if (room < old.capacity || str_lengthen(tx, &old, larger)) {
		str_extend(tx, s, &old, text, size);
	} else if (str_block(tx, larger, &old, text, size, word)) {
		str_store(tx, s, &old, word);
	}
}

STOAI_FLATTEN void
stoa_str_append(stoa_tx *tx, const stoa_str *s, const char *text)
{
	str_append(tx, s, text, strlen(text));
}

/* The whole text first, elsewhere: an argument may be the string itself. */
void
stoa_str_printf(stoa_tx *tx, const stoa_str *s, const char *format, ...)
{
	char buf[256], *text = buf;
	va_list args, again;
	int n;

	if (!stoai_tx_writes(tx))
		return;
	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(buf, sizeof buf, format, args);
	if (n >= (int)sizeof buf) {
		text = stoai_scratch((uint64_t)n + 1, NULL);
		n = vsnprintf(text, (size_t)n + 1, format, again);
	}
	va_end(again);
	va_end(args);
	if (n < 0)
		stoai_tx_fail(tx,
			stoai_error(-EILSEQ, "the text for '%s' cannot be made",
				format));
	else
		str_append(tx, s, text, (uint64_t)n);
}
