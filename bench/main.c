/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which works are there? One family a file.
 *
 * jemalloc wants more thread-local memory than a program's loader keeps for
 * libraries that are loaded later, unless it is asked before it starts; so the
 * program asks, and starts itself again. PMDK is told so as well, before it is loaded,
 * that memory is memory: no msync, and no cache lines flushed.
 */
#include "works.h"
#include <stdlib.h>
#include <unistd.h>

static void
before_the_loader(char **argv)
{
	if (getenv("GLIBC_TUNABLES"))
		return;
	if (!setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=16384",
		    1) &&
		!setenv("PMEM_IS_PMEM_FORCE", "1", 1) &&
		!setenv("PMEM_NO_FLUSH", "1", 1))
		(void)execv("/proc/self/exe", argv);
}

int
main(int argc, char **argv)
{
	const struct measure_family all[] = {
		lock_family,
		locks_family,
		tx_family,
		heap_family,
		many_family,
		classes_family,
		handover_family,
		size_family,
		churn_family,
		names_family,
		hashmap_family,
		sequence_family,
		attach_family,
		death_family,
	};

	before_the_loader(argv);
	return measure_main(argc, argv, all, sizeof all / sizeof *all);
}
