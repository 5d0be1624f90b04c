/* SPDX-License-Identifier: BSL-1.0 */
/* not looking at STOA_DO's result */
#include "mistake.h"

void f(void);

void
f(void)
{
#ifdef MISTAKE
	STOA_DO(tx, seg, quotes_remove(tx, q, 1));
#else
	if (STOA_DO(tx, seg, quotes_remove(tx, q, 1)))
		return;
#endif
}
