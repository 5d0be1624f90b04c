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

/* The copy has its name and all of it, or is not there. */
static int
save(struct play *p)
{
	char name[PATH_MAX];

	if (!(p->c->flags & CASE_FILE))
		return stoa_segment_save(p->seg, "made", 0, NULL);
	snprintf(name, sizeof name, "%s/made", p->directory);
	return stoa_segment_save(p->seg, name, STOA_FILE, NULL);
}

/* Another segment that nobody has open, and that is to be cut. */
static int
made_long(struct play *p)
{
	stoa_segment *made = NULL;
	int rc = attached(p);

	if (!rc)
		rc = play_open_at(p, "made", STOA_CREATE, &made);
	stoa_segment_close(made);
	return rc;
}

static int
shorten(struct play *p)
{
	(void)p;
	return stoa_segment_resize("made", 0, NULL, 0) <= 0;
}

static int
lengthen(struct play *p)
{
	(void)p;
	return stoa_segment_resize("made", 0, NULL, 200 << 10) <= 0;
}

/* Its last user leaves; killed, the name stays, and the next one finds that. */
static int
made_last_out(struct play *p)
{
	int rc = attached(p);

	return rc ? rc
		  : play_open_at(
			    p, "made", STOA_CREATE | STOA_LAST_OUT, &p->other);
}

static int
leave(struct play *p)
{
	p->other = stoa_segment_close(p->other);
	return 0;
}

static const struct trace_case cases[] = {
	{"create", NULL, create, CASE_CREATE},
	{"create, a file", NULL, create, CASE_CREATE | CASE_FILE},
	{"create, by a temporary name", NULL, create,
		CASE_CREATE | CASE_FILE | CASE_NO_UNNAMED},
	{"save", attached, save, CASE_CREATE},
	{"save, a file", attached, save, CASE_CREATE | CASE_FILE},
	{"resize, shorter", made_long, shorten, CASE_CREATE},
	{"resize, longer", made_long, lengthen, CASE_CREATE},
	{"last one out", made_last_out, leave, CASE_CREATE},
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
