/* SPDX-License-Identifier: BSL-1.0 */
/* stoa_edit of a type that is not described */
/* says: stoa_there_is_no_STOA_TYPE_for_plain */
#include "mistake.h"

typedef struct plain {
	int64_t a;
} plain;
#ifndef MISTAKE
STOA_TYPE(plain, a);
#endif

int f(const plain *p);

int
f(const plain *p)
{
	STOA_TX(tx, seg);
	plain *x = stoa_edit(tx, plain, p);
	x->a = 1;
	return stoa_tx_commit(tx);
}
