/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The same plays with glibc's condition, reader/writer lock and semaphore, shared
 * between processes, the mutex robust. They must fail: else this soak shows nothing.
 */
#include "locks.h"

static void
control_fresh(void)
{
	struct control *c = &board->control;
	pthread_mutexattr_t m;
	pthread_condattr_t d;
	pthread_rwlockattr_t l;

	memset(c, 0, sizeof *c);
	pthread_mutexattr_init(&m);
	pthread_mutexattr_setpshared(&m, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&m, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&c->mutex, &m);
	pthread_condattr_init(&d);
	pthread_condattr_setpshared(&d, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&c->cond, &d);
	pthread_rwlockattr_init(&l);
	pthread_rwlockattr_setpshared(&l, PTHREAD_PROCESS_SHARED);
	pthread_rwlockattr_setkind_np(/* else readers may starve a writer */
		&l, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&c->lock, &l);
	sem_init(&c->sem, 1, 0);
}

/* ---- condition ---- */

/* What has become of a robust mutex. */
static int
mended(int error)
{
	if (error != EOWNERDEAD)
		return -error;
	error = pthread_mutex_consistent(&board->control.mutex);
	return error ? -error : -pthread_cond_broadcast(&board->control.cond);
}

static int
make_token(struct actor *me)
{
	struct control *c = &board->control;
	bool full;
	int rc = mended(pthread_mutex_lock(&c->mutex));

	if (rc)
		return rc;
	full = c->tokens >= PILE;
	if (!full) {
		a64_store_relaxed(&me->inside, 1);
		a64_store_relaxed(&c->tokens, c->tokens + 1);
		linger(me);
		rc = chance(me, 4) ? pthread_cond_signal(&c->cond)
				   : pthread_cond_broadcast(&c->cond);
		a64_store_relaxed(&me->inside, 0);
	}
	pthread_mutex_unlock(&c->mutex);
	if (full)
		sched_yield();
	return full ? SKIPPED : -rc;
}

static int
take_token(struct actor *me)
{
	struct control *c = &board->control;
	int rc = mended(pthread_mutex_lock(&c->mutex));

	(void)me;
	while (!rc && !a64_load_relaxed(&c->tokens))
		rc = mended(pthread_cond_wait(&c->cond, &c->mutex));
	if (rc)
		return rc;
	a64_store_relaxed(&c->tokens, c->tokens - 1);
	pthread_mutex_unlock(&c->mutex);
	return 0;
}

/* As one that takes the lock after a death; whoever has it may be slow. */
static void
look_inside(void)
{
	const int error = pthread_mutex_trylock(&board->control.mutex);

	if (error == EBUSY || mended(error))
		return;
	pthread_mutex_unlock(&board->control.mutex);
}

static bool
no_tokens(void)
{
	return !a64_load_seq_cst(&board->control.tokens);
}

const struct play control_cond_play = {"control-cond",
	.role = {make_token, take_token}, .makers = true, .control = true,
	.fresh = control_fresh, .help = look_inside, .rest = no_tokens,
	.act = make_token};

/* ---- reader/writer lock ---- */

static int
read_it(struct actor *me)
{
	struct control *c = &board->control;
	const int error = pthread_rwlock_rdlock(&c->lock);

	if (error)
		return -error;
	a64_store_relaxed(&me->inside, 1);
	linger(me);
	if (a64_load_relaxed(&c->a) != a64_load_relaxed(&c->b))
		broken("a reader sees half a change, and was not told");
	a64_store_relaxed(&me->inside, 0);
	return -pthread_rwlock_unlock(&c->lock);
}

static int
write_it(struct actor *me)
{
	struct control *c = &board->control;
	const int error = pthread_rwlock_wrlock(&c->lock);

	if (error)
		return -error;
	work_alone(me, &c->owner, &c->a, &c->b, false);
	return -pthread_rwlock_unlock(&c->lock);
}

const struct play control_rwlock_play = {"control-rwlock",
	.role = {read_it, write_it}, .each = true, .control = true,
	.fresh = control_fresh};

/* ---- semaphore ---- */

static int
post_some(struct actor *me)
{
	int value = 0;

	sem_getvalue(&board->control.sem, &value);
	if (value >= PILE) {
		sched_yield();
		return SKIPPED;
	}
	me->begun++;
	return sem_post(&board->control.sem) ? -errno : 0;
}

static int
take_one(struct actor *me)
{
	(void)me;
	return sem_wait(&board->control.sem) ? -errno : 0;
}

static bool
none_is_there(void)
{
	int value = 0;

	sem_getvalue(&board->control.sem, &value);
	return value == 0;
}

const struct play control_sem_play = {"control-sem",
	.role = {post_some, take_one}, .makers = true, .control = true,
	.fresh = control_fresh, .rest = none_is_there, .act = post_some};
