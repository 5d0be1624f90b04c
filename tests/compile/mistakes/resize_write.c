/* SPDX-License-Identifier: BSL-1.0 */
/* writing to what stoa_resize returned without undo */
#include "mistake.h"
#include <string.h>

int f(void);

int
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	char *p = (char *)stoa_alloc(tx, 100, 0);
	p = stoa_resize(tx, p, 200, 0);
	memset(p, 1, 200);
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	const char *p = (const char *)stoa_alloc(tx, 100, 0);
	p = (const char *)stoa_resize(tx, p, 200, 0);
	memset(stoa_edit_bytes(tx, p, 200), 1, 200);
	return stoa_tx_commit(tx);
#endif
}
