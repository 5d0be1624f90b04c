/* SPDX-License-Identifier: BSL-1.0 */
/* committing a read scope */
#include "mistake.h"

int f(void);

int
f(void)
{
#ifdef MISTAKE
	STOA_READ(rd, seg);
	return stoa_tx_commit(rd);
#else
	STOA_READ(rd, seg);
	return stoa_tx_error(rd);
#endif
}
