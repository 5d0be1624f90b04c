/* SPDX-License-Identifier: BSL-1.0 */
/* assigning to tx */
#include "mistake.h"

void f(void);

void
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	tx = NULL;
#else
	STOA_TX(tx, seg);
	(void)tx;
#endif
}
