/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Conditions, with a mutex and with a reader/writer lock: is what was made under the
 * lock and signalled taken by somebody, whoever dies?
 */
#include "locks.h"

static bool shared_lock; /* the rwlock instead of the mutex */

static int
enter(void)
{
	int rc = shared_lock ? stoa_rwlock_lock(&p->lock)
			     : stoa_mutex_lock(&p->mutex);

	if (rc != -EOWNERDEAD)
		return rc;
	/* one died inside, perhaps between its change and its signal */
	stoa_mutex_mend(&p->mutex);
	stoa_rwlock_mend(&p->lock);
	return stoa_cond_broadcast(&p->changed);
}

static void
leave(void)
{
	if (shared_lock)
		stoa_rwlock_unlock(&p->lock);
	else
		stoa_mutex_unlock(&p->mutex);
}

static int
await_change(uint64_t deadline)
{
	int rc = shared_lock ? stoa_cond_wait(&p->changed, &p->lock, deadline)
			     : stoa_cond_wait(&p->changed, &p->mutex, deadline);

	if (rc != -EOWNERDEAD)
		return rc;
	stoa_mutex_mend(&p->mutex);
	stoa_rwlock_mend(&p->lock);
	return stoa_cond_broadcast(&p->changed);
}

static int
make_token(struct actor *me)
{
	bool full;
	int rc = enter();

	if (rc)
		return rc;
	full = p->tokens >= PILE;
	if (!full) {
		a64_store_relaxed(&me->inside, 1);
		a64_store_relaxed(&p->tokens, p->tokens + 1);
		linger(me);
		rc = chance(me, 4) ? stoa_cond_signal(&p->changed)
				   : stoa_cond_broadcast(&p->changed);
		a64_store_relaxed(&me->inside, 0);
	}
	leave();
	if (full)
		sched_yield();
	return full ? SKIPPED : rc;
}

static int
take_token(struct actor *me)
{
	int rc = enter();

	if (rc)
		return rc;
	while (!rc && !a64_load_relaxed(&p->tokens))
		rc = await_change(some_deadline(me));
	if (!rc)
		a64_store_relaxed(&p->tokens, p->tokens - 1);
	leave();
	return in_vain(rc) ? SKIPPED : rc;
}

/* As any that takes the lock after a death. */
static void
look_inside(void)
{
	if (!enter())
		leave();
}

static bool
no_tokens(void)
{
	return !a64_load_seq_cst(&p->tokens);
}

static void
start(bool with_rwlock)
{
	shared_lock = with_rwlock;
	memset(&p->lock, 0, sizeof p->lock);
	memset(&p->mutex, 0, sizeof p->mutex);
	memset(&p->changed, 0, sizeof p->changed);
	p->tokens = 0;
}

static void
with_mutex(void)
{
	start(false);
}

static void
with_rwlock(void)
{
	start(true);
}

const struct play condition_play = {"condition",
	.role = {make_token, take_token}, .makers = true, .fresh = with_mutex,
	.help = look_inside, .rest = no_tokens, .act = make_token};
const struct play condition_rwlock_play = {"condition-rwlock",
	.role = {make_token, take_token}, .makers = true, .fresh = with_rwlock,
	.help = look_inside, .rest = no_tokens, .act = make_token};
