/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Pollables: how does a loop that sleeps in epoll or poll learn that a word of shared memory
 * has changed?
 *
 * A word can be slept at, a descriptor polled, and nothing does both. So a thread of
 * this process sleeps at the words, and makes an eventfd ready:
 *
 *	state    who sets it     the helper
 *	IDLE     the helper      sleeps at the state
 *	ARMED    arm             waits as many.c does, and takes nothing; then IDLE, and
 *	                         the descriptor is ready
 *	CLOSING  close           ends
 *
 * The helper is a waiter as any: it is listed in its lane, and passes on what it was woken
 * for, so that others who wait elsewhere get it if the program does not come. Who posts
 * knows nothing of it.
 *
 * Invariants
 *	I1  IDLE before the descriptor is made ready; arm clears it before it looks at the
 *	    state. So an arm that clears a ready descriptor finds IDLE and arms anew
 *	I2  what is waited for is changed only while the state is not ARMED
 *
 * Crash argument: the helper dies with its process, and is recovered as a waiter.
 * Nothing of it is shared but its lane.
 */
#include "stoa/wait.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "sync/many.h"

enum {
	STARTING,
	IDLE,
	ARMED,
	CLOSING
};

/* local */
struct stoa_pollable {
	uint32_t state;
	int rc; /* of the helper's first look, once it does not start any more */
	int fd;
	unsigned n;
	bool kept;        /* events have the keys of a wait that began before */
	uint64_t process; /* where the helper is: not in a fork child */
	pthread_t helper;
	stoa_waitable on[STOA_WAIT_MAX];
};

static void
watch(struct stoa_pollable *p)
{
	uint32_t armed = ARMED;
	uint64_t tick = 0;
	struct stoai_many m;
	int rc = stoai_many_begin(&m, p->on, p->n);

	if (!rc) {
		rc = stoai_many_list(&m);
		m.seat[m.n] = NULL;
		m.on[m.n] = (struct stoai_os_word){&p->state, ARMED};
		while (!rc && a32_load_acquire(&p->state) == ARMED &&
			stoai_many_look(&m, STOAI_LOOK_SLEEP | m.how) < 0) {
			rc = stoai_sleep_any(
				m.seat, m.on, m.n + 1, STOA_FOREVER, &tick);
			m.how = STOAI_LOOK_SLEPT;
		}
		stoai_many_unlist(&m, -1);
		stoai_many_end(&m);
	}
	if (a32_cas_seq_cst(&p->state, &armed, IDLE)) /* I1 */
		stoai_os_event_set(p->fd);
}

static void *
help(void *pollable)
{
	struct stoa_pollable *p = pollable;
	struct stoai_many m;
	uint32_t state;

	p->rc = stoai_many_begin(&m, p->on, p->n); /* attached from here on */
	if (!p->rc)
		stoai_many_end(&m);
	a32_store_release(&p->state, IDLE);
	(void)stoai_os_futex_wake(&p->state, UINT32_MAX);
	if (p->rc)
		return NULL;
	while ((state = a32_load_acquire(&p->state)) != CLOSING)
		if (state == ARMED)
			watch(p);
		else
			(void)stoai_os_futex_wait(
				&p->state, IDLE, STOA_FOREVER);
	return NULL;
}

static int
helper_start(struct stoa_pollable *p)
{
	int rc = stoai_os_thread(&p->helper, help, p);

	if (rc)
		return stoai_error(rc, "stoa_pollable_open: no thread: %s",
			stoa_strerror(rc));
	while (a32_load_acquire(&p->state) == STARTING)
		(void)stoai_os_futex_wait(&p->state, STARTING, STOA_FOREVER);
	if (!p->rc)
		return 0;
	(void)pthread_join(p->helper, NULL);
	return stoai_error(p->rc, "stoa_pollable_open: its helper thread: %s",
		stoa_strerror(p->rc));
}

int
stoai_pollable_open(const stoa_waitable *on, unsigned n, stoa_pollable **ret)
{
	struct stoa_pollable *p = calloc(1, sizeof *p);
	int rc;

	if (!p)
		return stoai_error(-ENOMEM, "stoa_pollable_open: no memory");
	p->n = n;
	p->process = stoai_os_process();
	memcpy(p->on, on, n * sizeof *on);
	for (unsigned i = 0; i < n; i++)
		p->kept |= on[i].kind_ == STOA_WAITABLE_EVENT &&
			   on[i].which_ == STOAI_KEY_GIVEN;
	p->fd = stoai_os_event();
	rc = p->fd < 0
		     ? stoai_error(p->fd, "stoa_pollable_open: no eventfd: %s",
			       stoa_strerror(p->fd))
		     : helper_start(p);
	if (rc) {
		if (p->fd >= 0)
			(void)stoai_os_close(p->fd);
		free(p);
		return rc;
	}
	*ret = p;
	return 0;
}

int
stoa_pollable_open(const stoa_waitable *on, unsigned n, stoa_pollable **ret)
{
	struct stoai_many m;
	int rc = stoai_many_begin(&m, on, n); /* for its texts */

	if (rc)
		return rc;
	stoai_many_end(&m);
	for (unsigned i = 0; i < n; i++)
		if (on[i].kind_ == STOA_WAITABLE_FD)
			return stoai_error(-EINVAL,
				"stoa_pollable_open: a descriptor is polled "
				"beside it, not through it");
	return stoai_pollable_open(on, n, ret);
}

int
stoa_pollable_fd(const stoa_pollable *p)
{
	return p->fd;
}

void
stoai_pollable_arm(stoa_pollable *p)
{
	stoai_os_event_clear(p->fd); /* I1 */
	if (a32_load_acquire(&p->state) == ARMED)
		return;
	for (unsigned i = 0; i < p->n; i++) /* I2: from now on, not later */
		if (p->on[i].kind_ == STOA_WAITABLE_EVENT && !p->kept) {
			p->on[i].key_ = a32_load_acquire(p->on[i].object_);
			p->on[i].which_ = STOAI_KEY_GIVEN;
		}
	a32_store_release(&p->state, ARMED);
	(void)stoai_os_futex_wake(&p->state, 1);
}

int
stoa_pollable_arm(stoa_pollable *p)
{
	if (p->process != stoai_os_process())
		return stoai_error(-EPERM,
			"stoa_pollable_arm: of another process; a fork child "
			"opens its own");
	stoai_pollable_arm(p);
	return 0;
}

void
stoa_pollable_set_key(stoa_pollable *p, unsigned i, uint32_t key)
{
	if (i < p->n && p->on[i].kind_ == STOA_WAITABLE_EVENTCOUNT &&
		a32_load_acquire(&p->state) != ARMED) /* I2 */
		p->on[i].key_ = key;
}

stoa_pollable *
stoa_pollable_close(stoa_pollable *p)
{
	if (!p)
		return NULL;
	if (p->process == stoai_os_process()) {
		a32_exchange_seq_cst(&p->state, CLOSING);
		(void)stoai_os_futex_wake(&p->state, UINT32_MAX);
		(void)pthread_join(p->helper, NULL);
	}
	(void)stoai_os_close(p->fd);
	free(p);
	return NULL;
}
