/* SPDX-License-Identifier: BSL-1.0 */
/* stoa_str_printf with wrong arguments */
#include "mistake.h"

void f(stoa_tx *tx, const stoa_str *s);

void
f(stoa_tx *tx, const stoa_str *s)
{
#ifdef MISTAKE
	stoa_str_printf(tx, s, "%s", 3);
#else
	stoa_str_printf(tx, s, "%d", 3);
#endif
}
