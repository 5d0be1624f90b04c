/* SPDX-License-Identifier: BSL-1.0 */
/* Where do the private allocators come from? See allocators.h. */
#include "allocators.h"
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct allocator glibc_malloc = {malloc, free, ""}, mimalloc, jemalloc;

/* POSIX's way to make a function of what dlsym returns. */
static bool
function(void *library, const char *name, void *ret)
{
	void *p = dlsym(library, name);

	memcpy(ret, &p, sizeof p);
	return p != NULL;
}

static void
mimalloc_load(void)
{
	void *lib = dlopen(
		"libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	int (*version)(void);

	if (!lib || !function(lib, "mi_malloc", &mimalloc.alloc) ||
		!function(lib, "mi_free", &mimalloc.free) ||
		!function(lib, "mi_version", &version))
		return;
	(void)snprintf(mimalloc.version, sizeof mimalloc.version, "%d.%d.%d",
		version() / 100, version() / 10 % 10, version() % 10);
}

static void
jemalloc_load(void)
{
	void *lib = dlopen(
		"libjemalloc.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	int (*ctl)(const char *, void *, size_t *, void *, size_t);
	const char *version = NULL;
	size_t size = sizeof version;

	if (!lib || !function(lib, "malloc", &jemalloc.alloc) ||
		!function(lib, "free", &jemalloc.free) ||
		!function(lib, "mallctl", &ctl) ||
		ctl("version", &version, &size, NULL, 0))
		return;
	(void)snprintf(jemalloc.version, sizeof jemalloc.version, "%.*s",
		(int)strcspn(version, "-"), version);
}

void
allocators_load(void)
{
	if (glibc_malloc.version[0])
		return;
	(void)snprintf(glibc_malloc.version, sizeof glibc_malloc.version, "%s",
		gnu_get_libc_version());
	mimalloc_load();
	jemalloc_load();
}
