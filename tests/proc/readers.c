/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Read-only openings beside writers: what is read is either true or refused, a
 * writer that was killed is told from one that came between, and nobody crashes
 * or goes round for ever, whatever is changed, freed, trimmed or killed meanwhile.
 */
#include <sys/mman.h>
#include "proc.h"

#define STOA_NAME words
#define STOA_KEY  stoa_str
#define STOA_VAL  stoa_str
#include <stoa/template/hashmap.h>

#define STOA_NAME numbers
#define STOA_VAL  uint64_t
#include <stoa/template/vec.h>

enum {
	READERS = 2,
	HAMMER_MS = 700,
	KEYS = 40,
	KILLS = 20
};

typedef struct pair {
	uint64_t a, b; /* equal, and the length of the list */
	stoa_str text; /* all of one letter */
	words all; /* every value is its key, then a sign, then its key again */
	numbers list; /* 0, 1, 2 ... */
} pair;
STOA_TYPE(pair, a, b, text, (all, words), (list, numbers));

static void
change(stoa_segment *seg, const pair *p, unsigned n)
{
	static char letters[6000];
	char key[64], value[160];
	unsigned k = n % KEYS;
	STOA_TX(tx, seg);

	memset(letters, 'a' + (int)(n % 26), sizeof letters);
	snprintf(key, sizeof key, "%s key %u", n % 3 ? "a long long long" : "k",
		k);
	snprintf(value, sizeof value, "%s=%s", key, key);
	stoa_str_setn(tx, &p->text, letters, n % 7 ? n % 6000 : n % 20);
	if (n % 5)
		words_put(tx, &p->all, key, value);
	else
		words_remove(tx, &p->all, key);
	if (n % 1000 > 900)
		numbers_clear(tx, &p->list);
	else
		numbers_push(tx, &p->list, numbers_count(tx, &p->list));
	STOA_SET(tx, p->a, numbers_count(tx, &p->list));
	STOA_SET(tx, p->b, p->a);
	if (n % 11)
		MUST(!stoa_tx_commit(tx));
}

static int
writer(struct peer *me, void *user)
{
	stoa_segment *seg = segment_open();
	const pair *p = NULL;

	(void)user;
	MUST(seg && !stoa_object_open(seg, "pair", pair, &p));
	tell(me, 'w');
	for (unsigned n = 0;; n++) {
		change(seg, p, n);
		if (n % 500 == 0)
			MUST(stoa_segment_trim(seg) >= 0);
		if (n % 256 == 0)
			ms_sleep(1);
	}
	return 0;
}

static bool
one_letter(const char *text)
{
	return strspn(text, (char[]){text[0], '\0'}) == strlen(text);
}

static bool
doubled(const char *key, const char *value)
{
	size_t size = strlen(key);

	return strlen(value) == 2 * size + 1 && value[size] == '=' &&
	       !memcmp(value, key, size) && !strcmp(value + size + 1, key);
}

/* One reading of everything; what it found counts only if it was true. */
static int
look(stoa_segment *seg)
{
	bool even = true, letters = true, words_true = true, listed = true;
	uint64_t i = 0;
	int rc;
	STOA_READ(rd, seg);
	const pair *p = stoa_object_find(rd, "pair", pair);

	if (!p)
		return stoa_tx_error(rd) ? stoa_tx_error(rd) : -ENOENT;
	even = p->a == p->b && p->a == numbers_count(rd, &p->list);
	letters = one_letter(stoa_str_get(rd, &p->text));
	for (words_iter it = words_begin(rd, &p->all); words_next(&it);)
		words_true &= doubled(it.key, it.val);
	for (; i < numbers_count(rd, &p->list); i++) {
		const uint64_t *n = numbers_get(rd, &p->list, i);

		if (!n)
			break;
		listed &= *n == i;
	}
	listed &= i == p->a;
	rc = stoa_tx_error(rd);
	if (!rc)
		MUST(even && letters && words_true && listed);
	return rc;
}

static int
reader(struct peer *me, void *user)
{
	uint64_t end = ms_now() + HAMMER_MS, seen = 0, again = 0;
	stoa_segment *seg = NULL;

	(void)user;
	MUST(!stoa_segment_open("test", STOA_RDONLY, NULL, &seg));
	while (ms_now() < end) {
		int rc = look(seg);

		MUST(!rc || rc == -EAGAIN);
		seen += !rc;
		again += rc == -EAGAIN;
	}
	printf("reader: %llu readings, %llu torn and refused\n",
		(unsigned long long)seen, (unsigned long long)again);
	fflush(stdout);
	MUST(seen > 50);
	MUST(again > 0);
	stoa_segment_close(seg);
	tell(me, 'r');
	return 0;
}

static void
beside_a_living_writer(void **state)
{
	struct peer w, r[READERS];

	(void)state;
	w = peer_start(writer, NULL);
	assert_int_equal(hear(&w), 'w');
	for (int i = 0; i < READERS; i++)
		r[i] = peer_start(reader, NULL);
	for (int i = 0; i < READERS; i++)
		peer_join(&r[i]);
	peer_kill(&w);
	assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
}

/* Killed in a change, nobody repairs: not -EAGAIN, which one would repeat for ever. */
static int
dies_inside(struct peer *me, void *user)
{
	stoa_segment *seg = segment_open();
	const pair *p = NULL;

	(void)user;
	MUST(seg && !stoa_object_open(seg, "pair", pair, &p));
	change(seg, p, 1);
	STOA_TX(tx, seg);
	STOA_ADD(tx, p->a, 1);
	tell(me, 'i');
	pause();
	return stoa_tx_error(tx);
}

static void
beside_a_killed_writer(void **state)
{
	stoa_segment *ro = NULL, *rw;
	struct peer w;

	(void)state;
	w = peer_start(dies_inside, NULL);
	assert_int_equal(hear(&w), 'i');
	assert_int_equal(stoa_segment_open("test", STOA_RDONLY, NULL, &ro), 0);
	{
		STOA_READ_UNTIL(rd, stoa_in_ms(50), ro, stoa_segment_lock(ro));
		assert_null(stoa_object_find(rd, "pair", pair));
		assert_int_equal(stoa_tx_error(rd), -ETIMEDOUT); /* it lives */
	}
	peer_kill(&w);
	for (int i = 0; i < 3; i++) {
		STOA_READ(rd, ro);
		assert_null(stoa_object_find(rd, "pair", pair));
		assert_int_equal(stoa_tx_error(rd), -EOWNERDEAD);
		assert_non_null(strstr(stoa_error_text(), "stoa recover"));
	}
	rw = segment_open(); /* repairs */
	assert_non_null(rw);
	/* without tokens, opening does not look for who died */
	assert_true(stoa_segment_recover(rw) >= 0);
	assert_int_equal(look(ro), 0);
	stoa_segment_close(ro);
	segment_judge(rw);
	stoa_segment_close(rw);
	assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
}

/* Killed at any time: a reader is told within a moment, and is well again. */
static void
beside_writers_that_are_killed(void **state)
{
	stoa_segment *ro = NULL, *rw;
	unsigned dead = 0;

	(void)state;
	for (int i = 0; i < KILLS; i++) {
		struct peer w = peer_start(writer, NULL);
		uint64_t end;
		int rc;

		assert_int_equal(hear(&w), 'w');
		if (!ro)
			assert_int_equal(stoa_segment_open("test", STOA_RDONLY,
						 NULL, &ro),
				0);
		ms_sleep(3 + (unsigned)i % 7);
		peer_kill(&w);
		end = ms_now() + 5000;
		do
			rc = look(ro);
		while (rc == -EAGAIN && ms_now() < end);
		assert_true(!rc || rc == -EOWNERDEAD);
		dead += rc == -EOWNERDEAD;
		rw = segment_open();
		assert_non_null(rw);
		assert_true(stoa_segment_recover(rw) >= 0);
		assert_int_equal(look(ro), 0);
		stoa_segment_close(rw);
	}
	printf("%u of %d died in a change\n", dead, KILLS);
	stoa_segment_close(ro);
	assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
}

/* The kernel holds a reader to it: its mapping cannot be made writable. */
static void
the_kernel_enforces_it(void **state)
{
	stoa_segment *rw = segment_open(), *ro = NULL;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	char *lock;

	(void)state;
	assert_non_null(rw);
	assert_int_equal(stoa_segment_open("test", STOA_RDONLY, NULL, &ro), 0);
	lock = (char *)(uintptr_t)stoa_segment_lock(ro);
	assert_int_equal(mprotect((void *)((uintptr_t)lock & ~(page - 1)), page,
				 PROT_READ | PROT_WRITE),
		-1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(
		fcntl(stoa_segment_fd(ro), F_GETFL) & O_ACCMODE, O_RDONLY);
	stoa_segment_close(ro);
	stoa_segment_close(rw);
	assert_int_equal(stoa_segment_unlink("test", 0, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beside_a_living_writer),
		cmocka_unit_test(beside_a_killed_writer),
		cmocka_unit_test(beside_writers_that_are_killed),
		cmocka_unit_test(the_kernel_enforces_it),
	};

	return RUN_IN_ALL_WAYS("readers", tests);
}
