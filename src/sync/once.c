/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Once: who does it holds a mutex, and what a mutex knows of deaths is all that is
 * needed.
 *
 *	done_   lock_                        begin
 *	1       any                          done
 *	0       free                         has it: first
 *	0       free, its holder died        has it: again
 *	0       held                         waits
 *
 *	end     done_ = 1, then the mutex is mended and given back
 *	undo    the mutex is given back as it was
 *
 * A death before `done_ = 1` is a mutex whose holder died, one behind it is nothing:
 * it is done.
 */
#include "stoa/event.h"
#include "sync/lock.h"

int
stoa_once_begin(const stoa_once *o, uint64_t deadline)
{
	int rc;

	if (stoai_likely(a32_load_acquire(&o->done_)))
		return STOA_ONCE_DONE;
	rc = stoa_mutex_lock_until(&o->lock_, deadline);
	if (rc && rc != -EOWNERDEAD)
		return rc;
	if (a32_load_acquire(&o->done_)) {
		stoa_mutex_mend(&o->lock_);
		stoa_mutex_unlock(&o->lock_);
		return STOA_ONCE_DONE;
	}
	return rc ? STOA_ONCE_AGAIN : STOA_ONCE_FIRST;
}

/* Is it this thread that is doing it? */
static int
doing(const stoa_once *o)
{
	struct stoai_seat *seat = stoai_seat_having(o);
	uint16_t *depth;

	if (seat && stoai_lock_entry(seat, &o->lock_, &depth))
		return 0;
	return stoai_error(
		-EPERM, "stoa_once: this thread has not begun what it ends");
}

int
stoa_once_end(const stoa_once *once)
{
	stoa_once *o = (stoa_once *)(uintptr_t)once;
	int rc = doing(o);

	if (rc)
		return rc;
	a32_store_release(&o->done_, 1);
	stoa_mutex_mend(&o->lock_);
	stoa_mutex_unlock(&o->lock_);
	return 0;
}

int
stoa_once_undo(const stoa_once *o)
{
	int rc = doing(o);

	if (!rc)
		stoa_mutex_unlock(&o->lock_);
	return rc;
}

bool
stoa_once_is_done(const stoa_once *o)
{
	return a32_load_acquire(&o->done_);
}
