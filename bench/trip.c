/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How long does it take to wake another process and to be woken by it?
 *
 * Role 0 gives and takes, role 1 takes and gives. Before its last ball role 0 says that
 * it is over, and role 1 does not answer that one; so both end with no ball anywhere,
 * and the next measurement, of other processes with the same locks, begins so.
 *
 * A word that says whose turn it is would not do: it keeps the last turn. Then role 1
 * of the next measurement need not wait for role 0, sees that it is over (it was, the
 * last time) and leaves, and role 0 waits for ever. As it is, role 1 looks at `over`
 * only when it has taken a ball, which role 0 gave after it had cleared `over`.
 */
#include "trip.h"

static uint32_t *over;

bool
trip_open(void)
{
	if (!over)
		over = measure_shared(sizeof *over);
	return over != NULL;
}

double
trip_figure(const struct measure_row *row, int role, uint64_t ns)
{
	const struct trip *t = (const struct trip *)row->param;
	uint64_t from = measure_now(), now, n = 0;

	if (role) {
		while (t->take(0)) {
			if (__atomic_load_n(over, __ATOMIC_ACQUIRE))
				return 0;
			if (!t->give(1))
				break;
		}
		return -1;
	}
	__atomic_store_n(over, 0, __ATOMIC_RELEASE);
	do {
		if (!t->give(0) || !t->take(1))
			return -1;
		n++;
		now = measure_now();
	} while (now - from < ns);
	__atomic_store_n(over, 1, __ATOMIC_RELEASE);
	if (!t->give(0))
		return -1;
	return (double)(now - from) / (double)n;
}
