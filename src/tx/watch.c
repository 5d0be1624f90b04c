/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Read-only mappings: how does one read where no lock can be taken?
 *
 * Optimistically (seqlock). Wait until the lock's seq_ is even, note it, read, and
 * ask at the end whether it is still the same. If not, a living writer came
 * between (-EAGAIN: read again) or one died in it and nobody has repaired what it
 * left (-EOWNERDEAD: reading again would not end).
 */
#include "os/os.h"
#include "tx/local.h"

/*
 * A writer is in. 0: alive, or it may be; -EOWNERDEAD: dead, not repaired; -EBADMSG:
 * seq_ is odd, and the word names nobody who could have made it so, which is never
 * true of a sound lock. prove: ask for its owner byte, too, which costs a system call.
 */
static int
writer_look(const struct stoa_tx *tx, const stoa_rwlock *lock, bool prove)
{
	stoa_segment *seg = tx->seg;
	uint32_t seq = a32_load_acquire(&lock->seq_);
	uint32_t word = a32_load_acquire(&lock->word_);
	uint32_t owner = stoai_word_slot(seg, word);

	if (!stoai_word_is_current(seg, word) ||
		!a32_load_relaxed(&stoai_slot_at(seg, owner)->paged))
		return seq & 1 && a32_load_after(&lock->seq_) == seq
			       ? stoai_error(-EBADMSG,
					 "%s: damaged: the lock at %#llx is "
					 "being written by nobody (%08x)",
					 stoai_name(seg),
					 (unsigned long long)stoai_off(
						 seg, lock),
					 word)
			       : 0;
	if (stoai_token_dead(a32_load_acquire(stoai_token_at(seg, owner))) ||
		(prove && seg->fd >= 0 &&
			stoai_os_probe_byte(seg->fd,
				STOAI_OWNER_BYTES + owner) == STOAI_LOCK_NONE))
		return stoai_error(-EOWNERDEAD,
			"%s: a writer died and nobody with write access has "
			"repaired it yet: `stoa recover`, or open it for "
			"writing",
			stoai_name(seg));
	return 0;
}

int
stoai_tx_watch(struct stoa_tx *tx, const stoa_rwlock *lock, uint64_t deadline)
{
	uint32_t n = tx->watched_count;

	for (uint32_t i = 0; i < n; i++)
		if (tx->watched[i] == lock)
			return 0;
	if (n == STOAI_TX_WATCH_MAX)
		return stoai_error(-EOVERFLOW,
			"%s: a read scope watches %d locks at most",
			stoai_name(tx->seg), STOAI_TX_WATCH_MAX);
	for (unsigned spins = 0;; spins++) {
		uint32_t seq = a32_load_acquire(&lock->seq_);
		int rc = n ? stoai_tx_watch_check(tx) : 0;

		if (rc) /* what led here is no longer true */
			return rc;

		if (!(seq & 1)) {
			tx->watched[n] = lock;
			tx->sequence[n] = seq;
			tx->watched_count = n + 1;
			return 0;
		}
		rc = writer_look(tx, lock, spins % 1024 == 1023);
		if (rc)
			return rc;
		if (deadline == STOA_NOW)
			return -EAGAIN;
		if (stoai_os_now() >= deadline)
			return -ETIMEDOUT;
		if (spins < 64)
			stoai_pause();
		else
			stoai_os_sleep(100000);
	}
}

int
stoai_tx_watch_check(const struct stoa_tx *tx)
{
	for (uint32_t i = 0; i < tx->watched_count; i++) {
		int rc;

		if (a32_load_after(&tx->watched[i]->seq_) == tx->sequence[i])
			continue;
		rc = writer_look(tx, tx->watched[i], false);
		return rc ? rc
			  : stoai_error(-EAGAIN,
				    "%s: a writer came between: read again",
				    stoai_name(tx->seg));
	}
	return 0;
}
