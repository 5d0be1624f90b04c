/* SPDX-License-Identifier: BSL-1.0 */
/* Where do the private allocators come from? See allocators.h. */
#include "allocators.h"
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
glibc_give_back(void)
{
	(void)malloc_trim(0);
}

struct allocator glibc_malloc = {malloc, free, glibc_give_back, ""}, mimalloc,
		 jemalloc;
static void (*mimalloc_collect)(bool force);
static int (*jemalloc_ctl)(const char *, void *, size_t *, void *, size_t);

static void
mimalloc_give_back(void)
{
	mimalloc_collect(true);
}

/* 4096: of all arenas; this thread's cache goes back first. */
static void
jemalloc_give_back(void)
{
	(void)jemalloc_ctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	(void)jemalloc_ctl("arena.4096.purge", NULL, NULL, NULL, 0);
}

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
		!function(lib, "mi_collect", &mimalloc_collect) ||
		!function(lib, "mi_version", &version))
		return;
	(void)snprintf(mimalloc.version, sizeof mimalloc.version, "%d.%d.%d",
		version() / 100, version() / 10 % 10, version() % 10);
	mimalloc.give_back = mimalloc_give_back;
}

static void
jemalloc_load(void)
{
	void *lib = dlopen(
		"libjemalloc.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	const char *version = NULL;
	size_t size = sizeof version;

	if (!lib || !function(lib, "malloc", &jemalloc.alloc) ||
		!function(lib, "free", &jemalloc.free) ||
		!function(lib, "mallctl", &jemalloc_ctl) ||
		jemalloc_ctl("version", &version, &size, NULL, 0))
		return;
	(void)snprintf(jemalloc.version, sizeof jemalloc.version, "%.*s",
		(int)strcspn(version, "-"), version);
	jemalloc.give_back = jemalloc_give_back;
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
