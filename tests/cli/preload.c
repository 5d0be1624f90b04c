/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Preloaded into the command, for what does not happen when one wants it to:
 *
 *	STOA_PRELOAD=deadly     a recovery kills who attempts it: it wakes the
 *	                        sleepers of the locks that it releases, and that
 *	                        call aborts
 *	STOA_PRELOAD=restless   the segment never holds still: the head of a lane
 *	                        reads differently each time
 */
#include <dlfcn.h>
#include <linux/futex.h>
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
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	rc = next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == SYS_pread64 && rc == (long)sizeof(struct stoai_lane) &&
		wanted("restless"))
		((char *)a[1])[rc - 1] = ++count;
	return rc;
}
