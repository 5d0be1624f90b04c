/* SPDX-License-Identifier: BSL-1.0 */
/* assigning a reference of another type */
#include "mistake.h"

void f(node *a);

void
f(node *a)
{
#ifdef MISTAKE
	a->next = a->o;
#else
	a->next = n->next;
#endif
}
