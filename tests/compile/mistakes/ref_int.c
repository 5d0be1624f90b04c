/* SPDX-License-Identifier: BSL-1.0 */
/* number into a reference */
#include "mistake.h"

void f(node *a);

void
f(node *a)
{
#ifdef MISTAKE
	a->next = 5;
#else
	a->key = 5;
#endif
}
