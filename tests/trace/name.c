/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed while a segment is made, while its name goes, and while another one takes
 * its place. A half-made segment must never be seen, and no name may remain that
 * nobody removes.
 */
#include "suite.h"

static int
create(struct play *p)
{
	char name[PATH_MAX];

	if (!(p->c->flags & CASE_FILE))
		return play_open_at(p, "made", STOA_CREATE, &p->seg);
	snprintf(name, sizeof name, "%s/made", p->directory);
	return play_open_at(p, name, STOA_CREATE, &p->seg);
}

static int
attached(struct play *p)
{
	return play_open(p, 0);
}

static int
unlink_it(struct play *p)
{
	bool file = p->c->flags & CASE_FILE;

	return stoa_segment_unlink(
		file ? p->path : "stage", file ? STOA_FILE : 0, NULL);
}

static int
replace(struct play *p)
{
	bool file = p->c->flags & CASE_FILE;
	stoa_segment *fresh;
	int rc = unlink_it(p);

	return rc ? rc
		  : play_open_at(p, file ? p->path : "stage",
			    STOA_CREATE | STOA_EXCL, &fresh);
}

static const struct trace_case cases[] = {
	{"create", NULL, create, CASE_CREATE},
	{"create, a file", NULL, create, CASE_CREATE | CASE_FILE},
	{"create, by a temporary name", NULL, create,
		CASE_CREATE | CASE_FILE | CASE_NO_UNNAMED},
	{"unlink", attached, unlink_it, CASE_RENAME},
	{"unlink and create", attached, replace, CASE_RENAME},
	{"unlink and create, a file", attached, replace,
		CASE_RENAME | CASE_FILE},
};

int
main(int argc, char **argv)
{
	return suite_main("trace/name", cases, sizeof cases / sizeof cases[0],
		argc, argv);
}
