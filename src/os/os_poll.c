/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Descriptors that are waited for: which are ready, and a descriptor that another
 * thread makes ready?
 *
 * Invariants:
 *   I1  A thread of ours takes no signal: handlers are for the program's own.
 *   I2  No call is a cancellation point, and no descriptor is a standard stream.
 */
#include "os/ask.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

int
stoai_os_poll(struct pollfd *fds, unsigned n, uint64_t deadline)
{
	int rc = stoai_os_ask(STOAI_OS_POLL);
	long done;

	if (rc)
		return rc;
	do { /* what is left of it, as the call knows no deadlines */
		uint64_t now =
			deadline && deadline != UINT64_MAX ? stoai_os_now() : 0;
		uint64_t left = deadline > now ? deadline - now : 0;
		struct timespec t = {.tv_sec = (time_t)(left / NS_PER_S),
			.tv_nsec = (long)(left % NS_PER_S)};

		done = syscall(SYS_ppoll, fds, (unsigned long)n,
			deadline == UINT64_MAX ? NULL : &t, NULL, (size_t)8);
	} while (stoai_os_interrupted(done));
	return stoai_os_result(done);
}

int
stoai_os_event(void)
{
	int rc = stoai_os_ask(STOAI_OS_EVENT), fd, higher;

	if (rc)
		return rc;
	fd = stoai_os_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	/* I2 */
	higher = stoai_os_result(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
	(void)syscall(SYS_close, fd);
	return higher;
}

void
stoai_os_event_set(int fd)
{
	const uint64_t one = 1;

	(void)syscall(SYS_write, fd, &one, sizeof one);
}

void
stoai_os_event_clear(int fd)
{
	uint64_t count;

	(void)syscall(SYS_read, fd, &count, sizeof count);
}

int
stoai_os_thread(pthread_t *ret, void *(*run)(void *), void *arg)
{
	int rc = stoai_os_ask(STOAI_OS_THREAD);
	pthread_attr_t attr;
	sigset_t all;

	if (rc)
		return rc;
	rc = pthread_attr_init(&attr);
	if (rc)
		return -rc;
	(void)sigfillset(&all); /* I1 */
	rc = pthread_attr_setsigmask_np(&attr, &all);
	if (!rc)
		rc = pthread_create(ret, &attr, run, arg);
	(void)pthread_attr_destroy(&attr);
	return -rc;
}
