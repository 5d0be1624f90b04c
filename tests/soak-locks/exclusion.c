/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Mutex and reader/writer lock, taken raw: is who is inside alone, and is the next one
 * told when one died there?
 */
#include "locks.h"

static void
nothing_taken(void)
{
	memset(p, 0, sizeof *p);
}

/* ---- mutex ---- */

static int
lock_mutex(struct actor *me)
{
	const bool again = chance(me, 8) == 0;
	int rc = stoa_mutex_lock_until(&p->mutex, some_deadline(me));

	if (in_vain(rc))
		return SKIPPED;
	if (rc && rc != -EOWNERDEAD)
		return rc;
	work_alone(me, &p->owner, &p->a, &p->b, rc == -EOWNERDEAD);
	if (rc)
		stoa_mutex_mend(&p->mutex);
	if (again && !stoa_mutex_lock_again(&p->mutex, STOA_NOW)) {
		work_alone(me, &p->owner, &p->a, &p->b, false);
		stoa_mutex_unlock(&p->mutex);
	}
	stoa_mutex_unlock(&p->mutex);
	return 0;
}

static int
have_mutex(struct actor *me)
{
	(void)me;
	return stoa_mutex_lock(&p->mutex);
}

static int
give_mutex(struct actor *me)
{
	(void)me;
	stoa_mutex_unlock(&p->mutex);
	return 0;
}

static bool
mutex_whole(void)
{
	const int rc = stoa_mutex_lock_until(&p->mutex, STOA_NOW);

	if (rc == -EOWNERDEAD)
		stoa_mutex_mend(&p->mutex);
	stoa_mutex_unlock(&p->mutex);
	return rc == -EOWNERDEAD || (!rc && p->a == p->b);
}

const struct play mutex_play = {"mutex", .role = {lock_mutex}, .each = true,
	.fresh = nothing_taken, .whole = mutex_whole, .before = have_mutex,
	.act = give_mutex};

/* ---- reader/writer lock ---- */

/* It is held exclusively. */
static void
write_pair(struct actor *me, bool told)
{
	work_alone(me, &p->owner, &p->a, &p->b, told);
	if (told)
		stoa_rwlock_mend(&p->lock);
}

static int
take_as(struct actor *me, enum stoa_mode mode, bool *told)
{
	const int rc = stoa_rwlock_lock_as(&p->lock, mode, some_deadline(me));

	*told = rc == -EOWNERDEAD;
	return *told ? 0 : rc;
}

/* Nobody writes meanwhile. */
static void
read_pair(struct actor *me, bool told)
{
	const uint64_t a = a64_load_relaxed(&p->a), b = a64_load_relaxed(&p->b);

	linger(me);
	if (a != a64_load_relaxed(&p->a) || b != a64_load_relaxed(&p->b))
		broken("somebody writes beside a reader");
	if (a != b && !told)
		broken("a reader sees %" PRIu64 " and %" PRIu64
		       ", and was not told",
			a, b);
}

static int
read_it(struct actor *me)
{
	bool told;
	int rc = take_as(me, STOA_SHARED, &told);

	if (rc)
		return in_vain(rc) ? SKIPPED : rc;
	a64_store_relaxed(&me->inside, 1);
	read_pair(me, told);
	a64_store_relaxed(&me->inside, 0);
	if (chance(me, 4) == 0 &&
		!stoa_rwlock_convert(&p->lock, STOA_EXCLUSIVE, STOA_NOW))
		write_pair(me, told);
	stoa_rwlock_unlock(&p->lock);
	return 0;
}

static int
write_it(struct actor *me)
{
	bool told;
	int rc = take_as(me, STOA_EXCLUSIVE, &told);

	if (rc)
		return in_vain(rc) ? SKIPPED : rc;
	write_pair(me, told);
	if (chance(me, 4) == 0) {
		rc = stoa_rwlock_convert(&p->lock,
			chance(me, 2) ? STOA_SHARED : STOA_UPGRADABLE,
			STOA_FOREVER);
		read_pair(me, false);
	}
	stoa_rwlock_unlock(&p->lock);
	return rc;
}

static int
upgrade_it(struct actor *me)
{
	const uint64_t id = me->id | (uint64_t)me->life << 8;
	bool told;
	int rc = take_as(me, STOA_UPGRADABLE, &told);

	if (rc)
		return in_vain(rc) ? SKIPPED : rc;
	a64_store_relaxed(&p->upgrader, id);
	read_pair(me, told);
	rc = stoa_rwlock_convert(&p->lock, STOA_EXCLUSIVE, some_deadline(me));
	if (!rc)
		write_pair(me, told);
	if (!rc || in_vain(rc))
		rc = stoa_rwlock_convert(
			&p->lock, STOA_UPGRADABLE, STOA_FOREVER);
	if (a64_load_relaxed(&p->upgrader) != id)
		broken("two are upgradable");
	if (!rc && chance(me, 4) == 0)
		rc = stoa_rwlock_convert(&p->lock, STOA_SHARED, STOA_FOREVER);
	stoa_rwlock_unlock(&p->lock);
	return rc;
}

static int
have_lock(struct actor *me)
{
	(void)me;
	return stoa_rwlock_lock(&p->lock);
}

static int
give_lock(struct actor *me)
{
	(void)me;
	stoa_rwlock_unlock(&p->lock);
	return 0;
}

static bool
rwlock_whole(void)
{
	const int rc = stoa_rwlock_lock_as(&p->lock, STOA_EXCLUSIVE, STOA_NOW);

	if (rc == -EOWNERDEAD)
		stoa_rwlock_mend(&p->lock);
	stoa_rwlock_unlock(&p->lock);
	return rc == -EOWNERDEAD || (!rc && p->a == p->b);
}

const struct play rwlock_play = {"rwlock",
	.role = {read_it, write_it, upgrade_it}, .each = true,
	.fresh = nothing_taken, .whole = rwlock_whole, .before = have_lock,
	.act = give_lock};
