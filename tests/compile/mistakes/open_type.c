/* SPDX-License-Identifier: BSL-1.0 */
/* opening by name into another type's pointer */
#include "mistake.h"

int f(const other **o, const quotes **p);

int
f(const other **o, const quotes **p)
{
#ifdef MISTAKE
	(void)p;
	return stoa_object_open(seg, "q", quotes, o);
#else
	(void)o;
	return stoa_object_open(seg, "q", quotes, p);
#endif
}
