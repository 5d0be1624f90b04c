/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A private copy of a segment: changed here alone, although somebody holds its lock;
 * then dumped to a file, which is a segment again.
 *	42-copy-on-write FILE
 */
#include <stdio.h>
#include <stoa/stoa.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct account {
	int64_t balance;
} account;
STOA_TYPE(account, balance);

static int
add(stoa_segment *seg, int64_t n)
{
	const account *a = NULL;
	int rc = stoa_object_open(seg, "account", account, &a);

	return rc ? rc : STOA_DO(tx, seg, STOA_ADD(tx, a->balance, n));
}

static void
show(stoa_segment *seg, const char *which)
{
	STOA_READ(rd, seg);
	const account *a = stoa_object_find(rd, "account", account);

	printf("%-10s %lld\n", which, a ? (long long)a->balance : -1);
}

/* Another process: in the middle of a change, for as long as the pipe is open. */
static pid_t
somebody_inside(stoa_segment *seg, int *until)
{
	int up[2], down[2];
	char c;
	pid_t pid;

	if (pipe(up) || pipe(down))
		return -1;
	pid = fork();
	if (!pid) {
		const account *a = NULL;
		int rc = stoa_object_open(seg, "account", account, &a);
		STOA_TX(tx, seg);

		STOA_ADD(tx, a->balance, rc + 1000000);
		close(down[1]);
		(void)!write(up[1], "x", 1);
		(void)!read(down[0], &c, 1);
		_exit(0); /* not committed: undone */
	}
	(void)!read(up[0], &c, 1);
	*until = down[1];
	return pid;
}

static int
run(const char *path, stoa_segment **seg, stoa_segment **mine)
{
	int until = -1;
	pid_t pid;
	int rc = stoa_segment_open("bank", STOA_CREATE, NULL, seg);

	if (!rc)
		rc = add(*seg, 100);
	if (rc)
		return rc;
	pid = somebody_inside(*seg, &until);
	rc = stoa_segment_open("bank", STOA_PRIVATE, NULL, mine);
	if (!rc)
		rc = add(*mine, 11); /* its lock is free in the copy */
	close(until);
	waitpid(pid, NULL, 0);
	if (!rc)
		rc = add(*seg, 1);
	if (rc)
		return rc;
	show(*seg, "original:");
	show(*mine, "private:");
	rc = stoa_segment_save(*mine, path, STOA_FILE, NULL);
	*mine = stoa_segment_close(*mine);
	if (!rc)
		rc = stoa_segment_open(path, STOA_FILE, NULL, mine);
	if (!rc)
		show(*mine, "saved:");
	return rc;
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	STOA_CLEANUP(stoa_segment) mine = NULL;
	int rc = run(argc == 2 ? argv[1] : "", &seg, &mine);

	if (rc)
		fprintf(stderr, "%s\n", stoa_error_text());
	(void)stoa_segment_unlink("bank", 0, NULL);
	return rc != 0;
}
