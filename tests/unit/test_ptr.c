/* SPDX-License-Identifier: BSL-1.0 */
/*
 * ptr: leads to the same bytes wherever they are mapped, knows null from itself,
 * keeps its tag, and is undone with a transaction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <stoa/ptr.h>
#include <stoa/stoa.h>

typedef struct node node;
typedef STOA_PTR(node) node_ptr;
struct node {
	int value;
	node_ptr next;
};

enum {
	NODES = 100
};

static void
zero_is_null_and_self_is_a_target(void **state)
{
	STOA_PTR(node_ptr) self = {.ptr = {0}};
	STOA_PTR(char) byte = {.ptr = {0}};
	node_ptr p;

	(void)state;
	memset(&p, 0, sizeof p);
	assert_int_equal(sizeof p, 8);
	assert_true(stoa_ptr_is_null(p));
	assert_null(stoa_ptr_get(p));
	stoa_ptr_set(self, (node_ptr *)(void *)&self);
	assert_false(stoa_ptr_is_null(self));
	assert_ptr_equal(stoa_ptr_get(self), &self);
	/* every byte near it, the one after its first included */
	for (int i = -300; i < 300; i++) {
		char *target = (char *)((uintptr_t)&byte + (uintptr_t)i);

		stoa_ptr_set(byte, target);
		assert_ptr_equal(stoa_ptr_get(byte), target);
		assert_false(stoa_ptr_is_null(byte));
	}
	stoa_ptr_set(byte, NULL);
	assert_true(stoa_ptr_is_null(byte) && byte.ptr.word_ == 0);
}

static void
the_tag_stays(void **state)
{
	node a[2] = {{.value = 1}, {.value = 2}};
	node_ptr other = {.ptr = {0}};

	(void)state;
	for (unsigned tag = 0; tag <= STOA_PTR_TAG_MAX; tag++) {
		stoa_ptr_set_tag(a[0].next, tag);
		stoa_ptr_set(a[0].next, &a[1]);
		assert_int_equal(stoa_ptr_tag(a[0].next), tag);
		assert_ptr_equal(stoa_ptr_get(a[0].next), &a[1]);
		stoa_ptr_copy(other, a[0].next);
		assert_true(stoa_ptr_equal(other, a[0].next));
		assert_int_equal(stoa_ptr_tag(other), tag);
		stoa_ptr_set(a[0].next, NULL);
		assert_true(stoa_ptr_is_null(a[0].next));
		assert_int_equal(stoa_ptr_tag(a[0].next), tag);
	}
}

static void
arithmetic_and_order(void **state)
{
	node a[NODES];
	STOA_PTR(const node) first = {.ptr = {0}};
	STOA_PTR(const node) i = {.ptr = {0}};
	const node *raw;

	(void)state;
	memset(a, 0, sizeof a);
	for (int n = 0; n < NODES; n++)
		a[n].value = n;
	stoa_ptr_add(i, 3);
	assert_true(stoa_ptr_is_null(i)); /* null stays null */
	stoa_ptr_set(first, &a[0]);
	stoa_ptr_copy(i, first);
	for (int n = 0; n < NODES; n++, stoa_ptr_add(i, 1)) {
		assert_int_equal(stoa_ptr_get(i)->value, n);
		assert_int_equal(stoa_ptr_diff(i, first), n);
		assert_true(stoa_ptr_less(first, i) == (n > 0));
		assert_false(stoa_ptr_less(i, first));
	}
	stoa_ptr_add(i, -NODES);
	assert_true(stoa_ptr_equal(i, first));
	raw = stoa_ptr_get(i);
	assert_true(raw == a);
	assert_int_equal(*stoa_ptr_cast_const(int, i), 0);
	assert_ptr_equal(stoa_ptr_cast(char, a[0].next), NULL);
}

/* The same pages at two places: what is linked at one is read at the other. */
static void
two_mappings_agree(void **state)
{
	const size_t size = 1 << 20;
	int fd = memfd_create("ptr", MFD_CLOEXEC);
	node *at[2], *n;
	int seen = 0;

	(void)state;
	assert_true(fd >= 0 && !ftruncate(fd, (off_t)size));
	for (int i = 0; i < 2; i++) {
		at[i] = mmap(
			NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		assert_ptr_not_equal(at[i], MAP_FAILED);
	}
	for (int i = 0; i < NODES; i++) {
		at[0][i].value = i;
		stoa_ptr_set(at[0][i].next,
			i + 1 < NODES ? &at[0][(i + 1) * 7 % NODES] : NULL);
	}
	for (int i = 0; i < NODES; i++) {
		n = stoa_ptr_get(at[1][i].next);
		assert_true(
			i + 1 < NODES ? n == &at[1][(i + 1) * 7 % NODES] : !n);
		seen += n != NULL;
	}
	assert_int_equal(seen, NODES - 1);
	/* as a whole it can be copied, too */
	n = malloc(sizeof(node) * NODES);
	assert_non_null(n);
	memcpy(n, at[0], sizeof(node) * NODES);
	assert_ptr_equal(stoa_ptr_get(n[0].next), &n[7]);
	free(n);
	assert_int_equal(munmap(at[0], size) | munmap(at[1], size), 0);
	assert_int_equal(close(fd), 0);
}

static void
the_short_form_reaches_one_gib(void **state)
{
	const size_t far = (size_t)1 << 30;
	char *span = mmap(NULL, 2 * far + 4096, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	stoa_ptr32 *p = (stoa_ptr32 *)(void *)(span + far);

	(void)state;
	assert_ptr_not_equal(span, MAP_FAILED);
	assert_int_equal(mprotect(p, 4096, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(sizeof *p, 4);
	assert_null(stoa_ptr32_get(char, p));
	assert_true(stoa_ptr32_set(p, p));
	assert_ptr_equal(stoa_ptr32_get(stoa_ptr32, p), p);
	assert_true(stoa_ptr32_set(p, span));
	assert_ptr_equal(stoa_ptr32_get(char, p), span);
	assert_true(stoa_ptr32_set(p, span + 2 * far - 1));
	assert_ptr_equal(stoa_ptr32_get(char, p), span + 2 * far - 1);
	assert_false(stoa_ptr32_set(p, span + 2 * far));
	assert_null(stoa_ptr32_get(char, p));
	assert_true(stoa_ptr32_set(p, NULL));
	assert_null(stoa_ptr32_get(char, p));
	assert_int_equal(munmap(span, 2 * far + 4096), 0);
}

typedef STOA_PTR(const uint64_t) number_ptr;
STOA_TYPE_OPAQUE(number_ptr);
typedef struct held {
	uint64_t number[4];
	number_ptr chosen;
} held;
STOA_TYPE(held, number, (chosen, number_ptr));

static void
a_transaction_undoes_it(void **state)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const held *h = NULL;

	(void)state;
	assert_int_equal(
		stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL, NULL, &seg),
		0);
	assert_int_equal(stoa_object_open(seg, "held", held, &h), 0);
	assert_null(stoa_ptr_get(h->chosen));
	assert_int_equal(
		STOA_DO(tx, seg, STOA_PTR_SET(tx, h->chosen, &h->number[2])),
		0);
	assert_ptr_equal(stoa_ptr_get(h->chosen), &h->number[2]);
	{
		STOA_TX(tx, seg);
		STOA_PTR_SET(tx, h->chosen, NULL);
		assert_null(stoa_ptr_get(h->chosen));
		/* left without commit */
	}
	assert_ptr_equal(stoa_ptr_get(h->chosen), &h->number[2]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_is_null_and_self_is_a_target),
		cmocka_unit_test(the_tag_stays),
		cmocka_unit_test(arithmetic_and_order),
		cmocka_unit_test(two_mappings_agree),
		cmocka_unit_test(the_short_form_reaches_one_gib),
		cmocka_unit_test(a_transaction_undoes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
