/* SPDX-License-Identifier: BSL-1.0 */
/* X_edit of values that hold locks */
#include "mistake.h"

#define STOA_NAME nodes
#define STOA_KEY  uint64_t
#define STOA_VAL  node
#define STOA_BOXED
#include <stoa/template/hashmap.h>

void f(stoa_tx *tx, const nodes *x);

void
f(stoa_tx *tx, const nodes *x)
{
#ifdef MISTAKE
	nodes_edit(tx, x, 1)->key = 1;
#else
	STOA_SET(tx, nodes_ensure(tx, x, 1)->key, 1);
#endif
}
