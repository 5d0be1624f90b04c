# SPDX-License-Identifier: BSL-1.0
#
# Mistakes that the model must find: name, subject, part of a case's name, file,
# what stands there, what is written instead.

# ---- the lock word ----

stoa_model_mistake(waiters-forgotten mutex "two threads" sync/word.c
	[[		if (!a32_cas_seq_cst(word, &w, w | STOAI_WORD_WAITERS))
			return 0;
		w |= STOAI_WORD_WAITERS;
]] "")
stoa_model_mistake(unlock-by-store mutex "two threads" sync/lock.c
	[[		stoai_word_unlock(&((stoa_mutex *)lock)->word_);
]] [[		{
			uint32_t *word = &((stoa_mutex *)lock)->word_;
			uint32_t w = a32_load_relaxed(word);
			a32_store_release(word, 0);
			if (w & STOAI_WORD_WAITERS)
				stoai_word_wake(word);
		}
]])
stoa_model_mistake(slept-without-waiters mutex "three threads" sync/word.c
	[[		slept = STOAI_WORD_WAITERS;]] "")
stoa_model_mistake(claims-not-counted mutex "an early tick" sync/word.c
	[[	       a32_load_acquire(&lane->taken) != taken;]]
	[[	       taken != taken;]])
stoa_model_mistake(unlisted-before-unlock mutex "two threads" sync/lock.c
	[[	default:
		stoai_word_unlock(]]
	[[	default:
		a64_store_release(entry, 0);
		stoai_word_unlock(]])
stoa_model_mistake(owner-not-compared mutex "three threads" sync/recover.c
	[[while ((w & ~STOAI_WORD_WAITERS) == dead) {]]
	[[while (w & ~STOAI_WORD_WAITERS) {]])
stoa_model_mistake(nobody-woken-at-recovery mutex "three threads"
	sync/recover.c
	[[	(void)stoai_os_futex_wake(&l->word_, UINT32_MAX);
]] "")
stoa_model_mistake(others-not-woken mutex "three threads" sync/wait.c
	[[	if (rc == 1)
]] [[	if (rc == 2)
]])
stoa_model_mistake(kernel-not-asked mutex "two threads" sync/wait.c
	[[	if (!(t & STOAI_TOKEN_WAITERS) &&
		!a32_cas_seq_cst(token, &t, t | STOAI_TOKEN_WAITERS))
		return 0;
	t |= STOAI_TOKEN_WAITERS;
]] "")
stoa_model_mistake(unlock-before-undo mutex "three threads" segment/recover.c
	[[stoai_upper.lane, stoai_upper.heap, stoai_upper.locks};]]
	[[stoai_upper.locks, stoai_upper.heap, stoai_upper.lane};]])

# ---- readers and writers ----

stoa_model_mistake(word-not-looked-at-again rwlock "a writer and two readers"
	sync/lock.c
	[[		a64_fetch_or_seq_cst(bits, bit);
]] [[		a64_fetch_or_seq_cst(bits, bit);
		return 0;
]])
stoa_model_mistake(listed-after-the-word rwlock "a writer and two readers"
	sync/lock.c
	[[			return read_lock_behind(seat, entry, l, deadline);
		}
		if (]]
	[[			return read_lock_behind(seat, entry, l, deadline);
		}
		a64_exchange_seq_cst(
			entry, stoai_off(seat->seg, l) | STOAI_HELD_SHARED);
		if (0 && ]])
stoa_model_mistake(leaving-not-counted rwlock "read and write" sync/lock.c
	[[		a32_fetch_add_seq_cst(&l->left_, 1);
]] "")
stoa_model_mistake(leaving-not-told rwlock "read and write" sync/lock.c
	[[		(void)stoai_os_futex_wake(&l->left_, UINT32_MAX);
]] "")
stoa_model_mistake(writer-does-not-wait rwlock "read and write" sync/lock.c
	[[		if (!stoai_lane_lists(seg, s, off | STOAI_HELD_SHARED) ||]]
	[[		if (stoai_lane_lists(seg, s, off | STOAI_HELD_SHARED) ||]])
stoa_model_mistake(sequence-left-odd rwlock "read and write" sync/recover.c
	[[				&l->seq_, a32_load_relaxed(&l->seq_) + 1);]]
	[[				&l->seq_, a32_load_relaxed(&l->seq_));]])
stoa_model_mistake(bit-set-behind-the-word rwlock "read and write" sync/lock.c
	[[	a64_fetch_or_seq_cst(&l->readers_[seat->index / 64], reader_bit(seat));
	stoai_word_unlock(&l->word_);
]] [[	stoai_word_unlock(&l->word_);
	a64_fetch_or_seq_cst(&l->readers_[seat->index / 64], reader_bit(seat));
]])

# ---- conditions ----

stoa_model_mistake(woken-not-replayed condition "gives once" sync/recover.c
	[[	replay(seg, &dead->woken);
]] "")
stoa_model_mistake(signal-wakes-nobody condition "one takes" tx/lane.c
	[[		rc = wakes ? each_wake(seg, slot, end, false) : 0;]]
	[[		rc = 0;]])
stoa_model_mistake(signal-not-marked condition "one takes" tx/lane.c
	[[	int rc = wakes ? each_wake(seg, slot, a64_load_relaxed(&lane->cursor),
				 true)
		       : 0;]] [[	int rc = 0;]])
stoa_model_mistake(signal-dropped-at-recovery condition "one takes"
	tx/recover.c
	[[		rc = stoai_lane_signal(seg, slot, true);]]
	[[		rc = 0;]])
stoa_model_mistake(open-before-empty condition "one takes" tx/lane.c
	[[	a64_store_kill(&lane->cursor, start); /* I4 */
	a32_store_kill(&lane->state, STOAI_LANE_OPEN);]]
	[[	a32_store_kill(&lane->state, STOAI_LANE_OPEN);
	a64_store_kill(&lane->cursor, start);]])

# ---- the heap ----

stoa_model_mistake(harvest-without-barrier heap "" heap/slab.c
	[[	harvest_barrier(seg, span, class_index, freed);
]] "")
stoa_model_mistake(harvest-by-store heap "two free" heap/slab.c
	[[		a64_fetch_and_seq_cst(&remote[w], ~freed[w]);]]
	[[		a64_store_release(&remote[w], 0);]])
stoa_model_mistake(remote-cleared-first heap "" heap/slab.c
	[[		a64_store_kill(&bits[w].pub, pub & ~gone);
]] [[		a64_fetch_and_seq_cst(&remote[w], ~freed[w]);
		a64_store_kill(&bits[w].pub, pub & ~gone);
]])
stoa_model_mistake(done-before-the-free heap "" heap/free.c
	[[	rc = wish.seat && !wish.again ? stoai_heap_free(wish.seat, off)]]
	[[	a64_store_kill(done, next);
	rc = wish.seat && !wish.again ? stoai_heap_free(wish.seat, off)]])
stoa_model_mistake(freeing-cleared-early heap "" heap/free.c
	[[	a64_store_kill(done, next);
]] [[	a64_store_release(freeing, 0);
	a64_store_kill(done, next);
]])
stoa_model_mistake(remote-free-by-store heap "two free" heap/free.c
	[[	old = a64_fetch_or_seq_cst(block->remote, block->bit);]]
	[[	old = a64_load_relaxed(block->remote);
	a64_store_release(block->remote, old | block->bit);]])
stoa_model_mistake(adopted-by-store heap "two adopt" heap/slab.c
	[[	return a64_cas_seq_cst(&meta->owner, &owner, owner | seat->word);]]
	[[	a64_store_release(&meta->owner, owner | seat->word);
	return true;]])
stoa_model_mistake(region-not-claimed heap "adopt" heap/slab.c
	[[	stoai_region_claim(seat, span);
]] "")
stoa_model_mistake(transients-kept heap "" heap/recover.c
	[[			a64_store_kill(&bits[w].alloc, alloc & pub);]]
	[[			;]])

# ---- attaching ----

stoa_model_mistake(recovery-without-byte attach "two recover"
	segment/recover.c
	[[	if (!stoai_owner_byte_take(seg, index)) {
		token]] [[	if (stoai_owner_byte_take(seg, index) <= 0) {
		token]])
stoa_model_mistake(slot-without-byte attach "two come" segment/attach.c
	[[	rc = stoai_owner_byte_take(seg, index);]]
	[[	rc = 0 * stoai_owner_byte_take(seg, index);]])
stoa_model_mistake(death-without-byte attach "recover" segment/liveness.c
	[[	if (!stoai_owner_byte_take(seg, slot)) {
		token]] [[	if (stoai_owner_byte_take(seg, slot) <= 0) {
		token]])
