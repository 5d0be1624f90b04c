/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A picture that programs draw into, in place and without undo, under a lock of its
 * own. Who is killed while drawing leaves half a line; the next one is told, and wipes.
 *	14-raw-lock draw SEGMENT LETTER [SECONDS]   a whole line, kept for so long amid
 *	14-raw-lock show SEGMENT                    shared
 *	14-raw-lock fix SEGMENT                     looks upgradable, writes if need be
 */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <unistd.h>

enum {
	WIDTH = 8
};

typedef struct picture {
	stoa_rwlock lock;
	char line[WIDTH];
} picture;
STOA_TYPE(picture, lock, line);

/* What no transaction guards is written through a pointer of one's own. */
static char *
line_of(const picture *p)
{
	return (char *)(uintptr_t)p->line;
}

static bool
is_whole(const picture *p)
{
	for (int i = 1; i < WIDTH; i++)
		if (p->line[i] != p->line[0])
			return false;
	return true;
}

static int
draw(const picture *p, char letter, unsigned seconds)
{
	int rc = 0;

	STOA_LOCKED_AS(rc, &p->lock, STOA_EXCLUSIVE, STOA_FOREVER)
	{
		if (rc == -EOWNERDEAD) {
			printf("somebody died here: %.*s\n", WIDTH, p->line);
			memset(line_of(p), '.', WIDTH);
			stoa_rwlock_mend(&p->lock);
			rc = 0;
		}
		memset(line_of(p), letter, WIDTH / 2);
		if (seconds) {
			printf("%c: half of it\n", letter);
			(void)fflush(stdout);
			(void)sleep(seconds);
		}
		memset(line_of(p) + WIDTH / 2, letter, WIDTH / 2);
	}
	return rc;
}

static int
show(const picture *p)
{
	int rc = 0;

	STOA_LOCKED_AS(rc, &p->lock, STOA_SHARED, stoa_in_ms(1000))
	printf("%.*s%s\n", WIDTH, p->line, rc ? " (half made)" : "");
	return rc == -EOWNERDEAD ? 0 : rc;
}

/* Others may read while it looks; nobody can change what it has seen. */
static int
fix(const picture *p)
{
	STOA_GUARD(g, &p->lock);
	int rc = stoa_guard_lock(&g, STOA_UPGRADABLE, STOA_FOREVER);

	if (rc && rc != -EOWNERDEAD)
		return rc;
	if (is_whole(p)) {
		printf("nothing to do\n");
		return 0;
	}
	rc = stoa_guard_move(&g, &g, STOA_EXCLUSIVE, STOA_FOREVER);
	if (rc)
		return rc;
	memset(line_of(p), '.', WIDTH);
	stoa_rwlock_mend(&p->lock);
	printf("wiped\n");
	return 0;
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const picture *p = NULL;
	int rc;

	if (argc < 3)
		return 2;
	rc = stoa_segment_open(argv[2], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = stoa_object_open(seg, "picture", picture, &p);
	if (!rc && !strcmp(argv[1], "draw") && argc > 3)
		rc = draw(
			p, argv[3][0], argc > 4 ? (unsigned)atoi(argv[4]) : 0);
	else if (!rc && !strcmp(argv[1], "show"))
		rc = show(p);
	else if (!rc && !strcmp(argv[1], "fix"))
		rc = fix(p);
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_error_text());
	return rc != 0;
}
