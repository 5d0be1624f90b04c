/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Preloaded into the command, for what does not happen when one wants it to:
 *
 *	STOA_PRELOAD=deadly     a recovery kills who attempts it: it wakes the
 *	                        sleepers of the locks that it releases, and that
 *	                        call aborts
 *	STOA_PRELOAD=restless   the segment never holds still: the head of a lane
 *	                        reads differently each time
 *	STOA_PRELOAD=killed N   killed instead of the Nth call that takes or drops a
 *	                        lock of a file, or wakes somebody; not its children
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "segment/format.h"

static int
wanted(const char *what)
{
	const char *is = getenv("STOA_PRELOAD");

	return is && !strcmp(is, what);
}

static int first_pid;

__attribute__((constructor)) static void
begin(void)
{
	first_pid = getpid();
}

static void
step(void)
{
	static int count;
	const char *is = getenv("STOA_PRELOAD");

	if (is && !strncmp(is, "killed ", 7) && getpid() == first_pid &&
		++count == atoi(is + 7))
		(void)kill(first_pid, SIGKILL);
}

int
fcntl(int fd, int command, ...)
{
	static int (*next)(int, int, ...);
	va_list ap;
	void *arg;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (command == F_OFD_SETLK)
		step();
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "fcntl");
	return next(fd, command, arg);
}

/* The same call, as a program with 64-bit offsets names it. */
int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));

long
syscall(long number, ...)
{
	static long (*next)(long, ...);
	static char count;
	long a[6], rc;
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_futex && a[1] == FUTEX_WAKE && wanted("deadly"))
		abort();
	if (number == SYS_futex && a[1] == FUTEX_WAKE)
		step();
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	rc = next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_pread64 && rc == (long)sizeof(struct stoai_lane) &&
		wanted("restless"))
		((char *)a[1])[rc - 1] = ++count;
	return rc;
}
