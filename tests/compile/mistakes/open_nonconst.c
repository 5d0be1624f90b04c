/* SPDX-License-Identifier: BSL-1.0 */
/* opening by name into a writable pointer */
/* says: the result goes to the address of a variable of type const quotes * */
#include "mistake.h"

int f(quotes **p, const quotes **p2);

int
f(quotes **p, const quotes **p2)
{
#ifdef MISTAKE
	(void)p2;
	return stoa_object_open(seg, "q", quotes, p);
#else
	(void)p;
	return stoa_object_open(seg, "q", quotes, p2);
#endif
}
