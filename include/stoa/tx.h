/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Transactions.
 *
 *	STOA_TX(tx, seg);                        locks and the right to write, until the end of the block
 *	STOA_SET(tx, a->balance, a->balance - n);
 *	STOA_SET(tx, b->balance, b->balance + n);
 *	return stoa_tx_commit(tx);               all of it is now true; anything else was: nothing of it
 *
 * Four rules.
 *  1. STOA_TX and STOA_READ are declarations, like a lock guard. return, break, continue and goto mean what they mean.
 *     A block left without commit undoes everything.
 *  2. stoa_tx * may write, const stoa_tx * may read. What you hold of shared data are const pointers; a transaction
 *     changes what is behind them: STOA_SET one field, stoa_edit a whole value, stoa_new a fresh object.
 *  3. The first failure sticks. Later changes do nothing, containers are found empty (so loops over them end), pointers to
 *     write to point to scratch memory (stoa_edit: a copy); commit undoes all and returns that first failure. A transaction
 *     whose locks cannot be had has failed from the start.
 *     So leave early with `return stoa_tx_fail(tx, -EDOM)`: it returns the first failure, which may be an older one.
 *     (A block that was left with neither is undone as well, without a word: STOA_LINT, below, finds it when compiling.)
 *  4. No lock named: the segment's own. Locks are sorted before they are taken, so two STOA_TX never wait for each other.
 *
 * A call of a function that takes const stoa_tx * accepts a stoa_tx *: helpers that only read serve both.
 * A STOA_TX inside another of the same thread and segment is a savepoint of it.
 *
 * Caveats: no longjmp out of a scope. A loop that ends only through its own STOA_SETs must use their result (false: failed).
 * What get() finds now it may not find after a failure: look at every pointer that may be NULL.
 */
#ifndef STOA_TX_H
#define STOA_TX_H
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <errno.h>
#include <stoa/attr.h>
#include <stoa/detail/pp.h>
#include <stoa/error.h>
#include <stoa/ref.h>
#include <stoa/segment.h>
#include <stoa/sync.h>
#include <stoa/type.h>
STOA_BEGIN_DECLS

/* ---- scopes ---------------------------------------------------------------------------------------------------- */

/* STOA_TX  (tx, seg [, lock]...)    each lock exclusive, up to 8: const stoa_mutex *, const stoa_rwlock *, stoa_shared(rwlock) */
/* STOA_READ(rd, seg [, lock]...)    each rwlock shared. On a read-only segment no lock is taken: stoa_tx_error(rd) == -EAGAIN
 *                                   at the end says that a writer came between: read again. */
#define STOA_TX(tx, ...)                    STOA_TX_UNTIL(tx, STOA_FOREVER, __VA_ARGS__)
#define STOA_READ(rd, ...)                  STOA_READ_UNTIL(rd, STOA_FOREVER, __VA_ARGS__)
#define STOA_TX_UNTIL(tx, deadline, ...) \
	STOA_LINT_COMMIT_(tx) STOA_NO_JUMP_INTO_(tx) stoa_tx *const tx STOA_UNUSED_ STOA_ON_LEAVE_(stoa_leave_tx_) = STOA_BEGIN_(stoa_tx_begin_, deadline, __VA_ARGS__)
#define STOA_READ_UNTIL(rd, deadline, ...) \
	STOA_NO_JUMP_INTO_(rd) const stoa_tx *const rd STOA_UNUSED_ STOA_ON_LEAVE_(stoa_leave_read_) = STOA_BEGIN_(stoa_read_begin_, deadline, __VA_ARGS__)

STOA_NODISCARD int stoa_tx_commit(stoa_tx *tx);
int  stoa_tx_error(const stoa_tx *rd);                /* 0, or the first failure */
/* Fail it, if it has not yet; returns the first failure, so always < 0. error: a negative errno; a positive one is taken
 * as its negative, and 0 is -EINVAL. */
int  stoa_tx_fail(const stoa_tx *rd, int error);
stoa_segment *stoa_tx_segment(const stoa_tx *rd);

/* One more lock, kept to the end: exclusive in STOA_TX, shared in STOA_READ. -EDEADLK when somebody waits for us in turn:
 * leave, and start again. Functions, not a macro: compilers do not report an ignored result inside a system header's macro. */
STOA_NODISCARD int stoa_tx_lock(const stoa_tx *tx, const stoa_rwlock *lock);
STOA_NODISCARD int stoa_tx_lock_mutex(const stoa_tx *tx, const stoa_mutex *mutex);
/* With a deadline: STOA_NOW tries (-EAGAIN, which does not stick), else -ETIMEDOUT (nor does that). */
STOA_NODISCARD int stoa_tx_lock_until(const stoa_tx *tx, const stoa_rwlock *lock, uint64_t deadline);
STOA_NODISCARD int stoa_tx_lock_mutex_until(const stoa_tx *tx, const stoa_mutex *mutex, uint64_t deadline);

/* Wait with every lock given up, and have them again on return. Only before the first change. -ETIMEDOUT does not stick.
 * Signals go out at commit. */
STOA_NODISCARD int stoa_tx_wait(stoa_tx *tx, const stoa_cond *c, uint64_t deadline);
void stoa_tx_signal(stoa_tx *tx, const stoa_cond *c);
void stoa_tx_broadcast(stoa_tx *tx, const stoa_cond *c);

/* "taken by": a thread's name in shared data, and whether it still lives */
stoa_owner stoa_owner_self(const stoa_tx *rd);
bool       stoa_owner_alive(const stoa_tx *rd, stoa_owner who);        /* false for zero bytes (nobody) */

/* ---- changes --------------------------------------------------------------------------------------------------- */

/* lvalue = value, undone if the transaction is. Any initialiser: 3, "text" for a char array, { .x = 1 }. True unless failed. */
#define STOA_SET(tx, lvalue, ...) __extension__({ \
	const __typeof__(lvalue) stoa_value_ = __VA_ARGS__; \
	stoa_tx_store_((tx), &(lvalue), &stoa_value_, sizeof stoa_value_); })
/* lvalue += n for numbers; n may be negative */
#define STOA_ADD(tx, lvalue, n) \
	STOA_SET(tx, lvalue, (STOA_UNQUAL_(lvalue))((lvalue) + (STOA_UNQUAL_(lvalue))(n)))
/* ref = where p points; p may be NULL; the types must agree */
#define STOA_LINK(tx, reference, p) __extension__({ \
	const __typeof__(*(reference).type_) *stoa_target_ = (p); \
	stoa_tx_link_((tx), &(reference).ref, stoa_target_); })

/* T * for writing to *p; NULL only if p is NULL. Not for a T that holds a lock (compile error): set its fields. */
#define stoa_edit(tx, T, p)  (STOA_NO_LOCK_IN_(T), (T *)stoa_tx_edit_((tx), STOA_POINTER_TO_(T, p), sizeof(T)))
/* T *, zeroed and yours to fill; becomes shared at commit; never NULL */
#define stoa_new(tx, T)      ((T *)stoa_tx_new_((tx), stoa_type_of(T)))
/* at commit, with everything that T's description says it owns */
#define stoa_delete(tx, T, p) stoa_tx_delete_((tx), stoa_type_of(T), STOA_POINTER_TO_(T, p))

/* ---- one call: begin, expression, commit ------------------------------------------------------------------------
 *	int rc = STOA_DO(tx, seg, scores_put(tx, s, 42, 7));
 *	int rc = STOA_DO(tx, (seg, &b->lock), book_add(tx, b, 7), STOA_ADD(tx, b->n, 1));       with locks, several
 */
#define STOA_DO(tx, seg_or_locks, ...) stoa_result_(__extension__({ \
	stoa_tx *const tx STOA_UNUSED_ STOA_ON_LEAVE_(stoa_leave_tx_) = \
		STOA_CAT(STOA_DO_, STOA_IS_PAREN_(seg_or_locks))(seg_or_locks); \
	(void)(__VA_ARGS__); \
	(stoa_tx_commit)(tx); }))
#define STOA_DO_0(seg)   stoa_tx_begin_((seg), NULL, 0, STOA_FOREVER, STOA_FRAME_)
#define STOA_DO_1(locks) STOA_DO_BEGIN_(stoa_tx_begin_, STOA_FOREVER, STOA_STRIP_ locks)
#define STOA_DO_BEGIN_(...) STOA_BEGIN_(__VA_ARGS__)

/* STOA_RETRY(times, call): call again while it returns -EDEADLK, at most `times` times; the last result. For a function
 * that takes locks one after the other with stoa_tx_lock: it is its own retry. */
#define STOA_RETRY(times, call) stoa_result_(__extension__({ \
	int stoa_rc_; \
	unsigned stoa_left_ = (times); \
	do \
		stoa_rc_ = (call); \
	while (stoa_rc_ == -EDEADLK && stoa_left_-- > 0); \
	stoa_rc_; }))

/* ---- what the macros stand on; also for other languages ---------------------------------------------------------- */

typedef struct stoa_hold { const void *lock_; uint32_t kind_, mode_; } stoa_hold;
static inline stoa_hold stoa_hold_mutex_(const stoa_mutex *m)   { stoa_hold h = { m, 1, 2 }; return h; }
static inline stoa_hold stoa_hold_rwlock_(const stoa_rwlock *l) { stoa_hold h = { l, 2, 0 }; return h; }
static inline stoa_hold stoa_hold_same_(stoa_hold h)            { return h; }
static inline stoa_hold stoa_shared(const stoa_rwlock *l)       { stoa_hold h = { l, 2, 1 }; return h; }

stoa_tx       *stoa_tx_begin(stoa_segment *seg, const stoa_hold *holds, size_t n, uint64_t deadline);   /* never NULL */
const stoa_tx *stoa_read_begin(stoa_segment *seg, const stoa_hold *holds, size_t n, uint64_t deadline); /* never NULL */
void           stoa_tx_end(const stoa_tx *rd);         /* leave: undoes what is not committed */
/* As the two above, for a scope of the function whose frame is given: so a longjmp over it is found. */
#define STOA_FRAME_ __builtin_frame_address(0)
stoa_tx       *stoa_tx_begin_(stoa_segment *seg, const stoa_hold *holds, size_t n, uint64_t deadline, const void *frame);
const stoa_tx *stoa_read_begin_(stoa_segment *seg, const stoa_hold *holds, size_t n, uint64_t deadline, const void *frame);

bool  stoa_tx_store_(stoa_tx *tx, const void *to, const void *value, size_t size);
bool  stoa_tx_link_(stoa_tx *tx, const stoa_ref *to, const void *target);
void *stoa_tx_edit_(stoa_tx *tx, const void *p, size_t size);
void *stoa_tx_new_(stoa_tx *tx, const stoa_type *type);
void  stoa_tx_delete_(stoa_tx *tx, const stoa_type *type, const void *p);

static inline void stoa_leave_tx_(stoa_tx *const *tx)         { stoa_tx_end(*tx); }
static inline void stoa_leave_read_(const stoa_tx *const *rd) { stoa_tx_end(*rd); }

STOA_END_DECLS

#ifndef __cplusplus
#define STOA_UNQUAL_(lvalue) __typeof__(((void)0, (lvalue)))          /* a comma's value has no const */
/* a lock as an element of stoa_tx_begin's array (C++: an overloaded function) */
#define stoa_hold_of(x) _Generic((x), \
	stoa_mutex *:  stoa_hold_mutex_,  const stoa_mutex *:  stoa_hold_mutex_, \
	stoa_rwlock *: stoa_hold_rwlock_, const stoa_rwlock *: stoa_hold_rwlock_, \
	stoa_hold:     stoa_hold_same_)(x)
#define STOA_HOLD_ITEM_(c, x) stoa_hold_of(x),
#define STOA_BEGIN_(f, deadline, ...)  STOA_CAT(STOA_BEGIN_, STOA_MANY_(__VA_ARGS__))(f, deadline, __VA_ARGS__)
#define STOA_BEGIN_0(f, deadline, seg) f((seg), NULL, 0, (deadline), STOA_FRAME_)
#define STOA_BEGIN_1(f, deadline, seg, ...) \
	f((seg), (const stoa_hold[]){ STOA_EACH_(STOA_HOLD_ITEM_, ~, __VA_ARGS__) }, STOA_NARGS(__VA_ARGS__), (deadline), STOA_FRAME_)
#define STOA_MANY_(...)  STOA_MANY2_(__VA_ARGS__, 1, 1, 1, 1, 1, 1, 1, 1, 0, ~)
#define STOA_MANY2_(a0, a1, a2, a3, a4, a5, a6, a7, a8, n, ...) n
#define STOA_NO_LOCK_IN_(T) ((void)sizeof(struct { int stoa_; \
	_Static_assert(!(stoa_there_is_no_STOA_TYPE_for_##T | stoa_pinned_##T), #T " holds a lock, and undo must not touch a lock: change its fields with STOA_SET"); }))
#else
#include <type_traits>
#define STOA_UNQUAL_(lvalue) std::remove_cv_t<std::remove_reference_t<decltype(lvalue)>>
static inline stoa_hold stoa_hold_of(const stoa_mutex *m)  { return stoa_hold_mutex_(m); }
static inline stoa_hold stoa_hold_of(const stoa_rwlock *l) { return stoa_hold_rwlock_(l); }
static inline stoa_hold stoa_hold_of(stoa_hold h)          { return h; }
template <class F, class... L>
inline auto stoa_begin_(F begin, const void *frame, uint64_t deadline, stoa_segment *seg, L... lock)
{
	stoa_hold holds[sizeof...(lock) + 1] = { stoa_hold_of(lock)... };
	return begin(seg, holds, sizeof...(lock), deadline, frame);
}
#define STOA_BEGIN_(f, deadline, ...) stoa_begin_(f, STOA_FRAME_, deadline, __VA_ARGS__)
template <bool pinned> struct stoa_no_lock_in_ { static_assert(!pinned, "holds a lock: change its fields with STOA_SET"); };
#define STOA_NO_LOCK_IN_(T) ((void)sizeof(stoa_no_lock_in_<(bool)(stoa_there_is_no_STOA_TYPE_for_##T | stoa_pinned_##T)>))
#endif

/* Lint: compile once with -Wall -DSTOA_LINT. A STOA_TX without any commit is then "unused variable
 * 'tx_is_never_committed'". Off by default, because it makes commit a macro (see stoa_tx_lock). */
#ifdef STOA_LINT
#define STOA_LINT_COMMIT_(tx) const int tx##_is_never_committed = 0;
#define stoa_tx_commit(tx) ((void)tx##_is_never_committed, stoa_tx_commit(tx))
#else
#define STOA_LINT_COMMIT_(tx)
#endif

/* gcc lets a goto or a case jump over a guard's declaration (clang and C++ refuse); a variably modified type makes it an error */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__cplusplus)
#define STOA_NO_JUMP_INTO_(tx) \
	const int tx##_one_ STOA_UNUSED_ = 1; \
	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wvla\"") \
	char (*const tx##_scope_)[tx##_one_] STOA_UNUSED_ = NULL; \
	_Pragma("GCC diagnostic pop")
#else
#define STOA_NO_JUMP_INTO_(tx)
#endif

#endif
