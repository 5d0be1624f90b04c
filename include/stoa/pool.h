/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Pools: many nodes of one size, in blocks of up to 64, given back when nobody uses them.
 *
 *	typedef struct tree {
 *		stoa_rwlock lock;
 *		stoa_pool   nodes;                     zero bytes are an empty pool
 *		STOA_REF(node) root;
 *	} tree;
 *	STOA_TYPE(tree, lock, (nodes, stoa_pool), (root, node, ref));
 *
 *	node *n = stoa_pool_new(tx, &t->nodes, node);     yours to fill by plain stores
 *	STOA_LINK(tx, t->root, n);
 *
 * The pool owns its nodes: what points to one is described as ref, not own, and deleting what the pool lies in frees them all.
 *
 *   private   a stoa_pool in a struct of yours, under the lock that protects the struct
 *   shared    a stoa_shared_pool, found by name or by its parameters, with a lock of its own; for every type that fits
 *   cached    the same with stoa_shared_pool_set_cache: each thread has nodes at hand and takes no lock for them. The cache lies
 *             in the segment: who gets the slot of a dead thread gets its cache, and who needs nodes takes what the dead left
 *
 * Nothing counts who uses a pool, so a killed process leaves no count behind; what it did not commit is undone.
 *
 * Sync:    private: the lock of the struct, exclusive; statistics and check: shared. Shared and cached: theirs, kept to the end of
 *          the scope; name it with other locks where cycles could arise (-EDEADLK).
 * Crash:   all or nothing with the transaction; of a cache too.
 * Caveats: a T that owns memory or holds a lock cannot be a node (compile error). Nodes of one shared pool that lie under
 *          different locks look wrong to checked mode, which thinks in blocks. That a node is freed again is not seen while it
 *          lies in another thread's cache, or below the last 64 of one's own.
 * Cost:    O(1): a bit in a word, one undo record of 40 bytes a block and transaction; a block of nodes now and then.
 */
#ifndef STOA_POOL_H
#define STOA_POOL_H
#include <stddef.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/ref.h>
#include <stoa/sync.h>
#include <stoa/tx.h>
#include <stoa/type.h>

/* ---- shared: fields of your structs ----------------------------------------------------------------------------- */

typedef struct stoa_pool_block stoa_pool_block;
typedef STOA_REF(stoa_pool_block) stoa_pool_block_ref_;
struct stoa_pool_block { /* the head of a block; nodes behind it */
	stoa_pool_block_ref_ next_, prev_; /* as full as this one, about */
	uint64_t check_;                   /* whose block it is */
	uint64_t used_;                    /* bit i: node i */
	uint64_t before_;                  /* used_ when transaction tag_ came, or since: their bytes count if it is undone */
	uint64_t tag_;
};
STOA_TYPE(stoa_pool_block, (next_, stoa_pool_block, own), (prev_, stoa_pool_block, ref), check_, used_, before_, tag_);

enum { STOA_POOL_BINS_ = 6 }; /* free; up to 1/4, 2/4, 3/4, 4/4; full */

typedef struct stoa_pool {
	uint64_t id_;           /* 0: never used */
	uint32_t size_, align_; /* of a node */
	uint32_t count_;        /* nodes a block */
	uint32_t keep_;         /* free blocks that are kept */
	uint64_t free_;         /* blocks in the first bin */
	stoa_pool_block_ref_ bin_[STOA_POOL_BINS_];
} stoa_pool;
STOA_TYPE(stoa_pool, id_, size_, align_, count_, keep_, free_, (bin_, stoa_pool_block, own));

typedef struct stoa_pool_cache { /* offsets of nodes behind it */
	uint64_t owner_; /* word of the thread that has it */
	uint64_t room_;
	uint64_t count_;
	uint64_t mark_;  /* those before it were there when transaction tag_ came */
	uint64_t tag_;
} stoa_pool_cache;
STOA_TYPE(stoa_pool_cache, owner_, room_, count_, mark_, tag_);

typedef struct stoa_pool_slot_ {
	STOA_REF(stoa_pool_cache) cache_;
} stoa_pool_slot_;
STOA_TYPE(stoa_pool_slot_, (cache_, stoa_pool_cache, own));

typedef struct stoa_shared_pool {
	stoa_rwlock lock;
	stoa_pool  pool_;
	uint64_t   cache_; /* nodes that a thread may keep; 0: none */
	STOA_REF(stoa_pool_slot_) slots_; /* one a slot of the segment */
} stoa_shared_pool;
STOA_TYPE(stoa_shared_pool, lock, (pool_, stoa_pool), cache_, (slots_, stoa_pool_slot_, own));

STOA_BEGIN_DECLS

/* ---- private ---------------------------------------------------------------------------------------------------- */

enum {
	STOA_POOL_KEEP_NONE = -2, /* max_free_blocks: a free block goes back at once */
	STOA_POOL_KEEP_ALL  = -1  /* ... only when asked: stoa_pool_trim */
};

typedef struct stoa_pool_options { /* 0: the default */
	size_t   struct_size;      /* filled by the macro */
	uint32_t node_size;        /* bytes; required */
	uint32_t node_align;       /* power of two up to 4096; 0: what divides the size, up to 16 */
	uint32_t nodes_per_block;  /* 1 to 64; 0: 64, or what overhead_percent says */
	uint32_t overhead_percent; /* the fewest nodes for which a block's head is no more than that, if 64 are enough */
	int32_t  max_free_blocks;  /* more go back to the segment; 0: 2 */
} stoa_pool_options;

#ifndef __cplusplus
#define STOA_POOL_OPTIONS(...) \
	(&(const stoa_pool_options){ .struct_size = sizeof(stoa_pool_options), __VA_ARGS__ })
#endif

/* Parameters of a pool, before its first node; one that has blocks may only change max_free_blocks. True unless failed: -EINVAL,
 * -EBUSY (it has blocks of another kind), -E2BIG (options of a later version). */
bool  stoa_pool_setup(stoa_tx *tx, const stoa_pool *pool, const stoa_pool_options *options);
/* A node; its bytes are whatever was there. Never NULL. -ENOSPC, -EINVAL (no stoa_pool_setup before). */
void *stoa_pool_alloc(stoa_tx *tx, const stoa_pool *pool);
/* p: a node of this pool, or NULL: nothing. Others may have it after commit. -EFAULT: it is none, or it is free already. */
void  stoa_pool_free(stoa_tx *tx, const stoa_pool *pool, const void *p);

/* T *, zeroed and yours to fill; never NULL. The first one says how large nodes are. */
#define stoa_pool_new(tx, pool, T) \
	(STOA_PLAIN_NODE_(T), (T *)stoa_pool_new_((tx), (pool), (uint32_t)sizeof(T), (uint32_t)__alignof__(T)))
#define stoa_pool_delete(tx, pool, T, p) stoa_pool_free((tx), (pool), STOA_POINTER_TO_(T, p))

/* All blocks without a node go back at commit; how many. */
uint64_t stoa_pool_trim(stoa_tx *tx, const stoa_pool *pool);
/* All nodes are free, and all blocks go back at commit. */
void     stoa_pool_clear(stoa_tx *tx, const stoa_pool *pool);

typedef struct stoa_pool_stat {
	uint64_t node_size, nodes_per_block;
	uint64_t blocks, free_blocks; /* free: without a node */
	uint64_t nodes, free_nodes;   /* in use, those in caches too; not in use */
	uint64_t cached;              /* in threads' caches */
	uint64_t orphaned;            /* of these, in caches of threads that are gone */
	uint64_t bytes;               /* of all blocks */
	double   overhead_percent;    /* of a full block what is not node */
} stoa_pool_stat;
void stoa_pool_statistics(const stoa_tx *rd, const stoa_pool *pool, stoa_pool_stat *ret);
/* Every block and every bit. 0, or -EBADMSG with a text, and the scope fails. */
STOA_NODISCARD int stoa_pool_check(const stoa_tx *rd, const stoa_pool *pool);

/* ---- shared and cached ------------------------------------------------------------------------------------------ */

/*
 * The shared pool of that name, made if it is not there; name NULL: the one of these parameters. Good until close, or until
 * somebody drops it.
 * Returns: 0, -EINVAL, -EPROTOTYPE (of that name are other parameters), and as stoa_object_open.
 */
STOA_NODISCARD int stoa_shared_pool_open(stoa_segment *seg, const char *name, const stoa_pool_options *options,
	const stoa_shared_pool **ret);
/* Away with it, if no node of it is in use; what caches of dead threads hold is not in use. True unless failed: -EBUSY,
 * -ENOENT. Nobody may use it any more. */
bool  stoa_shared_pool_drop(stoa_tx *tx, const char *name, const stoa_pool_options *options);
void *stoa_shared_pool_alloc(stoa_tx *tx, const stoa_shared_pool *pool);
void  stoa_shared_pool_free(stoa_tx *tx, const stoa_shared_pool *pool, const void *p);
#define stoa_shared_pool_new(tx, pool, T) \
	(STOA_PLAIN_NODE_(T), (T *)stoa_shared_pool_new_((tx), (pool), (uint32_t)sizeof(T), (uint32_t)__alignof__(T)))
#define stoa_shared_pool_delete(tx, pool, T, p) stoa_shared_pool_free((tx), (pool), STOA_POINTER_TO_(T, p))
/* What the dead had cached goes back to the pool, then all free blocks to the segment; how many of those that were kept. */
uint64_t stoa_shared_pool_trim(stoa_tx *tx, const stoa_shared_pool *pool);

/* Nodes that a thread may keep for itself: taken and given back by the half of it. 0: none; at most 65536 (-EINVAL). */
void     stoa_shared_pool_set_cache(stoa_tx *tx, const stoa_shared_pool *pool, uint32_t max);
uint32_t stoa_shared_pool_cache(const stoa_tx *rd, const stoa_shared_pool *pool);
/* What this thread has cached goes back to the pool; how many nodes. */
uint64_t stoa_shared_pool_flush(stoa_tx *tx, const stoa_shared_pool *pool);
/* Takes the pool's lock. What other threads cache changes meanwhile. */
void     stoa_shared_pool_statistics(const stoa_tx *rd, const stoa_shared_pool *pool, stoa_pool_stat *ret);

/* ---- what the macros stand on ------------------------------------------------------------------------------------ */

void *stoa_pool_new_(stoa_tx *tx, const stoa_pool *pool, uint32_t size, uint32_t align);
void *stoa_shared_pool_new_(stoa_tx *tx, const stoa_shared_pool *pool, uint32_t size, uint32_t align);

#ifndef __cplusplus
#define STOA_PLAIN_NODE_(T) ((void)sizeof(struct { int stoa_; \
	_Static_assert(!(stoa_there_is_no_STOA_TYPE_for_##T | stoa_pinned_##T | stoa_owning_##T), \
		#T " owns memory or holds a lock, which nobody would give up with the pool: use stoa_new"); }))
#else
#define STOA_PLAIN_NODE_(T) ((void)sizeof(stoa_plain_node_<!(stoa_there_is_no_STOA_TYPE_for_##T | stoa_pinned_##T | stoa_owning_##T)>))
#endif

STOA_END_DECLS
#ifdef __cplusplus
template <bool plain> struct stoa_plain_node_ { static_assert(plain, "owns memory or holds a lock: use stoa_new"); };
static inline stoa_pool_options stoa_pool_options_init(void)
{
	stoa_pool_options o = stoa_pool_options();
	o.struct_size = sizeof o;
	return o;
}
#endif
#endif
