/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Programs that share nothing but a name: a printer that one uses at a time, and a
 * bell that some wait for.
 *	16-named-lock print NAME TEXT [SECONDS]  under the mutex of that name
 *	16-named-lock wait NAME                  for the bell: a condition, NAME.bell
 *	16-named-lock ring NAME
 *	16-named-lock list                       what has a name
 *	16-named-lock remove NAME
 */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <unistd.h>

static int
print(const char *name, const char *text, unsigned seconds)
{
	STOA_CLEANUP(stoa_named) printer = NULL;
	int rc = stoa_named_open(
		name, STOA_NAMED_MUTEX, STOA_CREATE, NULL, &printer);

	if (rc)
		return rc;
	STOA_LOCKED_AS(
		rc, stoa_named_mutex(printer), STOA_EXCLUSIVE, STOA_FOREVER)
	{
		if (rc == -EOWNERDEAD) {
			printf("(somebody died at the printer)\n");
			stoa_mutex_mend(stoa_named_mutex(printer));
			rc = 0;
		}
		printf("%s\n", text);
		(void)fflush(stdout);
		(void)sleep(seconds);
	}
	return rc;
}

/* The bell and the lock of those who wait for it: two names. */
static int
bell(const char *name, bool ring)
{
	STOA_CLEANUP(stoa_named) lock = NULL;
	STOA_CLEANUP(stoa_named) rings = NULL;
	char text[100];
	int rc;

	(void)snprintf(text, sizeof text, "%s.bell", name);
	rc = stoa_named_open(name, STOA_NAMED_MUTEX, STOA_CREATE, NULL, &lock);
	if (!rc)
		rc = stoa_named_open(
			text, STOA_NAMED_COND, STOA_CREATE, NULL, &rings);
	if (!rc)
		rc = stoa_mutex_lock(stoa_named_mutex(lock));
	if (rc)
		return rc;
	if (ring) {
		rc = stoa_cond_broadcast(stoa_named_cond(rings));
	} else {
		printf("waiting\n");
		(void)fflush(stdout);
		rc = stoa_cond_wait(stoa_named_cond(rings),
			stoa_named_mutex(lock), stoa_in_ms(10000));
		printf("%s\n", rc ? "nothing rang" : "it rang");
	}
	stoa_mutex_unlock(stoa_named_mutex(lock));
	return rc;
}

static int
show(const char *name, enum stoa_named_kind kind, void *user)
{
	(void)user;
	printf("%s\t%s\n", stoa_named_word(kind), name);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int rc;

	if (!strcmp(what, "print") && argc > 3)
		rc = print(argv[2], argv[3],
			argc > 4 ? (unsigned)atoi(argv[4]) : 0);
	else if (!strcmp(what, "wait") && argc > 2)
		rc = bell(argv[2], false);
	else if (!strcmp(what, "ring") && argc > 2)
		rc = bell(argv[2], true);
	else if (!strcmp(what, "list"))
		rc = stoa_named_each(0, NULL, show, NULL);
	else if (!strcmp(what, "remove") && argc > 2)
		rc = stoa_named_unlink(argv[2], 0, NULL);
	else
		return 2;
	if (rc)
		(void)fprintf(stderr, "%s: %s\n", what, stoa_error_text());
	return rc != 0;
}
