/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed at the entry and at the exit of every system call of: making a region,
 * resizing it, removing its name. While the maker stands there, and after its
 * death, a name leads to a whole region or is not there; after a resize the
 * old bytes are there, and behind them zeros; and whoever comes next can work.
 *
 * The judge opens regions as any other process would. Private XSI memory has no
 * name and is not among the cases: region.h says what a death leaves of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* wants the ones above */
#include <stoa/region.h>

#include "fault.h"
#include "scene.h"
#include "tracer.h"

enum {
	SIZE = 70000, /* at first */
	LARGER = 200001,
	SMALLER = 5000,
	MODE = 0640,
	SECONDS = 60
};

struct play {
	const struct region_case *c;
	char *directory;
	char name[300];
	stoa_region *r; /* the victim's */
};

struct region_case {
	const char *title;
	unsigned flags; /* of the name */
	int (*call)(void *play);
	uint64_t size; /* afterwards; 0: no name */
	bool there;    /* before */
	bool no_unnamed;
	bool gives;
	bool fills;
};

/* ---- calls ---- */

static unsigned char
	pattern[SIZE]; /* made before: each instruction is stepped */

static int
put_bytes(void *data, size_t size, void *user)
{
	(void)user;
	memcpy(data, pattern, size);
	return 0;
}

static int
create(void *user)
{
	struct play *p = user;

	return stoa_region_open(p->name, p->c->flags | STOA_CREATE,
		STOA_REGION_OPTIONS(.size = SIZE, .mode = MODE,
			.group = p->c->gives ? STOA_ID(getegid()) : 0u,
			.fill = p->c->fills ? put_bytes : NULL),
		&p->r);
}

static int
grow(void *user)
{
	return stoa_region_resize(((struct play *)user)->r, LARGER);
}

static int
shrink(void *user)
{
	return stoa_region_resize(((struct play *)user)->r, SMALLER);
}

static int
remove_name(void *user)
{
	const struct play *p = user;

	return stoa_region_unlink(p->name, p->c->flags, NULL);
}

static const struct region_case cases[] = {
	{"create, named", 0, create, SIZE, false, false, false, false},
	{"create, a file", STOA_FILE, create, SIZE, false, false, false, false},
	{"create, by a temporary name", STOA_FILE, create, SIZE, false, true,
		false, false},
	{"create, for a group", STOA_FILE, create, SIZE, false, false, true,
		false},
	{"create, filled", STOA_FILE, create, SIZE, false, false, false, true},
	{"create, filled, temporary name", STOA_FILE, create, SIZE, false, true,
		false, true},
	{"create, shm_open", STOA_POSIX, create, SIZE, false, false, false,
		false},
	{"create, XSI", STOA_XSI, create, SIZE, false, false, false, false},
	{"grow", STOA_FILE, grow, LARGER, true, false, false, false},
	{"shrink", STOA_FILE, shrink, SMALLER, true, false, false, false},
	{"unlink, named", 0, remove_name, 0, true, false, false, false},
	{"unlink, shm_open", STOA_POSIX, remove_name, 0, true, false, false,
		false},
	{"unlink, XSI", STOA_XSI, remove_name, 0, true, false, false, false},
};

/* ---- one stage ---- */

static void
stage_open(struct play *p, const struct region_case *c)
{
	static unsigned count;

	memset(p, 0, sizeof *p);
	p->c = c;
	p->directory = scene_directory(false);
	assert_int_equal(setenv("STOA_DIRECTORY", p->directory, 1), 0);
	if (c->flags & STOA_POSIX)
		(void)snprintf(p->name, sizeof p->name, "/stoa-trace-%d-%u",
			(int)getpid(), count++);
	else if (c->flags & STOA_XSI)
		(void)snprintf(p->name, sizeof p->name, "%s", p->directory);
	else if (c->flags & STOA_FILE)
		(void)snprintf(
			p->name, sizeof p->name, "%s/made", p->directory);
	else
		(void)snprintf(p->name, sizeof p->name, "made");
	if (!c->there)
		return;
	assert_int_equal(
		stoa_region_open(p->name, c->flags | STOA_CREATE | STOA_EXCL,
			STOA_REGION_OPTIONS(.size = SIZE, .mode = MODE), &p->r),
		0);
	(void)put_bytes(stoa_region_data(p->r), SIZE, NULL);
}

static void
stage_close(struct play *p)
{
	p->r = stoa_region_close(p->r);
	(void)stoa_region_unlink(p->name, p->c->flags, NULL);
	scene_remove(p->directory);
}

static bool
bytes_are_right(const struct play *p, stoa_region *r)
{
	const unsigned char *at = stoa_region_data(r);

	for (size_t i = 0; i < stoa_region_size(r); i++) {
		const bool kept = (p->c->there || p->c->fills) && i < SIZE;

		if (at[i] != (kept ? pattern[i] : 0))
			return false;
	}
	return true;
}

/* A name leads to something whole, whoever looks whenever. */
static const char *
judge(const struct play *p, bool ended)
{
	const struct region_case *c = p->c;
	stoa_region *r = NULL;
	uint64_t size;
	struct stat st;
	int rc = stoa_region_open(p->name, c->flags, NULL, &r);

	if (rc == -ENOENT)
		return (c->there && c->size) || (ended && c->size)
			       ? "it is not there"
			       : NULL;
	if (rc)
		return stoa_error_text();
	size = stoa_region_size(r);
	if (ended ? size != c->size : size != SIZE && size != c->size)
		return "another size";
	if (stoa_region_mode(r) != MODE)
		return "another mode";
	if (stoa_region_fd(r) >= 0 && !fstat(stoa_region_fd(r), &st) &&
		(uint64_t)st.st_blocks * 512 < size)
		return "pages are missing";
	/* now, since looking makes pages */
	if (!bytes_are_right(p, r))
		return "other bytes";
	r = stoa_region_close(r);
	return NULL;
}

/* After a death everybody can make, open, resize and remove it. */
static const char *
next_one(const struct play *p)
{
	const struct region_case *c = p->c;
	stoa_region *r = NULL;
	int rc;

	if (c->no_unnamed) {
		fault_start();
		fault_always(STOAI_OS_UNNAMED, -EOPNOTSUPP);
	}
	rc = stoa_region_open(p->name, c->flags | STOA_CREATE,
		STOA_REGION_OPTIONS(.size = 10), &r);
	if (!rc && !(c->flags & STOA_XSI))
		rc = stoa_region_resize(r, LARGER + 1);
	r = stoa_region_close(r);
	if (!rc)
		rc = stoa_region_unlink(p->name, c->flags, NULL);
	if (!rc && c->no_unnamed) { /* sweeps what the dead left */
		rc = stoa_region_open(p->name, c->flags | STOA_CREATE,
			STOA_REGION_OPTIONS(.size = 10), &r);
		r = stoa_region_close(r);
		rc = rc ? rc : stoa_region_unlink(p->name, c->flags, NULL);
	}
	fault_stop();
	if (rc)
		return stoa_error_text();
	return c->flags & STOA_FILE && scene_entries(p->directory)
		       ? "names are left"
		       : NULL;
}

static pid_t
victim(struct play *p)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	if (p->c->no_unnamed) {
		fault_start();
		fault_always(STOAI_OS_UNNAMED, -EOPNOTSUPP);
	}
	_exit(trace_call(p->c->call, p) != 0);
}

static bool
unchanged(void *user, bool called)
{
	(void)user;
	(void)called;
	return false; /* no memory is shared: system calls are what there is */
}

static void
survey(const struct region_case *c, struct trace_survey *s)
{
	struct tracee t;
	struct play p;
	const char *wrong;
	pid_t pid;

	stage_open(&p, c);
	pid = victim(&p);
	assert_int_equal(trace_begin(&t, pid, pid), 0);
	assert_int_equal(trace_survey(&t, unchanged, NULL, false, s), 0);
	wrong = judge(&p, true); /* of the whole call: it does what it should */
	if (wrong)
		fail_msg("%s: undisturbed: %s", c->title, wrong);
	(void)trace_kill(&t);
	stage_close(&p);
}

static void
killed_at(const struct region_case *c, const struct trace_point *at)
{
	const char *before, *after, *next;
	struct tracee t;
	struct play p;
	pid_t pid;

	stage_open(&p, c);
	pid = victim(&p);
	assert_int_equal(trace_begin(&t, pid, pid), 0);
	assert_int_equal(trace_run_to(&t, at), 0);
	before = judge(&p, false);
	assert_int_equal(trace_kill(&t), 0);
	after = before ? NULL : judge(&p, false);
	next = before || after ? NULL : next_one(&p);
	if (before || after || next)
		fail_msg("%s: system call %ld (the %uth), %s: %s", c->title,
			at->call, at->nth,
			before  ? "standing there"
			: after ? "dead"
				: "the next one",
			before  ? before
			: after ? after
				: next);
	stage_close(&p);
}

static void
each_case(void **state)
{
	struct trace_survey *s = calloc(1, sizeof *s);

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		unsigned killed = 0;

		(void)alarm(SECONDS);
		survey(&cases[i], s);
		for (uint32_t n = 0; n < s->count; n++) {
			if (s->point[n].place == TRACE_AT)
				continue;
			killed_at(&cases[i], &s->point[n]);
			killed++;
		}
		assert_int_equal(killed, 2 * s->calls);
		printf("%-30s %3u calls %4u killed\n", cases[i].title, s->calls,
			killed);
		(void)fflush(stdout);
	}
	(void)alarm(0);
	free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case),
	};

	for (size_t i = 0; i < SIZE; i++)
		pattern[i] = (unsigned char)(i % 251 + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
