/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Two accounts, each with its own lock. A transfer happens whole or not at all,
 * whatever kills the process in the middle of it.
 *	02-bank            shows both
 *	02-bank pay N      gives ann N
 *	02-bank move N     from ann to bob
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>

typedef struct account {
	stoa_rwlock lock;
	uint64_t id;
	int64_t balance;
} account;
STOA_TYPE(account, lock, id, balance); /* a pointer inside does not compile */

static int
transfer(stoa_segment *seg, const account *from, const account *to, int64_t n)
{
	STOA_TX(tx, seg, &from->lock, &to->lock);
	if (from->balance < n)
		return stoa_tx_fail(tx, -ERANGE); /* leave: nothing happened */
	STOA_SET(tx, from->balance, from->balance - n);
	STOA_SET(tx, to->balance, to->balance + n);
	return stoa_tx_commit(tx); /* all of it; a kill before: none of it */
}

static int64_t
worth(stoa_segment *seg, const account *a)
{
	STOA_READ(
		rd, seg, &a->lock); /* shared; given up where the block ends */
	return a->balance;
}

static int
run(stoa_segment *seg, const account *ann, const account *bob, int argc,
	char **argv)
{
	if (argc < 3)
		return 0;
	if (!strcmp(argv[1], "pay"))
		return STOA_DO(tx, (seg, &ann->lock),
			STOA_ADD(tx, ann->balance, atoll(argv[2])));
	return transfer(seg, ann, bob, atoll(argv[2]));
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const account *ann = NULL, *bob = NULL;
	int rc;

	if (stoa_segment_open("bank", STOA_CREATE, NULL, &seg) ||
		stoa_object_open(seg, "ann", account, &ann) ||
		stoa_object_open(seg, "bob", account, &bob)) {
		fprintf(stderr, "bank: %s\n", stoa_error_text());
		return 1;
	}
	rc = run(seg, ann, bob, argc, argv);
	if (rc == -ERANGE)
		puts("ann has not that much");
	else if (rc)
		fprintf(stderr, "bank: %s\n", stoa_error_text());
	printf("ann %" PRId64 ", bob %" PRId64 "\n", worth(seg, ann),
		worth(seg, bob));
	return rc != 0;
}
