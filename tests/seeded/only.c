/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Linked into a test program, lets the environment choose its case: cmocka has a
 * filter, and no way to set it from outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

__attribute__((constructor)) static void
only(void)
{
	const char *name = getenv("STOA_ONLY");

	if (name && *name)
		cmocka_set_test_filter(name);
}
