/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks and conditions as fields of shared structs. Zero bytes are a free lock,
 * so nothing needs an init. A lock lives in a segment; a transaction or a read
 * scope takes it (tx.h).
 *
 * Guarantees: a thread that dies holding, waiting for or handing over a lock
 * harms nobody: whoever meets its lock finishes or undoes what it was doing and
 * goes on, within about a second at most and usually within milliseconds.
 * No lock word holds a pid or a pointer; processes may live in different PID
 * namespaces and may be built against different libcs.
 *
 * Caveats: a stopped process (SIGSTOP, freezer, debugger) is not dead; its
 * locks stay held. Undo must never touch a lock, so the compiler refuses
 * stoa_edit of a struct that holds one.
 */
#ifndef STOA_SYNC_H
#define STOA_SYNC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/ref.h>
#include <stoa/time.h>
STOA_BEGIN_DECLS

/*
 * word_     bit 31 somebody sleeps | bits 28..9 owner's generation | bits 8..0
 *           owner's slot + 1; 0: free
 * seq_      odd while a writer holds the lock: what read-only mappings compare
 * left_     a reader that saw a writer wait adds one when it leaves
 * readers_  bit per slot: it may be reading (a hint that stays; the truth is in
 *           that slot's list of held locks)
 */
typedef struct stoa_mutex {
	uint32_t word_, flags_;
} STOA_ALIGNED_(8) stoa_mutex; /* slots name it by its offset and 3 bits */

typedef struct stoa_rwlock {
	uint32_t word_, flags_;
	uint32_t seq_, left_;
	uint64_t readers_[4];
} stoa_rwlock;

/* seq_: bit 0 somebody waits; the rest counts wake-ups and arrivals */
typedef struct stoa_cond {
	uint32_t seq_, pad_[3];
} STOA_ALIGNED_(8) stoa_cond;

/* "Who has this": names a thread for as long as it lives, not a pid. */
typedef struct stoa_owner {
	uint32_t slot_, generation_; /* slot + 1; zero bytes: nobody */
} stoa_owner;

/* What is known of an owner, for people: numbers of its own PID namespace. */
typedef struct stoa_owner_info {
	uint32_t pid, tid;
	uint64_t since_ns; /* CLOCK_MONOTONIC, when it attached */
	bool     alive;
} stoa_owner_info;

/* Who holds the lock exclusively; zero bytes: nobody. Never blocks. */
stoa_owner stoa_mutex_owner(const stoa_tx *rd, const stoa_mutex *m);
stoa_owner stoa_rwlock_owner(const stoa_tx *rd, const stoa_rwlock *l);
/* 0, or -ESRCH when it lives no more (pid and tid are then 0) */
STOA_NODISCARD int stoa_owner_describe(
	const stoa_tx *rd, stoa_owner who, stoa_owner_info *ret);

STOA_END_DECLS
#endif
