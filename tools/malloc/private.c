/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The process's own heap: where is it, and which seat has a thread in it?
 *
 *	segment   STOA_LOCAL: anonymous private memory, no descriptor, no name
 *	seat      one a thread, as in any segment: 255 at a time
 *	shared    one more, under a lock, for threads that have none: the 256th and
 *	          later ones, and those that end and have given theirs back
 *
 * A fork copies the heap. To the copy every thread of the parent is dead, also the
 * one that forked: seats are wiped pages in a child, and the child's first call
 * attaches anew. What a thread of the parent was doing meanwhile, with the heap's
 * lock or half a block, is recovered like after a kill; so no lock is taken before a
 * fork, and none can be left held. All blocks that were handed out are published,
 * which is why recovery lets them alone.
 *
 * The library allocates when it opens a segment or attaches a thread. private_self
 * says so (inside), has no seat for that time, and such calls get early blocks.
 */
#include "private.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "early.h"
#include "os/os.h"

enum {
	SIZE_SHIFT = 26,  /* begins as large: its spans have 64 KiB */
	LIMIT_SHIFT = 38, /* bytes of address space, if they can be had */
	LIMIT_SHIFT_MIN = 24
};

enum {
	CLOSED,
	OPENING,
	OPEN,
	BROKEN
};

STOAI_THREAD struct private_self private_self;
stoa_segment *private_segment;

static STOAI_THREAD int kept_errno;
static uint32_t state;
static pthread_key_t thread_end_key;
static struct private_counts counts;

/* Zero in a child, where whoever held the lock is no more. */
static struct wiped {
	uint32_t lock;
	uint32_t pad;
	struct stoai_seat *shared;
} * wiped;

void
private_abort(const char *what)
{
	static const char head[] = "libstoa-malloc: ";

	(void)!write(STDERR_FILENO, head, sizeof head - 1);
	(void)!write(STDERR_FILENO, what, strlen(what));
	(void)!write(STDERR_FILENO, "\n", 1);
	abort();
}

bool
private_wished(const char *name)
{
	const char *word = getenv(name);

	return word && word[0] && strcmp(word, "0") != 0;
}

void
private_count(struct private_counts *ret)
{
	ret->entered = a64_load_relaxed(&counts.entered);
	ret->shared = a64_load_relaxed(&counts.shared);
}

/* ---- opening ---- */

/* Bytes, with K, M, G or T behind them; 0: not set, or none of it. */
static uint64_t
wished_limit(void)
{
	static const char units[] = "KMGT";
	const char *word = getenv("STOA_MALLOC_LIMIT"), *unit;
	char *end;
	uint64_t n;

	if (!word)
		return 0;
	n = strtoull(word, &end, 10);
	unit = *end ? strchr(units, *end & ~0x20) : NULL;
	if (unit && *unit)
		n <<= 10 * (unit - units + 1);
	return n;
}

/* As much address space as it may have: a limit on it is met by halves. */
static int
segment_open(void)
{
	uint64_t limit = wished_limit();
	uint64_t least = limit ? limit : UINT64_C(1) << LIMIT_SHIFT_MIN;
	int rc;

	if (!limit)
		limit = UINT64_C(1) << LIMIT_SHIFT;
	do {
		rc = stoa_segment_open(NULL, STOA_CREATE | STOA_LOCAL,
			STOA_SEGMENT_OPTIONS(.size = stoai_min(limit,
						     UINT64_C(1) << SIZE_SHIFT),
				.limit = limit),
			&private_segment);
		limit /= 2;
	} while (rc == -ENOMEM && limit >= least);
	return rc;
}

static void
thread_end(void *p)
{
	(void)p;
	private_self.seat = private_self.kept = NULL;
	private_self.leaving = true;
}

static int
wiped_make(void)
{
	size_t size = stoai_os_page_size();
	void *at;
	int rc = stoai_os_map_private(
		size, STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &at);

	if (!rc)
		rc = stoai_os_wipe_on_fork(at, size);
	if (!rc)
		wiped = at;
	return rc;
}

/* The key first: of a thread that ends we hear before the library. */
static bool
heap_open(void)
{
	uint32_t seen = a32_load_acquire(&state);

	while (seen != OPEN && seen != BROKEN) {
		if (!environ)
			return false;
		if (seen == CLOSED && a32_cas_seq_cst(&state, &seen, OPENING)) {
			seen = pthread_key_create(
				       &thread_end_key, thread_end) ||
					       wiped_make() || segment_open()
				       ? BROKEN
				       : OPEN;
			a32_store_release(&state, seen);
		} else {
			(void)sched_yield();
			seen = a32_load_acquire(&state);
		}
	}
	return seen == OPEN;
}

/* ---- seats ---- */

static void
shared_lock(void)
{
	uint32_t none = 0;

	while (!a32_cas_seq_cst(&wiped->lock, &none, 1)) {
		(void)sched_yield();
		none = 0;
	}
}

static void
shared_unlock(void)
{
	a32_store_release(&wiped->lock, 0);
}

/* It is nobody's: when its maker ends it stays. */
static int
shared_make(void)
{
	struct stoai_seat *seat;
	int rc = 0;

	shared_lock();
	if (!wiped->shared) {
		rc = stoai_attach(private_segment, STOA_NOW, &seat);
		if (!rc) {
			stoai_self->seat[private_segment->id] = NULL;
			stoai_seat_last = NULL;
			wiped->shared = seat;
		}
	}
	shared_unlock();
	return rc;
}

static struct stoai_seat *
seat_make(void)
{
	struct stoai_seat *seat;

	private_self.kept = NULL;
	if (!wiped->shared && shared_make())
		return NULL;
	if (!private_self.leaving &&
		!stoai_attach(private_segment, STOA_NOW, &seat)) {
		private_self.kept = seat;
		(void)pthread_setspecific(thread_end_key, &private_self);
		return seat;
	}
	shared_lock();
	a64_fetch_add_seq_cst(&counts.shared, 1);
	return wiped->shared;
}

struct stoai_seat *
private_enter(void)
{
	int before = errno;
	struct stoai_seat *seat = NULL;

	if (private_self.inside)
		return NULL;
	private_self.inside = true;
	private_self.seat = NULL;
	a64_fetch_add_seq_cst(&counts.entered, 1);
	if (heap_open())
		seat = private_self.kept && private_self.kept->seg
			       ? private_self.kept
			       : seat_make();
	errno = before;
	kept_errno = before;
	if (!seat) {
		private_self.inside = false;
		errno = ENOMEM;
	}
	return seat;
}

void
private_leave(struct stoai_seat *seat)
{
	if (seat == private_self.kept)
		private_self.seat = seat;
	else
		shared_unlock();
	private_self.inside = false;
	errno = kept_errno;
}
