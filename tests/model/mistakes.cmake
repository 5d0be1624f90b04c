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
	[[while (stoai_word_owner(w) == dead) {]]
	[[while (stoai_word_owner(w)) {]])
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
	sync/rwlock.c
	[[				reader_bit(seat));
			continue;
]] [[				reader_bit(seat));
			return 0;
]])
stoa_model_mistake(listed-after-the-word rwlock "a writer and two readers"
	sync/rwlock.c
	[[!stoai_read_try(seat, entry, l)]]
	[[stoai_word_closed(a32_load_seq_cst(&l->word_)) ||
		!(a64_load_seq_cst(&l->readers_[seat->index / 64]) &
			reader_bit(seat)) ||
		(a64_exchange_seq_cst(entry, stoai_off(seat->seg, l) |
			STOAI_HELD_SHARED), 0)]])
stoa_model_mistake(leaving-not-counted rwlock "read and write" sync/rwlock.c
	[[		a32_fetch_add_seq_cst(&l->left_, 1);
]] "")
stoa_model_mistake(leaving-not-told rwlock "read and write" sync/rwlock.c
	[[		(void)stoai_os_futex_wake(&l->left_, UINT32_MAX);
]] "")
stoa_model_mistake(writer-does-not-wait rwlock "read and write" sync/rwlock.c
	[[		if (!stoai_lane_lists(seg, s, off | STOAI_HELD_SHARED) ||]]
	[[		if (stoai_lane_lists(seg, s, off | STOAI_HELD_SHARED) ||]])
stoa_model_mistake(sequence-left-odd rwlock "read and write" sync/recover.c
	[[				&l->seq_, a32_load_relaxed(&l->seq_) + 1);]]
	[[				&l->seq_, a32_load_relaxed(&l->seq_));]])
stoa_model_mistake(bit-set-behind-the-word rwlock "read and write" sync/rwlock.c
	[[	share_owned(seat, entry, l);
	stoai_word_unlock(&l->word_);
	return 0;
]] [[	a64_exchange_seq_cst(entry, off | STOAI_HELD_SHARED);
	stoai_word_unlock(&l->word_);
	share_owned(seat, entry, l);
	return 0;
]])

# ---- from one mode to another ----

stoa_model_mistake(door-opened-silently upgrade "one downgrades" sync/rwlock.c
	[[	if (old & STOAI_WORD_WAITERS)
]] [[	if (0 && old)
]])
stoa_model_mistake(door-not-shut upgrade "one upgrades beside a reader"
	sync/rwlock.c
	[[	a32_fetch_and_seq_cst(&l->word_, ~STOAI_WORD_UPGRADABLE); /* I4 */
]] "")
stoa_model_mistake(bit-lost upgrade "two that share try" sync/rwlock.c
	[[		a64_fetch_or_seq_cst(
			&l->readers_[seat->index / 64], reader_bit(seat));
		stoai_word_unlock(&l->word_);
		return rc;]]
	[[		stoai_word_unlock(&l->word_);
		return rc;]])
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
	[[	a64_store_release(&lane->cursor, start); /* I4 */
	a32_store_kill(&lane->state, STOAI_LANE_OPEN);]]
	[[	a32_store_kill(&lane->state, STOAI_LANE_OPEN);
	a64_store_kill(&lane->cursor, start);]])

# ---- the heap ----

stoa_model_mistake(harvest-without-barrier heap "" heap/slab.c
	[[	harvest_barrier(seg, span, class_index, freed);
]] "")
stoa_model_mistake(harvest-by-store heap "two free" heap/slab.c
	[[		a64_fetch_and_seq_cst(&bits[w].remote, ~freed[w]);]]
	[[		a64_store_release(&bits[w].remote, 0);]])
stoa_model_mistake(remote-cleared-first heap "" heap/slab.c
	[[		a64_store_kill(&bits[w].pub, pub & ~gone);
]] [[		a64_fetch_and_seq_cst(&bits[w].remote, ~freed[w]);
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
	[[	old = a64_fetch_or_seq_cst(&block->bits->remote, block->bit);]]
	[[	old = a64_load_relaxed(&block->bits->remote);
	a64_store_release(&block->bits->remote, old | block->bit);]])
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

stoa_model_mistake(merge-head-last heap "longer in place" heap/resize.c
	[[	STOA_VERIFY(head_change(seg, span, word, n + k)); /* M2 */
	/* pairs with: stoai_span_load of who looks for runs */
	a64_store_release(stoai_span_at(seg, span + n), /* M3 */
		stoai_span_word(STOAI_SPAN_BODY, 0, n));
]] [[	a64_store_release(stoai_span_at(seg, span + n), /* M3 */
		stoai_span_word(STOAI_SPAN_BODY, 0, n));
	STOA_VERIFY(head_change(seg, span, word, n + k)); /* M2 */
]])

stoa_model_mistake(split-head-first heap "shorter in place" heap/resize.c
	[[	a64_store_release(stoai_span_at(seg, span + n), /* S1 */
		stoai_span_word(STOAI_SPAN_LARGE,
			STOAI_SPAN_PUBLISHED | stoai_span_owned(slot), k));
	STOA_VERIFY(head_change(seg, span, word, n)); /* S2 */
]] [[	STOA_VERIFY(head_change(seg, span, word, n)); /* S2 */
	a64_store_release(stoai_span_at(seg, span + n), /* S1 */
		stoai_span_word(STOAI_SPAN_LARGE,
			STOAI_SPAN_PUBLISHED | stoai_span_owned(slot), k));
]])

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

# ---- owed wake-ups ----

stoa_model_mistake(sleepers-not-set-again semaphore "two wait" sync/semaphore.c
	[[how & STOAI_LOOK_SLEPT ? SLEEPERS : 0;]] [[0;]])
stoa_model_mistake(not-handed-on semaphore "one posts twice" sync/semaphore.c
	[[			if (slept && (w - 1) & ~SLEEPERS)
				stoai_wake_at(
					seat->seg, stoai_off(seat->seg, s), 1);
]] "")
stoa_model_mistake(waiter-owes-nothing semaphore "two wait" sync/wait.c
	[[	stoai_owe(seat, stoai_off(seat->seg, word));
]] "")
stoa_model_mistake(poster-owes-nothing semaphore "two wait" sync/semaphore.c
	[[		if (w & SLEEPERS)
			stoai_owe(seat, off);
]] "")
stoa_model_mistake(owed-not-replayed semaphore "one sweeps" sync/recover.c
	[[	replay(seg, &dead->waiting);
]] "")
stoa_model_mistake(takers-not-set-again event "two take" sync/event.c
	[[how & STOAI_LOOK_SLEPT ? TAKERS : 0;]] [[0;]])
stoa_model_mistake(set-wakes-one event "two wait, one sets" sync/event.c
	[[w & WAITERS ? UINT32_MAX : 1);]] [[1);]])
stoa_model_mistake(sets-not-counted event "sets and resets" sync/event.c
	[[		if (w & SET || (w ^ key) & COUNT)]]
	[[		if (w & SET)]])
stoa_model_mistake(latch-wakes-one event "a latch: two wait" sync/latch.c
	[[		stoai_wake_at(seat->seg, off, UINT32_MAX);]]
	[[		stoai_wake_at(seat->seg, off, 1);]])
stoa_model_mistake(key-taken-late event "an event count" sync/eventcount.c
	[[	rc = stoai_look_until(
]] [[	key = a32_fetch_or_seq_cst(&e->word_, 1) | 1;
	rc = stoai_look_until(
]])

# ---- rolls ----

stoa_model_mistake(lanes-looked-at-once permits "two take one" sync/permits.c
	[[			seen = a32_fetch_or_seq_cst(&p->seq_, 1) | 1;
			got = take_free(seat, p, entry, &sum);
]] [[			seen = a32_fetch_or_seq_cst(&p->seq_, 1) | 1;
]])
stoa_model_mistake(summed-without-lock permits "two take one" sync/permits.c
	[[		got = take_free(seat, p, entry, &sum);
		if (!got && deadline]] [[		stoai_unlock(seat, &p->lock_);
		got = take_free(seat, p, entry, &sum);
		if (stoai_roll_lock(seat, &p->lock_))
			return -1;
		if (!got && deadline]])
stoa_model_mistake(unlisted-before-notify permits "one keeps it" sync/permits.c
	[[	stoai_notify(seat, &p->seq_, false);
	if (!stoai_roll_count(*entry))
		stoai_roll_drop(seat, entry);
	return]] [[	if (!stoai_roll_count(*entry))
		stoai_roll_drop(seat, entry);
	stoai_notify(seat, &p->seq_, false);
	return]])
stoa_model_mistake(entry-cleared-silently permits "one keeps it" sync/recover.c
	[[	(void)stoai_os_futex_wake(sleepers, UINT32_MAX);
	a64_exchange_seq_cst(entry, 0);
	(void)stoai_os_futex_wake(sleepers, UINT32_MAX);
]] [[	(void)sleepers;
	a64_exchange_seq_cst(entry, 0);
]])
stoa_model_mistake(slot-not-marked permits "two take one" sync/permits.c
	[[	stoai_roll_mark(seat, p->holders_);
]] "")
stoa_model_mistake(phase-not-told barrier "two members" sync/barrier.c
	[[	if (moved > 0)
]] [[	if (moved > 1)
]])
stoa_model_mistake(leaves-owing-nothing barrier "one leaves" sync/barrier.c
	[[	stoai_owe(seat, stoai_off(seat->seg, &b->phase_));
	stoai_roll_drop]] [[	stoai_roll_drop]])
stoa_model_mistake(mark-not-taken-back barrier "one gives up" sync/barrier.c
	[[		if (moved <= 0 && rc) /* gave up: not there any more */
			stoai_roll_set(entry, held_of(seat, b), 0);
]] "")
stoa_model_mistake(dead-not-missed barrier "two members" sync/roll.c
	[[		!stoai_token_dead(a32_load_acquire(stoai_token_at(seg, slot))))
		return 0;
]] [[		seg)
		return 0;
]])
