/* SPDX-License-Identifier: BSL-1.0 */
/* stoa_new of a type that is not described */
/* says: stoa_type_plain */
#include "mistake.h"

typedef struct plain {
	int64_t a;
} plain;

int f(void);

int
f(void)
{
#ifdef MISTAKE
	STOA_TX(tx, seg);
	plain *p = stoa_new(tx, plain);
	p->a = 1;
	return stoa_tx_commit(tx);
#else
	STOA_TX(tx, seg);
	quote *p = stoa_new(tx, quote);
	p->ask = 1;
	return stoa_tx_commit(tx);
#endif
}
