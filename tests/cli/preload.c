/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Preloaded into the command: a recovery that kills who attempts it. Recovery wakes
 * the sleepers of the locks that it releases, and that call is replaced here.
 */
#include <dlfcn.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

long
syscall(long number, ...)
{
	static long (*next)(long, ...);
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_futex && a[1] == FUTEX_WAKE)
		abort();
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
