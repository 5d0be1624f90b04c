/* SPDX-License-Identifier: BSL-1.0 */
/* not looking at stoa_object_open's result */
#include "mistake.h"

void f(const quotes **p);

void
f(const quotes **p)
{
#ifdef MISTAKE
	stoa_object_open(seg, "q", quotes, p);
#else
	if (stoa_object_open(seg, "q", quotes, p))
		return;
#endif
}
