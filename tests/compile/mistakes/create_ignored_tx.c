/* SPDX-License-Identifier: BSL-1.0 */
/* creating a named object without a transaction */
#include "mistake.h"

void f(void);

void
f(void)
{
#ifdef MISTAKE
	quotes *made = stoa_object_create(seg, "q", quotes);
	(void)made;
#else
	STOA_TX(tx, seg);
	quotes *made = stoa_object_create(tx, "q", quotes);
	(void)made;
	(void)!stoa_tx_commit(tx);
#endif
}
