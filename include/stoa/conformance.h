/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Is a heap of one's own (stoa/heap.h) right, and does it survive a kill at any instruction? In libstoa-explore; for tests.
 *
 *	if (stoa_heap_conformance(&my_heap, 1, 0))
 *		fprintf(stderr, "%s\n", stoa_error_text());
 *
 * What every heap class must pass, the built-in ones too:
 *
 *	random    blocks of all sizes and alignments made and freed in random transactions, of which some are undone, whole or to
 *	          a savepoint; each block keeps what its owner wrote, all of its usable bytes, also after the undo of others
 *	full      memory runs out, everything is freed, and as many blocks can be had again
 *	killed    making, freeing, joining, extending and undoing, killed at every instruction, recovered and used further
 *
 * and after every step the segment's own check and the class's.
 */
#ifndef STOA_CONFORMANCE_H
#define STOA_CONFORMANCE_H
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/heap.h>
STOA_BEGIN_DECLS

enum { /* flags of stoa_heap_conformance */
	STOA_CONFORMANCE_QUICK = 1 << 0 /* nobody is killed: a second at most; anywhere */
};

/*
 * stoa_heap_conformance - does that class pass?
 *
 * seed: of the random part; the same one does the same again.
 *
 * Blocks:  as long as it takes: some seconds.
 * Returns: 0; -EBADMSG: it does not, and stoa_error_text() says what it did wrong and when; -EINVAL (the struct);
 *          -ENOTSUP (nobody can be killed on this machine: QUICK), -ENOMEM.
 */
STOA_NODISCARD int stoa_heap_conformance(const stoa_heap_class *c, uint64_t seed, unsigned flags);

STOA_END_DECLS
#endif
