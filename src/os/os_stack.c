/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Who called: return addresses of the calling thread, what they are called, and which
 * files are mapped where. Where libc has no backtrace(3), there are none.
 */
#include "os/ask.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if __has_include(<execinfo.h>)
 #include <execinfo.h>
 #define STOAI_HAVE_BACKTRACE 1
#endif

int
stoai_os_stack(void **ret, int room)
{
#ifdef STOAI_HAVE_BACKTRACE
	return backtrace(ret, room);
#else
	(void)ret;
	(void)room;
	return -ENOTSUP;
#endif
}

void
stoai_os_frame_text(const void *at, char *buf, size_t size)
{
	/* a return address is behind its call, maybe behind its function */
	const char *call = (const char *)at - 1;
	const char *file;
	Dl_info info;

	if (!dladdr(call, &info) || !info.dli_fname) {
		(void)snprintf(buf, size, "%p", at);
	} else if (info.dli_sname) {
		(void)snprintf(buf, size, "%s", info.dli_sname);
	} else {
		file = strrchr(info.dli_fname, '/');
		(void)snprintf(buf, size, "%s+%#llx",
			file ? file + 1 : info.dli_fname,
			(unsigned long long)(call -
					     (const char *)info.dli_fbase));
	}
	for (char *c = buf; *c; c++)
		if (*c == ';' || *c == ' ' || *c == '\n')
			*c = '_';
}

int
stoai_os_maps(FILE *out)
{
	char buf[4096];
	ssize_t n;
	int fd = open("/proc/thread-self/maps", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((n = read(fd, buf, sizeof buf)) > 0 || stoai_os_interrupted(n))
		if (n > 0)
			(void)fwrite(buf, 1, (size_t)n, out);
	(void)close(fd);
	return n < 0 ? -EIO : 0;
}
