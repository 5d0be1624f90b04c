/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Liveness: is the thread behind a slot dead? Two proofs only, and no clock:
 *
 *	1  the kernel marked the slot's token (one load, stoai_token_dead)
 *	2  we hold the slot's owner byte: a lock on one byte of the backing's file
 *	   that belongs to an open file description, which the kernel drops when
 *	   the last process that has it is gone, also through exec from any thread
 *
 * The byte is taken before the token and kept with it, so nobody can attach while
 * we hold it; therefore "byte ours, token still taken" is a death that the kernel
 * did not mark, and marking it ourselves cannot hit a living thread. Threads of
 * one process share the description: `mine` tells which slots are its own.
 *
 * Where there is no file at all (memory of one process) only threads of this
 * process exist, and they detach when they end.
 */
#include "segment/liveness.h"
#include "os/os.h"

bool
stoai_slot_is_mine(const stoa_segment *seg, uint32_t slot)
{
	return seg->mine[slot / 64] >> (slot % 64) & 1;
}

int
stoai_owner_byte_take(stoa_segment *seg, uint32_t slot)
{
	int rc;

	if (stoai_slot_is_mine(seg, slot))
		return -EAGAIN;
	rc = seg->fd < 0
		     ? 0
		     : stoai_os_lock_byte(seg->fd, stoai_owner_byte(seg, slot),
			       STOAI_LOCK_EXCLUSIVE);
	if (!rc)
		seg->mine[slot / 64] |= UINT64_C(1) << (slot % 64);
	return rc;
}

void
stoai_owner_byte_drop(stoa_segment *seg, uint32_t slot)
{
	seg->mine[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	if (seg->fd >= 0)
		(void)stoai_os_lock_byte(
			seg->fd, stoai_owner_byte(seg, slot), STOAI_LOCK_NONE);
}

bool
stoai_confirm_dead(stoa_segment *seg, uint32_t slot)
{
	uint32_t *word = stoai_token_at(seg, slot);
	uint32_t token = a32_load_acquire(word);
	bool dead = false;

	if (stoai_token_dead(token) || !(token & STOAI_TOKEN_TID))
		return stoai_token_dead(token);
	if (seg->fd < 0)
		return false;
	pthread_mutex_lock(&seg->claims);
	if (!stoai_owner_byte_take(seg, slot)) {
		token = a32_load_acquire(word);
		while (token & STOAI_TOKEN_TID) {
			uint32_t marked = STOAI_TOKEN_OWNER_DIED |
					  (token & STOAI_TOKEN_WAITERS);

			if (a32_cas_seq_cst(word, &token, marked)) {
				token = marked;
				(void)stoai_os_futex_wake(word, UINT32_MAX);
			}
		}
		dead = stoai_token_dead(token);
		stoai_owner_byte_drop(seg, slot);
	}
	pthread_mutex_unlock(&seg->claims);
	return dead;
}

bool
stoai_owner_lives(stoa_segment *seg, uint32_t slot, uint32_t generation)
{
	uint32_t token;

	if (slot >= seg->slot_count ||
		!stoai_word_is_current(
			seg, stoai_lock_word(slot, generation)) ||
		a32_load_acquire(&stoai_slot_at(seg, slot)->state) !=
			STOAI_SLOT_LIVE)
		return false;
	token = a32_load_acquire(stoai_token_at(seg, slot));
	if (token & STOAI_TOKEN_UNLISTED) /* no kernel will mark it: ask */
		return !stoai_confirm_dead(seg, slot);
	return !stoai_token_dead(token);
}
