/* SPDX-License-Identifier: BSL-1.0 */
/* Profile of the heap: exact where all is sampled, right on average where some is. */
#include <sys/wait.h>
#include <unistd.h>
#include "object_fixture.h"
#include "stoa/heapstat.h"

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
	/* a line of the kernel's follows */
	assert_true(maps && line &&
		    sscanf(line, "%llx-%llx %*4s", &row[0], &row[1]) == 2);
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
	(void)lone_alloc(500); /* before it began */
	assert_int_equal(stoa_heap_profile_start(seg, 1), 0);
	a = lone_alloc(100);
	b = lone_alloc(70000);
	profile_read(is);
	assert_int_equal(is[LIVE_COUNT], 2);
	assert_int_equal(is[LIVE_BYTES], 70100);
	lone_free(a);
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
	(void)lone_alloc(100);
	profile_read(is);
	assert_int_equal(is[ALL_COUNT], 13);
	lone_free(b);
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
	a = lone_alloc(100);
	child = fork();
	if (!child) {
		int rc = STOA_DO(tx, seg, stoa_free(tx, a));

		_exit(rc || !lone_alloc(3000) ||
			stoa_heap_profile_write(
				seg, STOA_PROFILE_LIVE, stdout) != -EINVAL ||
			stoa_heap_profile_start(seg, 1) || !lone_alloc(3000));
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
		block[0] = lone_alloc(SIZE);
		block[1] = lone_alloc(SIZE);
		lone_free(block[0]);
	}
	profile_read(is);
	/* about 1000 samples: more than 5 standard deviations off is wrong */
	assert_in_range(
		is[ALL_BYTES], BLOCKS * SIZE * 8 / 10, BLOCKS * SIZE * 12 / 10);
	assert_in_range(
		is[LIVE_BYTES], BLOCKS * SIZE * 3 / 10, BLOCKS * SIZE * 7 / 10);
	assert_in_range(is[ALL_COUNT], BLOCKS * 8 / 10, BLOCKS * 12 / 10);
}

static int
setup_class(void **state)
{
	(void)state;
	return stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 1 << 20,
			.heap = &stoa_heap_best_fit),
		&seg);
}

/* A heap class's blocks: made, undone, freed, freed by another process. */
static void
profile_of_a_class(void **state)
{
	unsigned long long is[4];
	const void *a;

	(void)state;
	assert_int_equal(stoa_heap_profile_start(seg, 1), 0);
	a = lone_alloc(800);
	assert_non_null(lone_alloc(8000));
	profile_read(is);
	assert_int_equal(is[LIVE_BYTES], 8800);
	{
		STOA_TX(tx, seg);
		(void)stoa_alloc(tx, 400, 0);
	}
	profile_read(is);
	assert_int_equal(is[LIVE_BYTES], 8800);
	assert_int_equal(is[ALL_BYTES], 9200);
	lone_free(a);
	profile_read(is);
	assert_int_equal(is[LIVE_BYTES], 8000);
	assert_int_equal(is[LIVE_COUNT], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			profile_is_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(
			profile_and_others, setup, teardown),
		cmocka_unit_test_setup_teardown(
			profile_of_a_class, setup_class, teardown),
		cmocka_unit_test_setup_teardown(
			profile_estimates, setup, teardown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
