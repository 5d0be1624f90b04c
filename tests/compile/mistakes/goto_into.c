/* SPDX-License-Identifier: BSL-1.0 */
/* goto over a STOA_TX into its scope */
#include "mistake.h"

int f(int x);

int
f(int x)
{
#ifdef MISTAKE
	int rc = 0;

	if (x)
		goto out;
	STOA_TX(tx, seg);
	rc = stoa_tx_commit(tx);
out:
	return rc;
#else
	int rc = 0;

	if (x)
		goto out;
	{
		STOA_TX(tx, seg);
		rc = stoa_tx_commit(tx);
	}
out:
	return rc;
#endif
}
