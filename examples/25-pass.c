/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Memory without a name, passed through a socket. The seal is the kernel's: who
 * receives it can read, and never write, whoever he is.
 */
#include <stdio.h>
#include <stoa/region.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int
receive(int socket)
{
	STOA_CLEANUP(stoa_region) r = NULL;
	int fd = stoa_fd_receive(socket);
	int rc = fd < 0 ? fd
			: stoa_region_open(
				  NULL, 0, STOA_REGION_OPTIONS(.fd = fd), &r);

	if (fd >= 0) {
		printf("for writing: %s\n", rc ? stoa_error_text() : "yes");
		rc = stoa_region_open(
			NULL, STOA_RDONLY, STOA_REGION_OPTIONS(.fd = fd), &r);
		(void)close(fd);
	}
	if (!rc)
		printf("for reading: %s\n", (const char *)stoa_region_data(r));
	return rc;
}

static int
give(int socket)
{
	STOA_CLEANUP(stoa_region) r = NULL;
	int rc = stoa_region_open(NULL, STOA_CREATE,
		STOA_REGION_OPTIONS(.size = 4096,
			.seal = STOA_SEAL_SHRINK | STOA_SEAL_FUTURE_WRITE),
		&r);

	if (rc)
		return rc;
	strcpy(stoa_region_data(r), "written by the one who made it");
	return stoa_fd_send(socket, stoa_region_fd(r));
}

int
main(void)
{
	int s[2], status = 1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s))
		return 1;
	if (fork() == 0) {
		(void)close(s[0]);
		if (receive(s[1]))
			fprintf(stderr, "%s\n", stoa_error_text());
		fflush(stdout);
		_exit(0);
	}
	(void)close(s[1]);
	if (give(s[0]))
		fprintf(stderr, "%s\n", stoa_error_text());
	(void)close(s[0]);
	(void)wait(&status);
	return status != 0;
}
