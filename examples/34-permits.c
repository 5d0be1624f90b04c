/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Two licences for any number of programs. Who is killed with one has given it back.
 *	34-permits use SEGMENT NAME [SECONDS]   keeps one for so long
 *	34-permits try SEGMENT NAME             unless all are in use
 *	34-permits free SEGMENT                 how many are not
 */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <unistd.h>

enum {
	LICENCES = 2
};

typedef struct office {
	stoa_permits licences;
} office;
STOA_TYPE(office, licences);

static int
use(const office *o, const char *name, uint64_t deadline, unsigned seconds)
{
	int rc = stoa_permits_take_until(&o->licences, deadline);

	if (rc)
		return rc;
	printf("%s: has one\n", name);
	(void)fflush(stdout);
	(void)sleep(seconds);
	return stoa_permits_give(&o->licences);
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const office *o = NULL;
	int rc;

	if (argc < 3)
		return 2;
	rc = stoa_segment_open(argv[2], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = stoa_object_open(seg, "office", office, &o);
	if (!rc) /* the same number each time: no matter who says it */
		rc = stoa_permits_set_total(&o->licences, LICENCES);
	if (!rc && !strcmp(argv[1], "use") && argc > 3)
		rc = use(o, argv[3], STOA_FOREVER,
			argc > 4 ? (unsigned)atoi(argv[4]) : 0);
	else if (!rc && !strcmp(argv[1], "try") && argc > 3)
		rc = use(o, argv[3], STOA_NOW, 0);
	else if (!rc && !strcmp(argv[1], "free"))
		printf("%d free\n", (int)stoa_permits_available(&o->licences));
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", argv[1], stoa_error_text());
	return rc != 0;
}
