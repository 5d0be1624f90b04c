/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks and conditions without a transaction, killed at every instruction. Nothing
 * undoes what a holder did: whoever comes next is told, and mends. So the data are two
 * numbers that differ only while somebody is inside.
 */
#include "crash.h"
#include "stoa/stoa.h"

typedef struct data {
	stoa_mutex m;
	stoa_rwlock l;
	stoa_cond c;
	uint64_t first, second;
} data;
STOA_TYPE(data, m, l, c, first, second);

struct test {
	const data *d;
};

#define COVERS(text) .covers = text

/* ---- under a lock ---- */

/* It was taken, with that result: the data are right afterwards, or < 0. */
static int
entered(const data *d, int rc)
{
	volatile uint64_t *first = (uint64_t *)(uintptr_t)&d->first;

	if (rc != -EOWNERDEAD)
		return rc;
	*first = d->second; /* not whole: as if it had never begun */
	stoa_mutex_mend(&d->m);
	stoa_rwlock_mend(&d->l);
	return 0;
}

static void
add(const data *d)
{
	volatile uint64_t *first = (uint64_t *)(uintptr_t)&d->first;
	volatile uint64_t *second = (uint64_t *)(uintptr_t)&d->second;

	++*first;
	++*second;
}

static const data *
begin(stoa_segment *seg, void *user)
{
	/* two handles of one mapping: the raw calls are to be of this one */
	return stoa_segment_attach(seg) ? NULL : ((struct test *)user)->d;
}

/* Both locks, since a case uses one or the other. */
static int
enter(const data *d)
{
	int rc = entered(d, stoa_mutex_lock(&d->m));

	if (rc)
		return rc;
	rc = entered(d, stoa_rwlock_lock(&d->l));
	if (rc)
		stoa_mutex_unlock(&d->m);
	return rc;
}

static void
leave(const data *d)
{
	stoa_rwlock_unlock(&d->l);
	stoa_mutex_unlock(&d->m);
}

static int
setup(stoa_segment *seg, void *user)
{
	return stoa_object_open(seg, "data", data, &((struct test *)user)->d);
}

static int
check(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc = -EBADMSG;

	if (d && (d->m.word_ || d->l.word_ || d->l.seq_ % 2))
		return -EBUSY; /* nobody is inside, before anybody mends */
	if (d)
		rc = enter(d);
	if (rc)
		return rc;
	rc = d->first == d->second && d->l.seq_ % 2 == 1 ? 0 : -EBADMSG;
	leave(d);
	if (d->m.word_ || d->l.word_ || d->l.seq_ % 2)
		rc = -EBUSY;
	return rc;
}

static uint64_t
state(stoa_segment *seg, void *user)
{
	(void)seg;
	return ((struct test *)user)->d->second;
}

/* ---- others ---- */

static int
adds(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc = d ? enter(d) : -EBADMSG;

	if (rc)
		return rc;
	add(d);
	leave(d);
	return 0;
}

/* Where nobody is, nothing is half made; it cannot mend, and then does nothing. */
static int
reads(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc = d ? stoa_rwlock_share(&d->l) : -EBADMSG;

	if (rc && rc != -EOWNERDEAD)
		return rc;
	if (!rc && !d->m.word_ && !d->m.flags_ && d->first != d->second)
		rc = -EBADMSG;
	stoa_rwlock_unlock(&d->l);
	return rc;
}

static int
signals(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);

	return d ? stoa_cond_signal(&d->c) : -EBADMSG;
}

static const stoa_explore_op others[] = {{"adds", adds, false},
	{"reads", reads, false}, {"signals", signals, false}};

/* ---- mutex ---- */

static int
mutex(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc = d ? entered(d, stoa_mutex_lock(&d->m)) : -EBADMSG;

	if (rc)
		return rc;
	add(d);
	stoa_mutex_unlock(&d->m);
	return 0;
}

static int
mutex_until(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc = d ? entered(d, stoa_mutex_lock_until(&d->m, stoa_in_ms(60000)))
		   : -EBADMSG;

	if (rc)
		return rc;
	add(d);
	stoa_mutex_unlock(&d->m);
	return 0;
}

static int
mutex_again(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc = d ? entered(d, stoa_mutex_lock_again(&d->m, STOA_FOREVER))
		   : -EBADMSG;

	if (rc)
		return rc;
	rc = stoa_mutex_lock_again(&d->m, STOA_FOREVER);
	add(d);
	stoa_mutex_unlock(&d->m);
	stoa_mutex_unlock(&d->m);
	return rc;
}

static int
mutex_spin(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc =
		d ? entered(d, stoa_mutex_spin(&d->m, STOA_FOREVER)) : -EBADMSG;

	if (rc)
		return rc;
	add(d);
	stoa_mutex_unlock(&d->m);
	return 0;
}

static int
mutex_spin_again(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc = d ? entered(d, stoa_mutex_spin_again(&d->m, STOA_FOREVER))
		   : -EBADMSG;

	if (rc)
		return rc;
	rc = stoa_mutex_spin_again(&d->m, STOA_FOREVER);
	add(d);
	stoa_mutex_unlock(&d->m);
	stoa_mutex_unlock(&d->m);
	return rc;
}

static int
poison_and_mend(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc = d ? enter(d) : -EBADMSG;

	if (rc)
		return rc;
	stoa_mutex_poison(&d->m);
	stoa_rwlock_poison(&d->l);
	add(d);
	stoa_mutex_mend(&d->m);
	stoa_rwlock_mend(&d->l);
	leave(d);
	return 0;
}

/* Whoever is first makes it usable again: nobody knows what it guarded. */
static int
poison_check(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);

	if (!d)
		return -EBADMSG;
	for (int i = 0; i < 2; i++) {
		int rc = enter(d);

		if (!rc) {
			volatile uint64_t *first =
				(uint64_t *)(uintptr_t)&d->first;

			*first = d->second;
			leave(d);
		} else if (rc == -ENOTRECOVERABLE) {
			stoa_mutex_mend(&d->m);
			stoa_rwlock_mend(&d->l);
		} else {
			return rc;
		}
	}
	return check(seg, user);
}

/* ---- reader/writer lock ---- */

/* Taken in one mode, added in exclusive mode, and given up in another. */
static int
modes(stoa_segment *seg, void *user, enum stoa_mode first, enum stoa_mode then,
	enum stoa_mode last)
{
	const data *d = begin(seg, user);
	int rc = d ? stoa_rwlock_lock_as(&d->l, first, STOA_FOREVER) : -EBADMSG;

	if (rc && rc != -EOWNERDEAD)
		return rc;
	if (first == STOA_SHARED && rc) { /* it cannot mend */
		stoa_rwlock_unlock(&d->l);
		return rc;
	}
	if (!rc && then != STOA_UNLOCKED)
		rc = stoa_rwlock_convert(&d->l, then, STOA_NOW);
	if (!rc || rc == -EOWNERDEAD) {
		if (stoa_rwlock_mode(&d->l) != STOA_EXCLUSIVE)
			rc = stoa_rwlock_convert(&d->l, STOA_EXCLUSIVE,
				first == STOA_SHARED && then == STOA_UNLOCKED
					? STOA_NOW
					: STOA_FOREVER);
		else
			rc = entered(d, rc);
	}
	if (!rc) {
		add(d);
		if (last != STOA_UNLOCKED)
			rc = stoa_rwlock_convert(&d->l, last, STOA_NOW);
	}
	stoa_rwlock_unlock(&d->l);
	return rc;
}

static int
exclusive(stoa_segment *seg, void *user)
{
	return modes(seg, user, STOA_EXCLUSIVE, STOA_UNLOCKED, STOA_UNLOCKED);
}

static int
exclusive_to_shared(stoa_segment *seg, void *user)
{
	return modes(seg, user, STOA_EXCLUSIVE, STOA_UNLOCKED, STOA_SHARED);
}

static int
exclusive_to_upgradable(stoa_segment *seg, void *user)
{
	return modes(seg, user, STOA_EXCLUSIVE, STOA_UNLOCKED, STOA_UPGRADABLE);
}

static int
upgradable_to_exclusive(stoa_segment *seg, void *user)
{
	return modes(seg, user, STOA_UPGRADABLE, STOA_UNLOCKED, STOA_SHARED);
}

static int
shared_to_exclusive(stoa_segment *seg, void *user)
{
	return modes(seg, user, STOA_SHARED, STOA_EXCLUSIVE, STOA_UNLOCKED);
}

static int
shared_to_upgradable(stoa_segment *seg, void *user)
{
	return modes(seg, user, STOA_SHARED, STOA_UPGRADABLE, STOA_UNLOCKED);
}

static int
upgradable_to_shared(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc = d ? stoa_rwlock_lock_as(&d->l, STOA_UPGRADABLE, STOA_FOREVER)
		   : -EBADMSG;

	if (rc && rc != -EOWNERDEAD)
		return rc;
	rc = stoa_rwlock_convert(&d->l, STOA_SHARED, STOA_NOW);
	stoa_rwlock_unlock(&d->l);
	return rc;
}

static int
share(stoa_segment *seg, void *user)
{
	return reads(seg, user);
}

/* ---- conditions ---- */

static int
signal_all(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);

	return d ? stoa_cond_broadcast(&d->c) : -EBADMSG;
}

/* Nobody signals, or somebody does: it has the lock again. */
static int
wait_in_vain(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	uint64_t soon = stoa_in_ms(1);
	int rc = d ? entered(d, stoa_mutex_lock(&d->m)) : -EBADMSG;

	if (rc)
		return rc;
	do
		rc = entered(d, stoa_cond_wait(&d->c, &d->m, soon));
	while (!rc);
	add(d);
	stoa_mutex_unlock(&d->m);
	return rc == -ETIMEDOUT ? 0 : rc;
}

static int
wait_shared(stoa_segment *seg, void *user)
{
	const data *d = begin(seg, user);
	int rc = d ? stoa_rwlock_share(&d->l) : -EBADMSG;

	if (rc && rc != -EOWNERDEAD)
		return rc;
	if (!rc)
		rc = stoa_cond_wait(&d->c, &d->l, STOA_NOW);
	stoa_rwlock_unlock(&d->l);
	return rc == -ETIMEDOUT ? 0 : rc;
}

static struct test test;

#define RAW(title, check_, op_, flags_) \
 .explore = {.name = title, \
	 .setup = setup, \
	 .op = op_, \
	 .check = check_, \
	 .state = state, \
	 .others = others, \
	 .other_count = 3, \
	 .user = &test}, \
 .flags = (flags_)

static const struct crash_case cases[] = {
	{RAW("mutex", check, mutex, 0),
		COVERS("stoa_mutex_lock stoa_mutex_unlock stoa_mutex_mend "
		       "stoa_rwlock_mend")},
	{RAW("mutex, until", check, mutex_until, 0),
		COVERS("stoa_mutex_lock_until")},
	{RAW("mutex, again", check, mutex_again, 0),
		COVERS("stoa_mutex_lock_again")},
	{RAW("mutex, spinning", check, mutex_spin, 0),
		COVERS("stoa_mutex_spin")},
	{RAW("mutex, spinning again", check, mutex_spin_again, 0),
		COVERS("stoa_mutex_spin_again")},
	{RAW("exclusive", check, exclusive, 0),
		COVERS("stoa_rwlock_lock_as stoa_rwlock_lock "
		       "stoa_rwlock_unlock")},
	{RAW("shared", check, share, STOA_EXPLORE_LOOSE),
		COVERS("stoa_rwlock_share")},
	{RAW("exclusive to shared", check, exclusive_to_shared, 0),
		COVERS("stoa_rwlock_convert")},
	{RAW("exclusive to upgradable", check, exclusive_to_upgradable, 0),
		COVERS("stoa_rwlock_convert")},
	{RAW("upgradable to exclusive", check, upgradable_to_exclusive,
		 STOA_EXPLORE_LOOSE),
		COVERS("stoa_rwlock_convert stoa_rwlock_upgrade")},
	{RAW("upgradable to shared", check, upgradable_to_shared, 0),
		COVERS("stoa_rwlock_convert")},
	{RAW("shared to exclusive", check, shared_to_exclusive,
		 STOA_EXPLORE_LOOSE),
		COVERS("stoa_rwlock_convert")},
	{RAW("shared to upgradable", check, shared_to_upgradable,
		 STOA_EXPLORE_LOOSE),
		COVERS("stoa_rwlock_convert")},
	{RAW("signal", check, signals, 0), COVERS("stoa_cond_signal")},
	{RAW("broadcast", check, signal_all, 0), COVERS("stoa_cond_broadcast")},
	{RAW("wait in vain", check, wait_in_vain, STOA_EXPLORE_LOOSE),
		COVERS("stoa_cond_wait stoa_cond_wait_mutex_")},
	{RAW("wait, shared", check, wait_shared, STOA_EXPLORE_LOOSE),
		COVERS("stoa_cond_wait_rwlock_")},
	{RAW("poison and mend", poison_check, poison_and_mend,
		 STOA_EXPLORE_LOOSE),
		COVERS("stoa_mutex_poison stoa_rwlock_poison")},
};

int
main(int argc, char **argv)
{
	return crash_main(
		"raw", cases, sizeof cases / sizeof *cases, argc, argv);
}
