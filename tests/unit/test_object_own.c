/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What objects own: destroyed and deleted with them, counted when it leaks,
 * printed, and read by a mapping that knows no types.
 */
#include <pthread.h>
#include <unistd.h>
#include "object_fixture.h"

/* ---- destroy, delete ---- */

static void
destroy_takes_what_it_owns(void **state)
{
	uint64_t before;
	const quote *q = NULL;
	const shelf *s = NULL;
	const list *l = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "stays", quote, &q), 0);
	/* types stay; so make and destroy once before counting */
	assert_int_equal(stoa_object_open(seg, "shelf", shelf, &s), 0);
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, "shelf"),
				 stoa_object_destroy(tx, "list")),
		0);
	before = blocks();
	assert_int_equal(stoa_object_open(seg, "shelf", shelf, &s), 0);
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	{
		STOA_TX(tx, seg);
		for (unsigned i = 0; i < 100; i++) {
			char key[64];

			(void)snprintf(key, sizeof key,
				"a name longer than fits inside %u", i);
			stoa_str_set(tx,
				&books_ensure(tx, &s->by_name, key)->note, key);
			texts_push(tx, &s->lines, key);

			node *n = stoa_new(tx, node);

			stoa_str_set(tx, &n->text, key);
			n->next = l->first;
			STOA_LINK(tx, l->first, n);
		}
		STOA_LINK(tx, l->both[1], stoa_new(tx, node));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_true(blocks() > before + 500);
	assert_sound();
	{
		STOA_TX(tx, seg);
		assert_false(stoa_object_destroy(tx, "nothing"));
		assert_true(stoa_object_destroy(tx, "shelf"));
		assert_true(stoa_object_destroy(tx, "list"));
		assert_false(stoa_object_destroy(tx, "list"));
		assert_int_equal(stoa_tx_error(tx), 0);
		(void)stoa_tx_fail(tx, -EDOM);
	}
	assert_sound();
	assert_int_equal(STOA_DO(tx, seg, stoa_object_destroy(tx, "shelf"),
				 stoa_object_destroy(tx, "list")),
		0);
	assert_int_equal(blocks(), before);
	assert_int_equal(objects(), 1);
	assert_sound();
}

struct holder {
	const stoa_rwlock *lock;
	pthread_barrier_t held, done;
};

static void *
hold(void *p)
{
	struct holder *h = p;

	STOA_READ(rd, seg, h->lock);
	pthread_barrier_wait(&h->held);
	pthread_barrier_wait(&h->done);
	return NULL;
}

static void
destroy_under_a_lock(void **state)
{
	struct holder h;
	const shelf *s = NULL;
	pthread_t thread;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "shelf", shelf, &s), 0);
	assert_int_equal(
		STOA_DO(tx, seg, books_ensure(tx, &s->by_name, "b")), 0);
	for (int inner = 0; inner < 2; inner++) {
		pthread_barrier_init(&h.held, NULL, 2);
		pthread_barrier_init(&h.done, NULL, 2);
		h.lock = &s->lock;
		if (inner) {
			STOA_READ(rd, seg);
			h.lock = &books_get(rd, &s->by_name, "b")->lock;
		}
		assert_int_equal(pthread_create(&thread, NULL, hold, &h), 0);
		pthread_barrier_wait(&h.held);
		assert_int_equal(
			STOA_DO(tx, seg, stoa_object_destroy(tx, "shelf")),
			-EBUSY);
		/* a check passes over what it cannot lock, and is not stuck */
		assert_int_equal(stoa_segment_check(seg), 0);
		pthread_barrier_wait(&h.done);
		pthread_join(thread, NULL);
	}
	assert_sound();
	/* our own lock is no hindrance */
	assert_int_equal(
		STOA_DO(tx, (seg, &s->lock), stoa_object_destroy(tx, "shelf")),
		0);
	assert_sound();
}

static void
delete_what_is_ours_alone(void **state)
{
	const list *l = NULL;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	assert_int_equal(
		STOA_DO(tx, seg, STOA_LINK(tx, l->first, stoa_new(tx, node))),
		0);
	{
		STOA_TX(tx, seg);
		const node *n = stoa_get(tx, l->first);
		const void *inside = (const char *)(const void *)n + 16;

		assert_non_null(n);
		stoa_tx_delete_(tx, &stoa_type_node, inside);
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
		assert_text("was not made by stoa_new");
	}
	{
		STOA_TX(tx, seg);
		node local = {0};

		stoa_tx_delete_(tx, &stoa_type_node, &local);
		assert_int_equal(stoa_tx_commit(tx), -EFAULT);
	}
	{
		STOA_TX(tx, seg);
		stoa_delete(tx, node, (const node *)NULL);
		stoa_delete(tx, node, stoa_get(tx, l->first));
		STOA_LINK(tx, l->first, NULL);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_sound();
}

/* A chain that would need a recursion of a hundred thousand calls. */
static void
long_chains(void **state)
{
	const list *l = NULL;
	uint64_t before;
	char *text;

	(void)state;
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	before = blocks();
	list_make(l, 100000);
	assert_sound();
	text = dump(seg, &stoa_type_list, l);
	assert_non_null(text);
	assert_non_null(strstr(text, "{\"ref\":")); /* cut at some depth */
	free(text);
	{
		STOA_TX(tx, seg);
		stoa_delete(tx, node, stoa_get(tx, l->first));
		STOA_LINK(tx, l->first, NULL);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(blocks(), before);
	assert_sound();
}

static void
leaks_are_counted(void **state)
{
	const list *l = NULL;
	uint64_t off = 0;
	char text[64];

	(void)state;
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	list_make(l, 5);
	assert_int_equal(stoa_segment_leaked(seg), 0);
	{
		STOA_TX(tx, seg);
		node *lost = stoa_new(tx, node);

		off = stoa_ref_of(tx, lost).off;
		STOA_LINK(tx, lost->next, stoa_new(tx, node));
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(stoa_segment_leaked(seg), 2);
	(void)snprintf(text, sizeof text, "2 of %llu blocks are leaked",
		(unsigned long long)blocks());
	assert_text(text);
	assert_int_equal(
		STOA_DO(tx, seg,
			STOA_LINK(tx, l->both[0],
				(const node *)stoa_at(
					tx, (stoa_ref){off}, sizeof(node)))),
		0);
	assert_sound();
}

/* ---- dump, and types that are only stored ---- */

static const char words_text[] =
	"{\"yes\":true,\"c\":\"x\",\"text\":\"abcdef\",\"none\":\"\",\"i8\":-8,"
	"\"i16\":-16,\"i32\":-32,\"i64\":-64,\"u8\":8,\"rgb\":[1,2,3],\"u16\":"
	"16,"
	"\"u32\":32,\"u64\":18446744073709551615,\"f\":0.5,\"d\":0.1,\"more\":["
	"1,"
	"1e+100],\"s\":\"a \\\"text\\\"\",\"raw\":\"00ab0102\",\"raws\":["
	"\"00000000\",\"00000000\"],\"q\":{\"bid\":1,\"ask\":2},\"qs\":[{"
	"\"bid\":"
	"3,\"ask\":4},{\"bid\":5,\"ask\":6}],\"who\":null,\"m\":null,\"l\":"
	"null,"
	"\"cond\":null,\"ref\":null,\"own\":{\"n\":1,\"text\":\"\",\"next\":"
	"null,"
	"\"back\":null},\"refs\":[null,%llu]}\n";

static void
dump_of_everything(void **state)
{
	const words *w = words_make();
	char expected[1024], *text;

	(void)state;
	(void)snprintf(expected, sizeof expected, words_text,
		(unsigned long long)w->own.ref.off);
	text = dump(seg, &stoa_type_words, w);
	assert_string_equal(text, expected);
	free(text);
	text = dump(seg, &stoa_type_words, NULL);
	assert_string_equal(text, "null\n");
	free(text);
	text = dump(seg, &stoa_type_uint64_t, &(uint64_t){7});
	assert_string_equal(text, "7\n");
	free(text);
}

static void
dump_of_owners(void **state)
{
	const words *w = words_make();
	char expected[100];
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	{
		STOA_TX(tx, seg, &w->m);
		STOA_SET(tx, w->who, stoa_owner_self(tx));
		assert_int_equal(stoa_tx_lock(tx, &w->l), 0);
		assert_int_equal(
			stoa_type_dump(tx, &stoa_type_words, w, out), 0);
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	assert_int_equal(fclose(out), 0);
	(void)snprintf(expected, sizeof expected, "{\"pid\":%d,\"tid\":%d}",
		(int)getpid(), (int)gettid());
	for (int i = 0; i < 3; i++) {
		char *at = strstr(text, expected);

		assert_non_null(at);
		*at = ' ';
	}
	free(text);
	assert_int_equal(
		STOA_DO(tx, seg,
			STOA_SET(tx, w->who,
				(stoa_owner){.slot_ = 3, .generation_ = 77})),
		0);
	text = dump(seg, &stoa_type_words, w);
	assert_non_null(text);
	assert_non_null(strstr(text, "\"who\":\"dead\""));
	free(text);
}

/* A second mapping, read-only, in which every type is one that was read. */
static void
types_are_read_back(void **state)
{
	const words *w = words_make();
	stoa_segment *ro = NULL;
	char expected[1024];
	int found = 0;

	(void)state;
	(void)snprintf(expected, sizeof expected, words_text,
		(unsigned long long)w->own.ref.off);
	many_make();
	assert_int_equal(
		stoa_segment_open(NULL, STOA_RDONLY,
			STOA_SEGMENT_OPTIONS(.fd = stoa_segment_fd(seg)), &ro),
		0);
	assert_ptr_not_equal(ro, seg);
	{
		STOA_READ(rd, ro);
		for (stoa_object it = stoa_object_begin(rd);
			stoa_object_next(&it); found++) {
			char *text;

			if (strcmp(it.name, "words") != 0)
				continue;
			assert_ptr_not_equal(it.type, &stoa_type_words);
			assert_int_equal(stoai_type_id(it.type),
				stoai_type_id(&stoa_type_words));
			text = dump(ro, it.type, it.data);
			assert_string_equal(text, expected);
			free(text);
		}
		assert_int_equal(stoa_tx_error(rd), 0);
		assert_null(stoa_object_find(rd, "nothing", quote));
		assert_non_null(stoa_object_find(rd, "words", words));
		assert_int_equal(stoa_tx_error(rd), 0);
	}
	assert_int_equal(found, MANY + 1);
	const quote *q = NULL;
	char name[16];

	many_name(name, 1);
	assert_int_equal(stoa_object_open(ro, name, quote, &q), 0);
	assert_int_equal(q->bid, 1);
	assert_int_equal(stoa_object_open(ro, "nothing", quote, &q), -ENOENT);
	assert_int_equal(stoa_segment_leaked(ro), 0);
	assert_int_equal(stoa_segment_check(ro), 0);
	stoa_segment_close(ro);
}

int
main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(destroy_takes_what_it_owns),
		TEST(destroy_under_a_lock),
		TEST(delete_what_is_ours_alone),
		TEST(long_chains),
		TEST(leaks_are_counted),
		TEST(dump_of_everything),
		TEST(dump_of_owners),
		TEST(types_are_read_back),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
