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

/* ---- sums ---- */

static void
every_byte_once(void **state)
{
	stoa_segment_stat all;
	stoa_heap_class_stat class[ROWS];
	uint64_t bytes = 0, lost = 0, used = 0, room = 0;
	stoa_heap_stat s;
	size_t n;

	(void)state;
	for (uint64_t size = 16; size < 300 * KIB; size += size / 2)
		assert_non_null(lone_alloc(size));
	s = stat_now();
	stoa_segment_statistics(seg, &all);
	assert_int_equal(s.size, all.size);
	assert_int_equal(s.used, all.used);
	assert_int_equal(s.transient, all.cached);
	assert_int_equal(s.limit, all.limit);
	n = stoa_heap_classes(seg, class, ROWS);
	assert_in_range(n, 10, 43);
	for (size_t i = 0; i < n; i++) {
		assert_int_not_equal(class[i].kind, STOA_HEAP_DAMAGED);
		assert_true(i == 0 || class[i].kind != STOA_HEAP_SLAB ||
			    class[i].size > class[i - 1].size);
		assert_true(
			class[i].used + class[i].transient <= class[i].blocks);
		bytes += class[i].bytes;
		lost += class[i].lost;
		used += class[i].used;
		room += (class[i].blocks - class[i].used - class[i].transient) *
			class[i].size;
	}
	assert_int_equal(room, s.room);
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
	large = lone_alloc(200 * KIB);
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

static int
setup_lent(void **state)
{
	(void)state;
	return stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 256 * KIB,
			.heap = &stoa_heap_best_fit),
		&seg);
}

static void
lent_runs(void **state)
{
	stoa_heap_class_stat class[ROWS];
	const void *p = lone_alloc(1000);
	stoa_segment_stat all;
	stoa_heap_stat s = stat_now();
	size_t n = stoa_heap_classes(seg, class, ROWS), i = 0;

	(void)state;
	assert_non_null(p);
	stoa_segment_statistics(seg, &all);
	assert_int_equal(s.used, all.used);
	while (i < n && class[i].kind != STOA_HEAP_LENT)
		i++;
	assert_true(i < n && class[i].used && !class[i].lost);
	assert_in_range(class[i].used_bytes, 1000, 2000);
	assert_true(s.room >= class[i].bytes - class[i].used_bytes);
	lone_free(p);
	assert_int_equal(s.used - stat_now().used, 1000);
}

/* ---- by slot ---- */

static int
other_thread_holds(void *arg)
{
	int *pipes = arg;
	char c = 0;
	const void *p = lone_alloc(48);

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
	assert_non_null(lone_alloc(48));
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
	const void *a = lone_alloc(100), *b = lone_alloc(100 * KIB);

	(void)state;
	assert_int_equal(stoa_heap_leaks(seg, leak, 1), 2);
	assert_int_equal(leak[1].offset, 0);
	assert_int_equal(stoa_heap_leaks(seg, leak, 2), 2);
	assert_int_equal(leak[0].offset + leak[1].offset,
		stoai_off(seg, a) + stoai_off(seg, b));
	assert_true(leak[0].offset < leak[1].offset);
	assert_int_equal(type_row("(leaked)").blocks, 2);
	lone_free(a);
	lone_free(b);
	assert_int_equal(stoa_heap_leaks(seg, leak, 2), 0);
	assert_int_equal(stoa_heap_leaks(NULL, leak, 2), -EINVAL);
	assert_int_equal(stoa_heap_types(seg, NULL, 2), -EINVAL);
}

/* ---- the most, and what was refused ---- */

static void
the_most_stays(void **state)
{
	uint64_t before = stat_now().size_most, most;
	const void *large = lone_alloc(8 * KIB * KIB);

	(void)state;
	most = stat_now().size_most;
	assert_true(most >= before + 7 * KIB * KIB);
	assert_true(stat_now().taken_most >= 8 * KIB * KIB);
	/* it grows again while it is full, so it notes that it was */
	assert_non_null(lone_alloc(4 * KIB * KIB));
	lone_free(large);
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
	assert_null(lone_alloc(1024 * KIB));
	s = stat_now();
	assert_int_equal(s.refused[STOA_LIMIT_SEGMENT], 1);
	assert_int_equal(s.last.reason, STOA_LIMIT_SEGMENT);
	assert_int_equal(s.last.wanted, 1024 * KIB);
	assert_int_equal(s.last.pid, getpid());
	assert_int_equal(s.last.slot, stoai_seat_of(seg)->index);
	assert_in_range(s.last.when_ns, began, stoai_os_realtime());
	/* every second one is free: enough, and nothing in one piece */
	while (n < 2 * KIB && (block[n] = lone_alloc(4 * KIB)))
		n++;
	assert_in_range(n, 20, 64);
	assert_int_equal(stat_now().refused[STOA_LIMIT_SEGMENT], 2);
	for (size_t i = 0; i < n; i += 2)
		lone_free(block[i]);
	assert_null(lone_alloc(60 * KIB));
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
	while (n < 2 * KIB && (block[n] = lone_alloc(64)))
		n++;
	assert_in_range(n, 100, 2 * KIB * KIB);
	refused = stat_now().refused[STOA_LIMIT_NONE];
	for (size_t i = 0; i < 8 && i < n; i++)
		lone_free(block[i]);
	assert_non_null(lone_alloc(48));
	assert_int_equal(stat_now().refused[STOA_LIMIT_NONE], refused);
}

/* A killed writer's is none. */
static void
half_told_is_not_told(void **state)
{
	struct stoai_header *h = stoai_header(seg);

	(void)state;
	assert_null(lone_alloc(1024 * KIB));
	h->refused_who = 0;
	assert_int_equal(stat_now().last.reason, STOA_LIMIT_NONE);
	assert_int_equal(stat_now().last.wanted, 0);
	h->refused_who = UINT64_MAX;
	assert_int_equal(stat_now().last.reason, STOA_LIMIT_NONE);
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
			lent_runs, setup_lent, teardown),
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
			half_told_is_not_told, setup_small, teardown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
