/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Damage: each invariant of the index broken by hand, blocks with two owners, and
 * every byte of every block of a small segment.
 */
#include "object/parse.h"
#include "object_fixture.h"
#include "segment/geometry.h"
#include <time.h>

/* ---- damage ---- */

static void
look_at_everything(stoa_segment *s)
{
	static const char *const name[] = {"words", "list", "shelf", "x"};
	FILE *null = fopen("/dev/null", "w");

	assert_non_null(null);
	for (size_t i = 0; i < STOAI_COUNT(name); i++) {
		STOA_READ(rd, s);
		(void)stoa_object_find(rd, name[i], words);
	}
	{
		STOA_READ(rd, s);
		for (stoa_object it = stoa_object_begin(rd);
			stoa_object_next(&it);)
			if (stoa_type_dump(rd, it.type, it.data, null))
				break;
	}
	fclose(null);
	if (stoa_segment_leaked(s) < 0 || stoa_segment_check(s) < 0)
		assert_true(stoa_error_text()[0] != '\0');
}

struct place {
	uint64_t off, size;
};

static int
place_add(void *user, uint64_t off, uint64_t size)
{
	struct place *p = user;

	while (p->size)
		p++;
	p->off = off;
	p->size = size;
	return 0;
}

/* What a fresh mapping, which remembers nothing, says of the segment. */
static void
assert_damaged(const char *text)
{
	stoa_segment *ro = NULL;

	assert_int_equal(
		stoa_segment_open(NULL, STOA_RDONLY,
			STOA_SEGMENT_OPTIONS(.fd = stoa_segment_fd(seg)), &ro),
		0);
	assert_int_equal(stoa_segment_check(ro), -EBADMSG);
	assert_text(text);
	stoa_segment_close(ro);
}

/* Each invariant of the index broken by hand, and by which name it is told. */
static void
damage_by_invariant(void **state)
{
	const quote *q = NULL;
	struct stoai_root *root;
	struct stoai_entry *e;
	uint64_t was, off;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "a", quote, &q), 0);
	root = stoai_at(seg, stoai_header(seg)->root_off);
	{
		STOA_READ(rd, seg);
		off = stoai_index_find(rd, "a", 1);
		e = stoai_at(seg, off);
	}
	was = root->bucket_count;
	root->bucket_count = 3;
	assert_damaged("object I1: 3 buckets");
	root->bucket_count = was;

	was = e->hash;
	e->hash ^= 1;
	assert_damaged("object I2: 'a' at");
	e->hash = was;
	e->name[0] = 'b';
	assert_damaged("object I2: 'b' at");
	e->name[0] = 'a';
	e->name_size = 0;
	assert_damaged("object I2: what lies at");
	e->name_size = 1;

	root->count = 2;
	assert_damaged("object I3: 1 objects and 1 types, should be 2 and 1");
	root->count = 1;
	e->next = off;
	assert_damaged("object I3: a chain is longer");
	{
		STOA_READ(rd, seg);
		assert_null(
			stoa_object_find(rd, "q", quote)); /* other bucket */
	}
	e->next = 0;

	was = e->type_id;
	e->type_id++;
	assert_damaged("object I4: 'a' has no stored type");
	e->type_id = was;
	was = e->data_at;
	e->data_at = 0;
	assert_damaged("object I2: what lies at");
	e->data_at = (uint32_t)was + 4; /* not aligned */
	assert_damaged("object E2: 'a' has 1 elements");
	e->data_at = (uint32_t)was + 4096;
	assert_damaged("object I4: its elements at");
	e->data_at = (uint32_t)was | STOAI_ARRAY; /* its name is no count */
	assert_damaged("object ");
	e->data_at = (uint32_t)was;
	root->uniques = 1;
	assert_damaged("0 are unique, should be 1");
	root->uniques = 0;
	assert_sound();
}

/* As many elements as an array says. */
static void
damage_of_counts(void **state)
{
	const quote *q = NULL;
	uint64_t *count;

	(void)state;
	assert_int_equal(stoa_object_open_array(seg, "a", quote, 3, &q), 0);
	count = (uint64_t *)(uintptr_t)q - 1;
	assert_int_equal(*count, 3);
	*count = 0;
	assert_damaged("object E2: 'a' has 0 elements");
	*count = UINT64_MAX / 2;
	assert_damaged("object E2: 'a' has 9223372036854775807 elements");
	*count = 5; /* more than the block holds */
	assert_damaged("object I4: its elements at");
	*count = 3;
	assert_sound();
}

static void
damage_of_stored_types(void **state)
{
	const quote *q = NULL;
	struct stoai_root *root;
	struct stoai_stored_type *s;
	char *text;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "a", quote, &q), 0);
	root = stoai_at(seg, stoai_header(seg)->root_off);
	s = stoai_at(seg, root->types);
	root->type_count = 0;
	assert_damaged("object I5: more than 0 stored types");
	root->type_count = 2;
	assert_damaged("should be 1 and 2");
	root->type_count = 1;
	s->id++;
	assert_damaged("its text does not have this id");
	s->id--;
	text = (char *)s + sizeof *s + 8 * s->target_count;
	text = strstr(text, "bid");
	assert_non_null(text);
	*text = 'c';
	assert_damaged("its text does not have this id");
	*text = 'b';
	s->target_count = 1;
	assert_damaged("stored type");
	s->target_count = 0;
	assert_sound();
}

static void
some_of_each(void)
{
	const list *l = NULL;
	const shelf *s = NULL;

	(void)words_make();
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	assert_int_equal(stoa_object_open(seg, "shelf", shelf, &s), 0);
	list_make(l, 3);
	assert_int_equal(STOA_DO(tx, seg, books_ensure(tx, &s->by_name, "b"),
				 texts_push(tx, &s->lines,
					 "a longer text than "
					 "fits inside")),
		0);
}

/* It parses, and names no type, where one is given. */
static void
stored_type_with_too_many_targets(void **state)
{
	const quote *q = NULL;
	struct stoai_root *root;
	struct stoai_stored_type *s;
	char was[256];
	uint64_t size;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "a", quote, &q), 0);
	root = stoai_at(seg, stoai_header(seg)->root_off);
	s = stoai_at(seg, root->types);
	size = sizeof *s + 8 + s->text_size;
	assert_in_range(size, 1, sizeof was);
	assert_true(stoai_heap_usable(seg, root->types) >= size);
	memcpy(was, s, size);
	memmove((char *)s + sizeof *s + 8, (char *)s + sizeof *s, s->text_size);
	s->target_count = 1;
	assert_damaged("it names 0 types, 1 are given");
	memcpy(s, was, size);
	assert_sound();
}

/* Nothing stands behind a text. */
static void
type_text_is_bounded(void **state)
{
	static const char *const all[] = {
		"\n", "nothing\n", "struct a\n", "struct a 8 8\nb u64 0\n"};

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(all); i++) {
		struct stoai_parsed *parsed = NULL;
		size_t size = strlen(all[i]);
		char *text = malloc(size);

		assert_non_null(text);
		memcpy(text, all[i], size);
		assert_int_equal(stoai_parse(text, size, &parsed), -EBADMSG);
		free(text);
	}
}

/* What the index stands on has room in its own block. */
static void
index_in_small_blocks(void **state)
{
	const quote *q = NULL;
	struct stoai_root *root;
	uint64_t was;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "a", quote, &q), 0);
	root = stoai_at(seg, stoai_header(seg)->root_off);
	was = root->buckets;
	root->buckets = stoai_off(seg, q);
	root->count = 0;
	assert_damaged("object I1: the buckets");
	root->buckets = was;
	root->count = 1;
	assert_sound();
}

/* A circle is walked as often as there are objects: no more than there can be. */
static void
index_goes_round(void **state)
{
	const quote *q = NULL;
	struct stoai_root *root;
	struct stoai_entry *e;
	clock_t began = clock();

	(void)state;
	assert_int_equal(stoa_object_open(seg, "a", quote, &q), 0);
	root = stoai_at(seg, stoai_header(seg)->root_off);
	{
		STOA_READ(rd, seg);
		e = stoai_at(seg, stoai_index_find(rd, "a", 1));
	}
	root->count = UINT64_C(1) << 40;
	e->next = stoai_off(seg, e);
	assert_damaged("object I3");
	assert_int_equal(
		STOA_DO(tx, seg, (void)stoa_object_destroy(tx, "b")), -EBADMSG);
	root->count = 1;
	e->next = 0;
	assert_true(clock() - began < 2 * CLOCKS_PER_SEC);
	assert_sound();
}

/* Where no value can lie a reference leads nowhere. */
static void
references_not_aligned(void **state)
{
	const list *l = NULL;
	const shelf *s = NULL;
	uint64_t *link, box, *table;
	size_t at;

	(void)state;
	some_of_each();
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	assert_int_equal(stoa_object_open(seg, "shelf", shelf, &s), 0);
	link = (uint64_t *)(uintptr_t)&l->first.ref.off;
	*link += 4;
	{
		STOA_READ(rd, seg);
		assert_null(stoa_get(rd, l->first));
		assert_int_equal(stoa_tx_error(rd), -EBADMSG);
	}
	*link -= 4;
	{
		STOA_READ(rd, seg);
		box = stoai_off(seg, books_get(rd, &s->by_name, "b"));
		assert_true(box != 0);
	}
	table = stoai_at(
		seg, s->by_name.core_.table_ & ((UINT64_C(1) << 56) - 1));
	for (at = 0; table[at] != box; at++)
		;
	table[at] += 4;
	{
		STOA_READ(rd, seg);
		assert_null(books_get(rd, &s->by_name, "b"));
		assert_int_equal(stoa_tx_error(rd), -EBADMSG);
	}
	table[at] -= 4;
	assert_sound();
}

static void
root_not_aligned(void **state)
{
	struct stoai_header *h = stoai_header(seg);
	stoa_segment *ro = NULL;

	(void)state;
	h->root_off += 4;
	h->sum = stoai_geometry_sum(h);
	assert_int_equal(
		stoa_segment_open(NULL, STOA_RDONLY,
			STOA_SEGMENT_OPTIONS(.fd = stoa_segment_fd(seg)), &ro),
		-EBADMSG);
	h->root_off -= 4;
	h->sum = stoai_geometry_sum(h);
	assert_sound();
}

enum {
	PLACES = 256
};

/*
 * Each byte of each block, to several values; a fresh mapping each time, so that
 * nothing is remembered. Nothing may crash, hang or write elsewhere; what is
 * looked at through damage is an error or, where no rule is broken, a value.
 */
static void
every_byte_damaged(void **state)
{
	static const unsigned char to[] = {0x00, 0x80, 0xff};
	struct place places[PLACES] = {{0, 0}};
	unsigned noticed = 0, tried = 0;

	(void)state;
	some_of_each();
	assert_int_equal(stoai_heap_each(seg, place_add, places), 0);
	for (struct place *p = places; p->size; p++) {
		for (uint64_t i = 0; i < p->size; i++) {
			unsigned char *at = stoai_at(seg, p->off + i);
			unsigned char was = *at;

			for (size_t k = 0; k < sizeof to; k++) {
				stoa_segment *ro = NULL;

				if (was == to[k] || (i > 64 && i % 23 != 0))
					continue;
				*at = to[k];
				tried++;
				assert_int_equal(
					stoa_segment_open(NULL, STOA_RDONLY,
						STOA_SEGMENT_OPTIONS(
								.fd = stoa_segment_fd(
									seg)),
						&ro),
					0);
				look_at_everything(ro);
				noticed += stoa_segment_check(ro) != 0;
				stoa_segment_close(ro);
				*at = was;
			}
		}
	}
	assert_true(tried > 1000);
	assert_true(noticed > tried / 4);
	assert_sound();
}

static bool
place_add_entry(void *user, uint64_t off, const struct stoai_entry *e)
{
	return place_add(user, off, sizeof *e + e->name_size) == 0;
}

static bool
place_add_stored(void *user, uint64_t off, const struct stoai_stored_type *s)
{
	return place_add(user, off,
		       sizeof *s + 8 * s->target_count + s->text_size) == 0;
}

/* Changes, undone or failed. */
static void
change_everything(void)
{
	static const char *const name[] = {"words", "list", "shelf"};

	for (size_t i = 0; i < STOAI_COUNT(name); i++) {
		STOA_TX(tx, seg);
		(void)stoa_object_destroy(tx, name[i]);
		(void)stoa_object_create(tx, "fresh", guarded);
		for (int k = 0; k < 40; k++) {
			char fresh[2] = {(char)('0' + k), '\0'};

			(void)stoa_object_create(tx, fresh, quote);
		}
		(void)stoa_tx_fail(tx, -EDOM);
	}
}

/* The same of the index, under transactions: undo must bring back every byte. */
static void
damaged_index_changed(void **state)
{
	struct place places[PLACES] = {{0, 0}};

	(void)state;
	some_of_each();
	{
		STOA_READ(rd, seg);
		const struct stoai_root *root = stoai_root(rd);

		(void)place_add(places, stoai_off(seg, root), sizeof *root);
		(void)place_add(places, root->buckets, root->bucket_count * 8);
		assert_true(stoai_index_each(rd, place_add_entry, places));
		assert_true(stoai_stored_each(rd, place_add_stored, places));
	}
	for (struct place *p = places; p->size; p++) {
		for (uint64_t i = 0; i < p->size; i++) {
			unsigned char *at = stoai_at(seg, p->off + i);
			unsigned char was = *at;

			if (i > 64 && i % 23 != 0)
				continue;
			*at = (unsigned char)(was ^ 0x81);
			change_everything();
			assert_int_equal(*at, was ^ 0x81);
			*at = was;
		}
	}
	assert_sound();
}

/* Circles and shared children are damage: found, and no walk is endless. */
static void
owned_twice(void **state)
{
	const list *l = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	list_make(l, 3);
	for (int circle = 0; circle < 2; circle++) {
		STOA_TX(tx, seg);
		const node *n = stoa_get(tx, l->first);
		const node *m = stoa_get(tx, n->next);

		STOA_LINK(tx, l->both[0], circle ? NULL : m);
		STOA_LINK(tx, m->next, circle ? n : NULL);
		assert_int_equal(stoa_tx_commit(tx), 0);
		{
			STOA_TX(inner, seg);
			assert_false(stoa_object_destroy(inner, "list"));
			assert_int_equal(stoa_tx_commit(inner), -EBADMSG);
			assert_text("is owned twice");
		}
		assert_int_equal(stoa_segment_check(seg), -EBADMSG);
		assert_text("object 'list'");
		assert_text("is owned twice");
		assert_int_equal(stoa_segment_leaked(seg), -EBADMSG);
		assert_null(dump(seg, &stoa_type_list, l));
		assert_text("is owned twice");
	}
}

int
main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(damage_by_invariant),
		TEST(damage_of_counts),
		TEST(damage_of_stored_types),
		TEST(stored_type_with_too_many_targets),
		TEST(type_text_is_bounded),
		TEST(index_in_small_blocks),
		TEST(index_goes_round),
		TEST(references_not_aligned),
		TEST(root_not_aligned),
		TEST(every_byte_damaged),
		TEST(damaged_index_changed),
		TEST(owned_twice),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
