/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Killed while a process becomes two, or another one: fork from the parent's and
 * from the child's side, exec from the leader and from another thread. The call is
 * made in the middle of a transaction, so there is something to lose.
 */
#include "suite.h"
#include <pthread.h>

enum {
	WORK = 5
};

static int
in_a_transaction(struct play *p)
{
	const stoa_rwlock *lock;
	stoa_hold hold;

	if (play_open(p, 0))
		return -1;
	lock = &p->d->victim.lock;
	hold = stoa_hold_of(lock);
	p->tx = stoa_tx_begin(p->seg, &hold, 1, STOA_FOREVER);
	things_push(p->tx, &p->d->victim, WORK);
	return stoa_tx_error(p->tx);
}

/* Its parent is dead: the transaction is not its own, and the lock is to be had. */
static void
orphan(struct play *p)
{
	if (stoa_tx_commit(p->tx) != -EPERM)
		board_fail(p, "the child commits for its parent");
	if (told(p) != 'c')
		_exit(1); /* the stage is over */
	STOA_TX_UNTIL(tx, stoa_in_ms(2500), p->seg, &p->d->victim.lock);
	things_push(tx, &p->d->victim, 1);
	if (stoa_tx_commit(tx))
		board_fail(p, "the child of the dead: %s", stoa_error_text());
	stoa_segment_detach(p->seg);
	tell(p->me, 'k');
	_exit(0);
}

static int
fork_and_die(struct play *p)
{
	pid_t pid = fork();

	if (!pid)
		orphan(p);
	return pid < 0;
}

/* Its child is dead: lock and transaction are what they were. */
static void
bereaved(struct play *p, pid_t child)
{
	uint64_t value = p->d->victim.value;
	int rc;

	waitpid(child, NULL, 0);
	if (told(p) != 'c')
		_exit(1);
	if (stoa_segment_recover(p->seg) < 0 ||
		(p->tx && p->d->victim.value != value))
		board_fail(p, "A1: the parent's transaction was undone");
	rc = p->tx ? stoa_tx_commit(p->tx)
		   : STOA_DO(tx, (p->seg, &p->d->victim.lock),
			     things_push(tx, &p->d->victim, 1));
	if (rc)
		board_fail(p, "A1: the parent: %s", stoa_error_text());
	if (p->tx)
		stoa_tx_end(p->tx);
	stoa_segment_detach(p->seg);
	tell(p->me, 'k');
	_exit(p->board->failed);
}

static int
attached(struct play *p)
{
	return play_open(p, 0);
}

/* The child attaches, and does work of its own if its parent has none open. */
static int
fork_and_let_die(struct play *p)
{
	pid_t pid = fork();

	if (pid > 0)
		bereaved(p, pid);
	if (pid < 0)
		return -1;
	return p->tx ? stoa_segment_attach(p->seg)
		     : STOA_DO(tx, (p->seg, &p->d->victim.lock),
			       things_push(tx, &p->d->victim, 1));
}

static int
execute(struct play *p)
{
	execl("/proc/self/exe", "trace", "--idle", (char *)NULL);
	return board_fail(p, "exec: %s", strerror(errno));
}

static const struct trace_case cases[] = {
	{"fork, the parent dies", in_a_transaction, fork_and_die, CASE_PARENT},
	{"fork, the child dies", in_a_transaction, fork_and_let_die,
		CASE_CHILD},
	{"fork, the child dies at work", attached, fork_and_let_die,
		CASE_CHILD},
	{"exec", in_a_transaction, execute, CASE_EXEC},
	{"exec, of a thread", in_a_transaction, execute,
		CASE_EXEC | CASE_THREAD},
};

int
main(int argc, char **argv)
{
	return suite_main("trace/fork", cases, sizeof cases / sizeof cases[0],
		argc, argv);
}
