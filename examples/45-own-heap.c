/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A heap of one's own: first fit over a list of free memory in order of addresses.
 * Kill-safe because it changes its state with STOA_SET. All that it says stands
 * before a block, never in one, so nothing has to be saved that a block's user
 * overwrites.
 *	45-own-heap SEGMENT NAME...
 *	45-own-heap SEGMENT without
 */
#include <stdio.h>
#include <string.h>
#include <stoa/stoa.h>

typedef struct block block;
typedef STOA_REF(block) block_ref;
struct block { /* stands before every block, free or not */
	uint64_t size;
	block_ref next;
};
STOA_TYPE(block, size, (next, block, ref));

typedef struct first_fit {
	block_ref free;
	uint64_t free_bytes;
} first_fit;
STOA_TYPE(first_fit, (free, block, ref), free_bytes);

static const block *
block_at(const stoa_tx *rd, uint64_t off)
{
	return stoa_at(rd, (stoa_ref){off}, sizeof(block));
}

static void
put_free(stoa_tx *tx, const first_fit *h, uint64_t off, uint64_t size)
{
	const block *fresh = block_at(tx, off), *before = NULL, *n;
	const block_ref *link = &h->free;

	STOA_ADD(tx, h->free_bytes, size);
	while ((n = stoa_get(tx, *link)) && link->ref.off < off) {
		before = n;
		link = &n->next;
	}
	if (!fresh)
		return;
	if (n && link->ref.off == off + size) { /* the one behind it is free */
		size += n->size;
		STOA_SET(tx, fresh->next, n->next);
	} else {
		STOA_SET(tx, fresh->next, *link);
	}
	STOA_SET(tx, fresh->size, size);
	if (before &&
		(const char *)before + before->size == (const char *)fresh) {
		STOA_ADD(tx, before->size, size);
		STOA_SET(tx, before->next, fresh->next);
	} else {
		STOA_LINK(tx, *link, fresh);
	}
}

static void
ff_extend(stoa_tx *tx, const void *state, stoa_ref from, uint64_t size)
{
	put_free(tx, state, from.off, size & ~UINT64_C(15));
}

static stoa_ref
ff_alloc(stoa_tx *tx, const void *state, uint64_t size, uint64_t align)
{
	const first_fit *h = state;
	const block_ref *link = &h->free;
	const block *n, *b;

	for (; (n = stoa_get(tx, *link)) != NULL; link = &n->next) {
		/* the tail of it, so that the list stays as it is */
		uint64_t off = link->ref.off;
		uint64_t at = (off + n->size - size) & ~(align - 1);

		if (n->size < size || at < off + 3 * sizeof(block))
			continue; /* too small; what is left is a block too */
		at -= sizeof(block);
		b = block_at(tx, at);
		if (!b)
			break;
		STOA_SET(tx, b->size, off + n->size - at);
		STOA_SET(tx, n->size, at - off);
		STOA_ADD(tx, h->free_bytes, -b->size);
		return (stoa_ref){at + sizeof(block)};
	}
	return (stoa_ref){0};
}

static void
ff_free(stoa_tx *tx, const void *state, stoa_ref ref)
{
	const block *b = block_at(tx, ref.off - sizeof(block));

	if (b)
		put_free(tx, state, ref.off - sizeof(block), b->size);
}

static uint64_t
ff_usable(const stoa_tx *rd, const void *state, stoa_ref ref)
{
	const block *b = block_at(rd, ref.off - sizeof(block));

	(void)state;
	return b ? b->size - sizeof(block) : 0;
}

/* What is counted is what is there. */
static int
ff_check(const stoa_tx *rd, const void *state)
{
	const first_fit *h = state;
	const block_ref *link = &h->free;
	uint64_t left = h->free_bytes;
	const block *n;

	for (; (n = stoa_get(rd, *link)) && n->size <= left; link = &n->next)
		left -= n->size;
	return n || left ? -EBADMSG : 0;
}

static const stoa_heap_class first_fit_heap = {.name = "tails",
	.state = stoa_type_of(first_fit),
	.extend = ff_extend,
	.alloc = ff_alloc,
	.free = ff_free,
	.usable = ff_usable,
	.check = ff_check};

#define STOA_NAME names
#define STOA_KEY  stoa_str
#include <stoa/template/hashmap.h> /* without STOA_VAL: a set */

static int
add(stoa_segment *seg, const names *n, const char *name)
{
	STOA_TX(tx, seg);
	names_put(tx, n, name);
	return stoa_tx_commit(tx);
}

int
main(int argc, char **argv)
{
	bool without = argc == 3 && !strcmp(argv[2], "without");
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const names *n = NULL;
	int rc;

	if (argc < 2)
		return 2;
	rc = stoa_segment_open(argv[1], STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.heap = without ? NULL : &first_fit_heap),
		&seg);
	if (!rc)
		rc = stoa_object_open(seg, "names", names, &n);
	for (int i = 2; i < argc && !rc; i++)
		rc = add(seg, n, argv[i]);
	if (!rc)
		rc = stoa_segment_check(seg);
	if (rc) {
		fprintf(stderr, "45-own-heap: %s\n", stoa_error_text());
		return 1;
	}
	STOA_READ(rd, seg);
	printf("%zu names\n", (size_t)names_count(rd, n));
	return 0;
}
