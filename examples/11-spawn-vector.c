/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A vector made by a process, read and destroyed by another one that it starts.
 *	11-spawn-vector SEGMENT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stoa/stoa.h>

#define STOA_NAME numbers
#define STOA_VAL  int32_t
#include <stoa/template/vec.h>

static int
parent(stoa_segment *seg)
{
	STOA_TX(tx, seg);
	numbers *v = stoa_object_create(tx, "numbers", numbers);

	for (int32_t i = 0; i < 100; i++)
		numbers_push(tx, v, i);
	return stoa_tx_commit(tx);
}

static int
child(stoa_segment *seg)
{
	int64_t sum = 0;

	STOA_TX(tx, seg);
	const numbers *v = stoa_object_find(tx, "numbers", numbers);

	if (!v)
		return stoa_tx_fail(tx, -ENOENT);
	for (size_t i = 0; i < numbers_count(tx, v); i++)
		sum += *numbers_get(tx, v, i);
	printf("the child finds %d numbers, their sum is %d\n",
		(int)numbers_count(tx, v), (int)sum);
	stoa_object_destroy(tx, "numbers");
	return stoa_tx_commit(tx);
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	int rc = argc < 2, status = 0;
	pid_t pid;

	if (!rc)
		rc = stoa_segment_open(argv[1], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = argc > 2 ? child(seg) : parent(seg);
	if (rc)
		fprintf(stderr, "11-spawn-vector: %s\n", stoa_error_text());
	if (rc || argc > 2)
		return rc != 0;
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", argv[0], argv[1], "child",
			(char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		return 1;
	STOA_READ(rd, seg);
	printf("the parent finds %s\n",
		stoa_object_find(rd, "numbers", numbers) ? "it" : "nothing");
	return stoa_tx_error(rd) != 0;
}
