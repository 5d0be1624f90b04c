/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Counting leaks beside processes that write under locks of their own: a block that
 * was listed and then freed is no damage.
 */
#include "proc.h"

enum {
	TEXTS = 16,
	WRITERS = 2,
	COUNTS = 3000
};

typedef struct text {
	stoa_mutex lock;
	stoa_str s;
} text;
STOA_TYPE(text, lock, s);
typedef struct texts {
	text at[TEXTS];
} texts;
STOA_TYPE(texts, (at, text));

static int
write_texts(struct peer *me, void *user)
{
	static const char *const words[] = {"short",
		"a text that is too long to stand in its place, so in a block"};
	stoa_segment *seg = segment_open();
	const texts *t = NULL;

	(void)user;
	MUST(seg && !stoa_object_open(seg, "texts", texts, &t));
	MUST(tell(me, 'r'));
	for (unsigned i = 0;; i++) {
		const text *one = &t->at[i * 7 % TEXTS];

		MUST(!STOA_DO(tx, (seg, &one->lock),
			stoa_str_set(tx, &one->s, words[i / TEXTS % 2])));
	}
	return 0;
}

static void
counted_beside_writers(void **state)
{
	stoa_segment *seg = segment_open();
	struct peer writer[WRITERS];
	const texts *t = NULL;
	unsigned known = 0;

	(void)state;
	assert_non_null(seg);
	assert_int_equal(stoa_object_open(seg, "texts", texts, &t), 0);
	for (int i = 0; i < WRITERS; i++) {
		writer[i] = peer_start(write_texts, NULL);
		assert_int_equal(hear(&writer[i]), 'r');
	}
	for (int i = 0; i < COUNTS; i++) {
		int64_t leaked = stoa_segment_leaked(seg);

		if (leaked < 0 && leaked != -EAGAIN)
			fail_msg("%lld: %s", (long long)leaked,
				stoa_error_text());
		known += leaked >= 0;
	}
	for (int i = 0; i < WRITERS; i++)
		peer_kill(&writer[i]);
	assert_true(known > 0);
	segment_judge(seg);
	assert_int_equal(stoa_segment_leaked(seg), 0);
	stoa_segment_close(seg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counted_beside_writers),
	};

	return RUN_IN_ALL_WAYS("leaks", tests);
}
