/* SPDX-License-Identifier: BSL-1.0 */
/* Accounts of the heap: every byte in one sum, whose it is, what was refused, the most. */
#include <sys/wait.h>
#include <unistd.h>
#include "object_fixture.h"
#include "os/os.h"
#include "stoa/heapstat.h"

enum {
	ROWS = 300,
	KIB = 1024
};

static stoa_heap_stat
stat_now(void)
{
	stoa_heap_stat s;

	stoa_heap_statistics(seg, &s);
	assert_int_equal(
		s.size, s.used + s.transient + s.room + s.free + s.lost);
	assert_true(s.size <= s.size_most && s.taken_most <= s.size_most);
	return s;
}

static const void *
alloc(uint64_t size)
{
	STOA_TX(tx, seg);
	const void *p = stoa_alloc(tx, size, 0);

	return stoa_tx_commit(tx) ? NULL : p;
}

static void
release(const void *p)
{
	assert_int_equal(STOA_DO(tx, seg, stoa_free(tx, p)), 0);
}

/* ---- sums ---- */

static void
every_byte_once(void **state)
{
	stoa_segment_stat all;
	stoa_heap_class_stat class[ROWS];
	uint64_t bytes = 0, lost = 0, used = 0;
	stoa_heap_stat s;
	size_t n;

	(void)state;
	for (uint64_t size = 16; size < 300 * KIB; size += size / 2)
		assert_non_null(alloc(size));
	s = stat_now();
	stoa_segment_statistics(seg, &all);
	assert_int_equal(s.size, all.size);
	assert_int_equal(s.used, all.used);
	assert_int_equal(s.transient, all.cached);
	assert_int_equal(s.limit, all.limit);
	n = stoa_heap_classes(seg, class, ROWS);
	assert_in_range(n, 10, 42);
	for (size_t i = 0; i < n; i++) {
		assert_int_not_equal(class[i].kind, STOA_HEAP_DAMAGED);
		assert_true(i == 0 || class[i].kind != STOA_HEAP_SLAB ||
			    class[i].size > class[i - 1].size);
		assert_true(
			class[i].used + class[i].transient <= class[i].blocks);
		bytes += class[i].bytes;
		lost += class[i].lost;
		used += class[i].used;
	}
	assert_int_equal(bytes, s.size);
	assert_int_equal(lost, s.lost);
	assert_int_equal(used, all.blocks);
	/* the number of rows does not depend on the room for them */
	assert_int_equal(stoa_heap_classes(seg, class, 1), n);
	assert_int_equal(stoa_heap_classes(seg, NULL, 0), n);
}

static void
spans_from_end_to_end(void **state)
{
	stoa_heap_span it = stoa_heap_spans(seg);
	const void *large;
	uint64_t next = 0;
	bool met = false;

	(void)state;
	assert_false(stoa_heap_span_next(&(stoa_heap_span){0}));
	large = alloc(200 * KIB);
	while (stoa_heap_span_next(&it)) {
		assert_int_equal(it.first, next);
		next = it.first + it.count;
		met |= it.offset == stoai_off(seg, large) &&
		       it.kind == STOA_HEAP_LARGE && it.used == 1 &&
		       it.slot == STOA_HEAP_NOBODY && it.bytes >= 200 * KIB;
	}
	assert_true(met);
	assert_int_equal(next * stat_now().span_size, stat_now().size);
}

/* ---- by slot ---- */

static int
other_thread_holds(void *arg)
{
	int *pipes = arg;
	char c = 0;
	const void *p = alloc(48);

	if (!p || write(pipes[1], &c, 1) != 1 || read(pipes[2], &c, 1) != 1)
		return 1;
	return 0;
}

static void
slots_by_process(void **state)
{
	stoa_heap_slot_stat slot[ROWS] = {0};
	uint64_t transient = 0, bytes = 0;
	stoa_heap_stat s;
	int pipes[4];
	char c = 0;
	size_t n;
	pid_t child;

	(void)state;
	assert_non_null(alloc(48));
	assert_int_equal(pipe(pipes) | pipe(pipes + 2), 0);
	child = fork();
	if (!child)
		_exit(other_thread_holds(pipes));
	assert_int_equal(read(pipes[0], &c, 1), 1);
	s = stat_now();
	n = stoa_heap_slots(seg, slot, ROWS);
	/* the last row: slabs of who made the segment */
	assert_int_equal(n, 3);
	assert_int_equal(slot[2].slot, STOA_HEAP_NOBODY);
	for (size_t i = 0; i < 2; i++) {
		assert_true(slot[i].slabs && slot[i].used && slot[i].lane);
		assert_true(
			slot[i].since_ns && slot[i].since_ns < stoai_os_now());
		assert_int_equal(slot[i].bytes, slot[i].slabs * s.span_size);
		transient += slot[i].transient;
		bytes += slot[i].bytes;
	}
	assert_int_equal(slot[0].pid, getpid());
	assert_int_equal(slot[1].pid, child);
	assert_int_equal(transient, s.transient);
	assert_true(bytes + slot[2].bytes <= s.size - s.free);
	bytes = slot[2].used + slot[1].used;
	/* dead, and recovered: its slab with what shared data has is nobody's */
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(stoa_segment_recover(seg), 1);
	memset(slot, 0, sizeof slot);
	assert_int_equal(stoa_heap_slots(seg, slot, ROWS), 2);
	assert_int_equal(slot[1].slot, STOA_HEAP_NOBODY);
	assert_int_equal(slot[1].pid, 0);
	assert_int_equal(slot[1].used, bytes);
	assert_int_equal(slot[1].transient, 0);
	for (int i = 0; i < 4; i++)
		close(pipes[i]);
}

/* ---- by type ---- */

static stoa_heap_type_stat
type_row(const char *name)
{
	stoa_heap_type_stat row[ROWS] = {0};
	int64_t n = stoa_heap_types(seg, row, ROWS);

	assert_in_range(n, 1, ROWS);
	for (int64_t i = 0; i < n; i++)
		if (!strcmp(row[i].type, name))
			return row[i];
	return (stoa_heap_type_stat){0};
}

static void
types_are_all(void **state)
{
	stoa_heap_type_stat row[ROWS] = {0};
	uint64_t sum_blocks = 0, sum_bytes = 0;
	const list *l = NULL;
	const shelf *s = NULL;
	int64_t n;

	(void)state;
	(void)words_make();
	assert_int_equal(stoa_object_open(seg, "list", list, &l), 0);
	assert_int_equal(stoa_object_open(seg, "shelf", shelf, &s), 0);
	list_make(l, 10);
	{
		STOA_TX(tx, seg);
		stoa_str_set(tx,
			&books_ensure(tx, &s->by_name, "a long key, not inside")
				 ->note,
			"a text that is too long to stand in the string");
		assert_int_equal(stoa_tx_commit(tx), 0);
	}
	n = stoa_heap_types(seg, row, ROWS);
	assert_in_range(n, 6, ROWS);
	for (int64_t i = 0; i < n; i++) {
		assert_true(!i || row[i].bytes <= row[i - 1].bytes);
		assert_true(row[i].lost < row[i].bytes);
		sum_blocks += row[i].blocks;
		sum_bytes += row[i].bytes;
	}
	assert_int_equal(sum_blocks, blocks());
	assert_int_equal(sum_bytes, stat_now().used);
	assert_int_equal(type_row("node").blocks, 11);
	assert_int_equal(type_row("node").lost,
		type_row("node").bytes - 11 * sizeof(node));
	assert_int_equal(type_row("list").blocks, 1);
	assert_int_equal(type_row("shelf").blocks, 1);
	assert_int_equal(type_row("hashmap(stoa_str,boxed:guarded)").blocks, 2);
	assert_true(type_row("stoa_str").blocks >= 1);
	assert_true(type_row("(library)").blocks >= 8);
	assert_int_equal(type_row("(leaked)").blocks, 0);
	assert_int_equal(stoa_heap_types(seg, row, 1), n);
}

static void
leaks_are_listed(void **state)
{
	stoa_heap_leak leak[2] = {{0, 0}};
	const void *a = alloc(100), *b = alloc(100 * KIB);

	(void)state;
	assert_int_equal(stoa_heap_leaks(seg, leak, 1), 2);
	assert_int_equal(leak[1].offset, 0);
	assert_int_equal(stoa_heap_leaks(seg, leak, 2), 2);
	assert_int_equal(leak[0].offset + leak[1].offset,
		stoai_off(seg, a) + stoai_off(seg, b));
	assert_true(leak[0].offset < leak[1].offset);
	assert_int_equal(type_row("(leaked)").blocks, 2);
	release(a);
	release(b);
	assert_int_equal(stoa_heap_leaks(seg, leak, 2), 0);
	assert_int_equal(stoa_heap_leaks(NULL, leak, 2), -EINVAL);
	assert_int_equal(stoa_heap_types(seg, NULL, 2), -EINVAL);
}

/* ---- the most, and what was refused ---- */

static void
the_most_stays(void **state)
{
	uint64_t before = stat_now().size_most, most;
	const void *large = alloc(8 * KIB * KIB);

	(void)state;
	most = stat_now().size_most;
	assert_true(most >= before + 7 * KIB * KIB);
	assert_true(stat_now().taken_most >= 8 * KIB * KIB);
	/* it grows again while it is full, so it notes that it was */
	assert_non_null(alloc(4 * KIB * KIB));
	release(large);
	assert_true(stoa_segment_trim(seg) > 0);
	assert_true(stat_now().taken_most >= 8 * KIB * KIB);
	assert_true(stat_now().size_most >= most);
}

static int
setup_small(void **state)
{
	(void)state;
	return stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 256 * KIB, .limit = 256 * KIB),
		&seg);
}

static void
refusals_by_reason(void **state)
{
	const uint64_t began = stoai_os_realtime();
	const void *block[2 * KIB];
	stoa_heap_stat s = stat_now();
	size_t n = 0;

	(void)state;
	assert_int_equal(s.refused[STOA_LIMIT_NONE], 0);
	assert_int_equal(s.last.reason, STOA_LIMIT_NONE);
	assert_null(alloc(1024 * KIB));
	s = stat_now();
	assert_int_equal(s.refused[STOA_LIMIT_SEGMENT], 1);
	assert_int_equal(s.last.reason, STOA_LIMIT_SEGMENT);
	assert_int_equal(s.last.wanted, 1024 * KIB);
	assert_int_equal(s.last.pid, getpid());
	assert_int_equal(s.last.slot, stoai_seat_of(seg)->index);
	assert_in_range(s.last.when_ns, began, stoai_os_realtime());
	/* every second one is free: enough, and nothing in one piece */
	while (n < 2 * KIB && (block[n] = alloc(4 * KIB)))
		n++;
	assert_in_range(n, 20, 64);
	assert_int_equal(stat_now().refused[STOA_LIMIT_SEGMENT], 2);
	for (size_t i = 0; i < n; i += 2)
		release(block[i]);
	assert_null(alloc(60 * KIB));
	s = stat_now();
	assert_int_equal(s.refused[STOA_LIMIT_PIECES], 1);
	assert_int_equal(s.refused[STOA_LIMIT_NONE], 3);
	assert_int_equal(s.last.reason, STOA_LIMIT_PIECES);
	assert_int_equal(s.last.wanted, 60 * KIB);
}

/* One of a larger class is given in its stead: that is no refusal. */
static void
made_good_is_not_refused(void **state)
{
	const void *block[2 * KIB];
	size_t n = 0;
	uint64_t refused;

	(void)state;
	while (n < 2 * KIB && (block[n] = alloc(64)))
		n++;
	assert_in_range(n, 100, 2 * KIB * KIB);
	refused = stat_now().refused[STOA_LIMIT_NONE];
	for (size_t i = 0; i < 8 && i < n; i++)
		release(block[i]);
	assert_non_null(alloc(48));
	assert_int_equal(stat_now().refused[STOA_LIMIT_NONE], refused);
}

/* A killed writer's is none. */
static void
half_told_is_not_told(void **state)
{
	struct stoai_header *h = stoai_header(seg);

	(void)state;
	assert_null(alloc(1024 * KIB));
	h->refused_who = 0;
	assert_int_equal(stat_now().last.reason, STOA_LIMIT_NONE);
	assert_int_equal(stat_now().last.wanted, 0);
	h->refused_who = UINT64_MAX;
	assert_int_equal(stat_now().last.reason, STOA_LIMIT_NONE);
}

/* ---- the profile ---- */

enum {
	LIVE_COUNT,
	LIVE_BYTES,
	ALL_COUNT,
	ALL_BYTES
};

/* Parsed as pprof does: the head's sums, which must be those of the rows. */
static void
profile_read(unsigned long long ret[4])
{
	unsigned long long sum[4] = {0}, row[4];
	char *text = NULL, *line, *rest;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool maps = false;

	assert_int_equal(
		stoa_heap_profile_write(seg, STOA_PROFILE_PPROF, out), 0);
	assert_int_equal(fclose(out), 0);
	line = strtok_r(text, "\n", &rest);
	assert_int_equal(sscanf(line,
				 "heap profile: %llu: %llu [%llu: %llu] @ "
				 "heapprofile",
				 &ret[0], &ret[1], &ret[2], &ret[3]),
		4);
	while ((line = strtok_r(NULL, "\n", &rest)) && !maps) {
		void *frame;

		maps = !strcmp(line, "MAPPED_LIBRARIES:");
		if (maps)
			continue;
		assert_int_equal(
			sscanf(line, "%llu: %llu [%llu: %llu] @ %p", &row[0],
				&row[1], &row[2], &row[3], &frame),
			5);
		for (int i = 0; i < 4; i++)
			sum[i] += row[i];
	}
	/* the first one may be a sanitizer's, which nobody may read */
	assert_true(maps && line && (strstr(line, "r-") || strstr(rest, "r-")));
	for (int i = 0; i < 4; i++)
		assert_in_range(sum[i] + 64, ret[i], ret[i] + 128);
	free(text);
}

/* Lines of "a;b;c N": how many, and the sum of N. */
static unsigned long long
collapsed_sum(stoa_heap_profile_format format, unsigned *lines)
{
	unsigned long long sum = 0;
	char *text = NULL, *line, *rest;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	*lines = 0;
	assert_int_equal(stoa_heap_profile_write(seg, format, out), 0);
	assert_int_equal(fclose(out), 0);
	for (line = strtok_r(text, "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest)) {
		char *number = strchr(line, ' ');

		assert_non_null(number);
		assert_null(strchr(number + 1, ' '));
		assert_non_null(strchr(line, ';'));
		sum += strtoull(number + 1, NULL, 10);
		++*lines;
	}
	free(text);
	return sum;
}

static void
profile_is_exact(void **state)
{
	unsigned long long is[4];
	const void *a, *b, *many[10];
	unsigned lines;

	(void)state;
	assert_int_equal(
		stoa_heap_profile_write(seg, STOA_PROFILE_LIVE, stdout),
		-EINVAL);
	assert_int_equal(stoa_heap_profile_start(NULL, 1), -EINVAL);
	(void)alloc(500); /* before it began */
	assert_int_equal(stoa_heap_profile_start(seg, 1), 0);
	a = alloc(100);
	b = alloc(70000);
	profile_read(is);
	assert_int_equal(is[LIVE_COUNT], 2);
	assert_int_equal(is[LIVE_BYTES], 70100);
	release(a);
	profile_read(is);
	assert_int_equal(is[LIVE_COUNT], 1);
	assert_int_equal(is[LIVE_BYTES], 70000);
	assert_int_equal(is[ALL_COUNT], 2);
	assert_int_equal(is[ALL_BYTES], 70100);
	{ /* what is undone is gone again, what is made at once is there */
		STOA_TX(tx, seg);
		(void)stoa_alloc(tx, 1000, 0);
		(void)stoa_alloc_many(tx, 10, 32, 0, (void **)(uintptr_t)many);
		profile_read(is);
		assert_int_equal(is[LIVE_BYTES], 71320);
	}
	profile_read(is);
	assert_int_equal(is[LIVE_BYTES], 70000);
	assert_int_equal(is[ALL_COUNT], 13);
	assert_int_equal(collapsed_sum(STOA_PROFILE_LIVE, &lines), 70000);
	assert_int_equal(lines, 1);
	assert_int_equal(
		collapsed_sum(STOA_PROFILE_ALLOCATED, &lines), is[ALL_BYTES]);
	assert_in_range(lines, 3, 4);
	stoa_heap_profile_stop(seg);
	(void)alloc(100);
	profile_read(is);
	assert_int_equal(is[ALL_COUNT], 13);
	release(b);
	profile_read(is); /* it is looked at again */
	assert_int_equal(is[LIVE_COUNT], 0);
	assert_int_equal(stoa_heap_profile_start(seg, 1), 0);
	profile_read(is);
	assert_int_equal(is[ALL_COUNT], 0);
}

/* Freed by another process, which has no profile of its own. */
static void
profile_and_others(void **state)
{
	unsigned long long is[4];
	const void *a;
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(stoa_heap_profile_start(seg, 1), 0);
	a = alloc(100);
	child = fork();
	if (!child) {
		int rc = STOA_DO(tx, seg, stoa_free(tx, a));

		_exit(rc || !alloc(3000) ||
			stoa_heap_profile_write(
				seg, STOA_PROFILE_LIVE, stdout) != -EINVAL ||
			stoa_heap_profile_start(seg, 1) || !alloc(3000));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	profile_read(is);
	assert_int_equal(is[ALL_COUNT], 1);
	assert_int_equal(is[LIVE_COUNT], 0);
}

/* Samples stand for all; every second block is freed, of many thousand. */
static void
profile_estimates(void **state)
{
	enum {
		BLOCKS = 20000,
		SIZE = 200
	};
	unsigned long long is[4];
	const void *block[2];

	(void)state;
	assert_int_equal(stoa_heap_profile_start(seg, 4096), 0);
	for (int i = 0; i < BLOCKS; i += 2) {
		block[0] = alloc(SIZE);
		block[1] = alloc(SIZE);
		release(block[0]);
	}
	profile_read(is);
	/* about 1000 samples: more than 5 standard deviations off is wrong */
	assert_in_range(
		is[ALL_BYTES], BLOCKS * SIZE * 8 / 10, BLOCKS * SIZE * 12 / 10);
	assert_in_range(
		is[LIVE_BYTES], BLOCKS * SIZE * 3 / 10, BLOCKS * SIZE * 7 / 10);
	assert_in_range(is[ALL_COUNT], BLOCKS * 8 / 10, BLOCKS * 12 / 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_byte_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			spans_from_end_to_end, setup, teardown),
		cmocka_unit_test_setup_teardown(
			slots_by_process, setup, teardown),
		cmocka_unit_test_setup_teardown(types_are_all, setup, teardown),
		cmocka_unit_test_setup_teardown(
			leaks_are_listed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_most_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(
			refusals_by_reason, setup_small, teardown),
		cmocka_unit_test_setup_teardown(
			made_good_is_not_refused, setup_small, teardown),
		cmocka_unit_test_setup_teardown(
			half_told_is_not_told, setup_small, teardown),
		cmocka_unit_test_setup_teardown(
			profile_is_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(
			profile_and_others, setup, teardown),
		cmocka_unit_test_setup_teardown(
			profile_estimates, setup, teardown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
