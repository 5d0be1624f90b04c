/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Every kind of index does the same: random creating, finding, destroying and
 * undoing beside a model, check and leak count after each round. Then what is
 * each one's own: an index that nobody brought, damage, none at all.
 */
#include "object_fixture.h"
#include "stoa/index.h"

/* ---- an index of a program's own: a list through the entries' words ---- */

typedef struct chain {
	uint64_t first;
} chain;
STOA_TYPE(chain, first);

static stoa_ref
chain_find(const stoa_tx *rd, const void *state, const char *key, size_t size)
{
	const chain *c = state;
	stoa_ref at = {c->first};

	for (int n_max = 100000; at.off && n_max > 0; n_max--) {
		const uint64_t *link_of = stoa_index_words(rd, at);
		size_t n;
		const char *k = stoa_index_key(rd, at, &n);

		if (!k || (n == size && !memcmp(k, key, size)))
			return stoa_tx_error(rd) ? (stoa_ref){0} : at;
		at.off = link_of[0];
	}
	return (stoa_ref){0};
}

static void
chain_insert(stoa_tx *tx, const void *state, stoa_ref entry)
{
	const uint64_t *link_of = stoa_index_words(tx, entry);
	const chain *c = state;

	if (link_of) {
		STOA_SET(tx, link_of[0], c->first);
		STOA_SET(tx, c->first, entry.off);
	}
}

static void
chain_remove(stoa_tx *tx, const void *state, stoa_ref entry)
{
	const uint64_t *link = &((const chain *)state)->first;

	while (*link && *link != entry.off)
		link = stoa_index_words(tx, (stoa_ref){*link});
	STOA_SET(tx, *link, *stoa_index_words(tx, entry));
}

static bool
chain_each(const stoa_tx *rd, const void *state,
	bool (*f)(void *user, stoa_ref entry), void *user)
{
	stoa_ref at = {((const chain *)state)->first};

	while (at.off) {
		const uint64_t *link_of = stoa_index_words(rd, at);
		stoa_ref next = {link_of ? link_of[0] : 0};

		if (!link_of || !f(user, at))
			return false;
		at = next;
	}
	return true;
}

static int chain_rc;

static int
chain_check(const stoa_tx *rd, const void *state)
{
	(void)rd;
	(void)state;
	return chain_rc;
}

static const stoa_index_class chain_index = {.name = "chain",
	.state = &stoa_type_chain,
	.find = chain_find,
	.insert = chain_insert,
	.remove = chain_remove,
	.each = chain_each,
	.check = chain_check};

static const stoa_index_class *const kinds[] = {NULL, &stoa_index_hash,
	&stoa_index_ordered, &stoa_index_sorted, &chain_index};

static int
open_with(const stoa_index_class *index)
{
	seg = stoa_segment_close(seg);
	return stoa_segment_open(
		NULL, STOA_CREATE, STOA_SEGMENT_OPTIONS(.index = index), &seg);
}

/* ---- all do the same ---- */

enum {
	NAMES = 400,
	ROUNDS = 300
};

static uint64_t random_state;

static uint64_t
draw(uint64_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1;
	return (random_state >> 33) % below;
}

static void
name_of(char buf[32], uint64_t i)
{
	/* many share beginnings, and some are beginnings of others */
	(void)snprintf(buf, 32, "%.*s%llu", (int)(i % 7), "aaaaaaa",
		(unsigned long long)(i / 3));
}

/* One transaction of several changes; half of them are undone. */
static void
change(uint64_t model[NAMES])
{
	uint64_t trial[NAMES];
	char name[32];
	bool undo = draw(4) == 0;

	memcpy(trial, model, sizeof trial);
	{
		STOA_TX(tx, seg);
		for (uint64_t n = draw(8); n > 0; n--) {
			uint64_t i = draw(NAMES);

			name_of(name, i);
			if (trial[i]) {
				assert_true(stoa_object_destroy(tx, name));
				trial[i] = 0;
				continue;
			}
			trial[i] = draw(5) + 1;
			quote *q = stoa_object_create_array(
				tx, name, quote, trial[i]);
			for (uint64_t k = 0; k < trial[i]; k++)
				q[k].bid = (int64_t)i;
		}
		if (draw(16) == 0)
			assert_true(stoa_object_reserve(tx, draw(1000)));
		if (draw(16) == 0)
			assert_true(stoa_object_shrink(tx));
		if (undo)
			(void)stoa_tx_fail(tx, -EDOM);
		assert_int_equal(stoa_tx_commit(tx), undo ? -EDOM : 0);
	}
	if (!undo)
		memcpy(model, trial, sizeof trial);
}

static void
compare(const uint64_t model[NAMES])
{
	char name[32], last[32] = "";
	uint64_t count, there = 0;

	STOA_READ(rd, seg);
	for (uint64_t i = 0; i < NAMES; i++) {
		name_of(name, i);
		const quote *q =
			stoa_object_find_array(rd, name, quote, &count);
		assert_int_equal(count, model[i]);
		assert_int_equal(q != NULL, model[i] != 0);
		assert_true(!q || q[count - 1].bid == (int64_t)i);
		there += q != NULL;
	}
	assert_int_equal(stoa_object_count(rd, STOA_OBJECT_NAMED), there);
	for (stoa_object it = stoa_object_begin(rd); stoa_object_next(&it);
		there--) {
		assert_true(strcmp(last, it.name) < 0);
		strcpy(last, it.name);
	}
	assert_int_equal(there, 0);
	assert_int_equal(stoa_tx_error(rd), 0);
}

static void
names_are_different(void)
{
	char a[32], b[32];

	for (uint64_t i = 0; i < NAMES; i++)
		for (uint64_t k = 0; k < i; k++) {
			name_of(a, i);
			name_of(b, k);
			assert_string_not_equal(a, b);
		}
}

static void
all_kinds_do_the_same(void **state)
{
	(void)state;
	names_are_different();
	for (size_t k = 0; k < STOAI_COUNT(kinds); k++) {
		uint64_t model[NAMES] = {0};

		assert_int_equal(open_with(kinds[k]), 0);
		random_state = 7;
		for (int i = 0; i < ROUNDS; i++) {
			change(model);
			if (i % 16 == 0) {
				compare(model);
				assert_sound();
			}
		}
		compare(model);
		assert_sound();
		for (uint64_t i = 0; i < NAMES; i++) {
			char name[32];

			name_of(name, i);
			assert_int_equal(
				STOA_DO(tx, seg,
					(void)stoa_object_destroy(tx, name)),
				0);
		}
		assert_int_equal(objects(), 0);
		assert_int_equal(STOA_DO(tx, seg, stoa_object_shrink(tx)), 0);
		assert_sound();
	}
}

/* Sorted names are the worst for a tree that does not balance. */
static void
ordered_names_in_order(void **state)
{
	char name[32];

	(void)state;
	for (size_t k = 2; k < 4; k++) {
		assert_int_equal(open_with(kinds[k]), 0);
		for (int i = 0; i < 3000; i += 100) {
			STOA_TX(tx, seg);
			for (int n = i; n < i + 100; n++) {
				(void)snprintf(name, sizeof name, "%06d",
					k == 2 ? n : 3000 - n);
				(void)stoa_object_create(tx, name, quote);
			}
			assert_int_equal(stoa_tx_commit(tx), 0);
		}
		assert_int_equal(objects(), 3000);
		assert_sound();
	}
}

/* ---- who brings it ---- */

static void
own_index_must_be_brought(void **state)
{
	static const char *const name = "test-own-index";
	static stoa_index_class other, liar;
	stoa_segment *again = NULL;
	const quote *q = NULL;

	(void)state;
	other = chain_index;
	other.name = "other";
	liar = chain_index;
	liar.state = &stoa_type_quote;
	(void)stoa_segment_unlink(name, 0, NULL);
	seg = stoa_segment_close(seg);
	assert_int_equal(
		stoa_segment_open(name, STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.index = &chain_index), &seg),
		0);
	assert_int_equal(stoa_object_open(seg, "a", quote, &q), 0);
	/* mapped already: the process knows it */
	assert_int_equal(stoa_segment_open(name, 0, NULL, &again), 0);
	again = stoa_segment_close(again);
	seg = stoa_segment_close(seg);

	assert_int_equal(stoa_segment_open(name, 0, NULL, &seg), -ENOTSUP);
	assert_text("its objects are found by an index of its program, "
		    "'chain': open it with");
	assert_int_equal(stoa_segment_open(name, STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.index = &other), &seg),
		-ENOTSUP);
	assert_text("given was other");
	assert_int_equal(stoa_segment_open(name, STOA_RDONLY,
				 STOA_SEGMENT_OPTIONS(.index = &liar), &seg),
		-EPROTOTYPE);
	assert_text("the state of its index 'chain' is not the quote");
	assert_null(seg);
	assert_int_equal(
		stoa_segment_open(name, STOA_RDONLY,
			STOA_SEGMENT_OPTIONS(.index = &chain_index), &seg),
		0);
	{
		STOA_READ(rd, seg);
		assert_non_null(stoa_object_find(rd, "a", quote));
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(stoa_segment_check(seg), 0);
	assert_int_equal(stoa_segment_unlink(name, 0, NULL), 0);
}

/* What is built in is found by its name; it counts when the segment is made. */
static void
built_in_needs_nothing(void **state)
{
	static const char *const name = "test-built-in-index";
	const quote *q = NULL;

	(void)state;
	for (size_t k = 1; k < 4; k++) {
		(void)stoa_segment_unlink(name, 0, NULL);
		seg = stoa_segment_close(seg);
		assert_int_equal(
			stoa_segment_open(name, STOA_CREATE,
				STOA_SEGMENT_OPTIONS(.index = kinds[k]), &seg),
			0);
		assert_int_equal(stoa_object_open(seg, "a", quote, &q), 0);
		seg = stoa_segment_close(seg);
		assert_int_equal(
			stoa_segment_open(name, STOA_CREATE,
				STOA_SEGMENT_OPTIONS(.index = &chain_index),
				&seg),
			0);
		assert_int_equal(objects(), 1);
		assert_sound();
	}
	assert_int_equal(stoa_segment_unlink(name, 0, NULL), 0);
}

static void
bad_classes_are_refused(void **state)
{
	static stoa_index_class bad;
	static char long_name[300];

	(void)state;
	bad = chain_index;
	bad.find = NULL;
	assert_int_equal(open_with(&bad), -EINVAL);
	bad = chain_index;
	bad.name = "";
	assert_int_equal(open_with(&bad), -EINVAL);
	memset(long_name, 'n', sizeof long_name - 1);
	bad.name = long_name;
	assert_int_equal(open_with(&bad), -EINVAL);
	assert_null(seg);
}

/* ---- none ---- */

static void
none_has_no_names(void **state)
{
	const quote *q = NULL;
	stoa_ref r;

	(void)state;
	assert_int_equal(open_with(&stoa_index_none), 0);
	assert_int_equal(stoa_object_open(seg, "a", quote, &q), -EOPNOTSUPP);
	assert_text("was made without an index");
	assert_int_equal(stoa_object_open(seg, NULL, quote, &q), -EOPNOTSUPP);
	{
		STOA_TX(tx, seg);
		quote *fresh = stoa_new(tx, quote);

		fresh->bid = 4;
		r = stoa_ref_of(tx, fresh);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	{
		STOA_READ(rd, seg);
		q = stoa_at(rd, r, sizeof *q);
		assert_int_equal(q->bid, 4);
		assert_null(stoa_object_find(rd, "a", quote));
		stoa_object it = stoa_object_begin(rd);
		assert_false(stoa_object_next(&it));
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(stoa_segment_check(seg), 0);
	assert_int_equal(stoa_segment_leaked(seg), 1);
	assert_int_equal(STOA_DO(tx, seg, stoa_delete(tx, quote, q)), 0);
	assert_sound();
}

/* ---- damage ---- */

static struct stoai_root *
root(void)
{
	return stoai_at(seg, stoai_header(seg)->root_off);
}

static void *
index_state(void)
{
	struct stoai_entry *e = stoai_at(seg, root()->index);

	return stoai_entry_elements(e);
}

static void
assert_damaged(const char *text)
{
	assert_int_equal(stoa_segment_check(seg), -EBADMSG);
	assert_text(text);
	{
		STOA_READ(rd, seg);
		(void)stoa_object_find(rd, "b", quote);
		for (stoa_object it = stoa_object_begin(rd);
			stoa_object_next(&it);)
			;
	}
}

/* Longer by the bytes behind it that happen to be 0: padding, or the state's. */
static void
damaged_class_names_are_told(void **state)
{
	(void)state;
	for (size_t k = 2; k < STOAI_COUNT(kinds); k++) {
		struct stoai_entry *e;
		uint32_t was;

		assert_int_equal(open_with(kinds[k]), 0);
		e = stoai_at(seg, root()->index);
		was = e->name_size;
		e->name_size++;
		assert_int_equal(e->name[e->name_size], '\0');
		assert_damaged("object ");
		if (k == 2) /* nobody changes a state that is in a name */
			assert_int_equal(STOA_DO(tx, seg,
						 (void)stoa_object_create(
							 tx, "a", quote)),
				-EBADMSG);
		e->name_size = was;
		assert_sound();
	}
}

/* What its bytes say could be a name. */
static void
link_to_what_is_no_entry(struct stoai_entry *e)
{
	struct stoai_entry *no = NULL;
	uint64_t was = e->next;

	assert_int_equal(STOA_DO(tx, seg, no = stoa_alloc(tx, 64, 16)), 0);
	memset(no, 0, 64);
	no->name_size = 1;
	no->name[0] = 'b';
	e->next = stoai_off(seg, no);
	assert_int_equal(
		STOA_DO(tx, seg, (void)stoa_object_create(tx, "bb", quote)),
		-EBADMSG);
	assert_int_equal(no->hash, 0);
	e->next = was;
	assert_int_equal(STOA_DO(tx, seg, stoa_free(tx, no)), 0);
}

static void
damaged_indexes_are_told(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e"};

	(void)state;
	for (size_t k = 2; k < STOAI_COUNT(kinds); k++) {
		struct stoai_entry *e;
		const quote *q = NULL;
		uint64_t was, *word;

		assert_int_equal(open_with(kinds[k]), 0);
		for (size_t i = 0; i < STOAI_COUNT(names); i++)
			assert_int_equal(
				stoa_object_open(seg, names[i], quote, &q), 0);
		word = index_state();
		was = *word;
		*word = 0;
		assert_damaged("object ");
		*word = was + 8;
		assert_damaged("object ");
		*word = was;
		assert_sound();
		{
			STOA_READ(rd, seg);
			e = stoai_at(seg, stoai_index_find(rd, "c", 1));
		}
		if (k != 3) { /* in circles, by either word */
			was = e->next;
			e->next = stoai_off(seg, e);
			assert_damaged("object ");
			e->next = was;
		}
		if (k == 2)
			link_to_what_is_no_entry(e);
		e->name[0] = '\2'; /* the first all the same, or in a list */
		assert_damaged("object ");
		e->name[0] = 'c';
		if (k != 4) { /* its place says nothing in a list */
			e->name[0] = 'z';
			assert_damaged("object I");
			e->name[0] = 'c';
		}
		/* nor is such a circle as long as somebody says */
		was = root()->count;
		root()->count = UINT64_C(1) << 24; /* more than fit */
		if (k != 3) {
			uint64_t next = e->next;

			e->next = stoai_off(seg, e);
			assert_damaged("object I3: 16777216 objects");
			e->next = next;
		}
		assert_damaged("object I3: 16777216 objects");
		root()->count = was;
		was = root()->index;
		root()->index = 0;
		assert_damaged("object I3");
		root()->index = was + 8;
		assert_damaged("object ");
		root()->index = was;
		assert_sound();
	}
	chain_rc = -EBADMSG;
	assert_int_equal(stoa_segment_check(seg), -EBADMSG);
	chain_rc = 0;
	assert_sound();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(all_kinds_do_the_same),
		T(ordered_names_in_order),
		T(own_index_must_be_brought),
		T(built_in_needs_nothing),
		T(bad_classes_are_refused),
		T(none_has_no_names),
		T(damaged_class_names_are_told),
		T(damaged_indexes_are_told),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
