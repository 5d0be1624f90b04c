/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Whole programs, in each of which the nth system call or the nth allocation fails,
 * for every n: is it an error with a text, is nothing lost, and does everything go
 * on once calls succeed again?
 *
 * A call that fails must not be half a commit: world.h counts those that said 0.
 * Every n has a process of its own, on a segment of its own.
 */
#include "base/base.h"
#include "fault.h"
#include "world.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
	DONE = 0, /* of a child: the nth was refused, and all was well */
	NO_NTH = 2
};

/* ---- allocations: the linker leads malloc and its like here ---- */

static unsigned allocations, allocation_to_fail;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool
is_refused(void)
{
	return __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED) ==
	       allocation_to_fail;
}

void *
__wrap_malloc(size_t size)
{
	return is_refused() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return is_refused() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return is_refused() ? NULL : __real_realloc(p, size);
}

/* ---- one child ---- */

struct one {
	const struct program *program;
	unsigned nth;
	int error; /* 0: an allocation */
};

static bool
refuse(const struct one *o)
{
	fault_start();
	if (o->error) {
		fault_fail(FAULT_ANY, o->nth, o->error);
		return true;
	}
	allocation_to_fail =
		__atomic_load_n(&allocations, __ATOMIC_RELAXED) + o->nth;
	return true;
}

static bool
was_refused(const struct one *o)
{
	const unsigned to_fail = allocation_to_fail;

	fault_stop();
	allocation_to_fail = 0;
	return o->error ? fault_hit() : allocations >= to_fail;
}

static int
run_one(void *user)
{
	const struct one *o = user;
	const int fds = scene_fds();
	bool hit;
	int rc;

	world_begin(o->program);
	stoai_error_clear();
	refuse(o);
	rc = o->program->run();
	hit = was_refused(o);
	if (!o->program->many)
		world_told(rc);
	if (rc > 0 || (rc && !hit)) {
		(void)fprintf(stderr, "%d (%s)\n", rc, stoa_error_text());
		scene_must_failed("an error of its own", __FILE__, __LINE__);
	}
	if (rc && !o->error && rc != -ENOMEM) {
		(void)fprintf(stderr, "%d (%s)\n", rc, stoa_error_text());
		scene_must_failed("no -ENOMEM", __FILE__, __LINE__);
	}
	world_is_whole();
	must(scene_fds() == fds);
	return hit ? DONE : NO_NTH;
}

/* ---- all of them ---- */

static unsigned
each_nth(const struct program *p, int error)
{
	struct one o = {p, 0, error};
	int rc;

	do {
		char *folder = scene_directory(false);

		o.nth++;
		assert_int_equal(setenv("STOA_DIRECTORY", folder, 1), 0);
		rc = scene_child(run_one, &o);
		scene_remove(folder);
		if (rc != DONE && rc != NO_NTH)
			fail_msg("%s: the %uth %s refused with %s: child: %d",
				p->name, o.nth,
				error ? "system call" : "allocation",
				error ? strerror(-error) : "NULL", rc);
	} while (rc == DONE);
	return o.nth - 1;
}

static void
each_system_call(void **state)
{
	static const int errors[] = {-ENOSPC, -EMFILE, -EIO, -EPERM, -ENOSYS};

	(void)state;
	world_way = (struct world_way){"w", 0};
	for (int i = 0; i < PROGRAMS; i++) {
		unsigned calls = 0;

		for (size_t e = 0; e < sizeof errors / sizeof *errors; e++)
			calls += each_nth(&programs[i], errors[e]);
		printf("%-20s %5u system calls refused\n", programs[i].name,
			calls);
		assert_true(calls > 20 * sizeof errors / sizeof *errors);
	}
}

static void
each_allocation(void **state)
{
	unsigned n = 0;

	(void)state;
	world_way = (struct world_way){"w", 0};
	for (int i = 0; i < PROGRAMS; i++)
		n += each_nth(&programs[i], 0);
	printf("%u allocations refused\n", n);
	assert_true(n > 40);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_system_call),
		cmocka_unit_test(each_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
