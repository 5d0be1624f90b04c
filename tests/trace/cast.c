/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The actors: what does everybody do before, during and after the victim's death,
 * and what must be true for each of them?
 *
 *	A1  who lives keeps its token, its lock and its open transaction
 *	A2  the locks of the dead are to be had within about a second
 *	A3  nothing is broken (check) and nothing is lost (leaked)
 *	A4  the slot of the dead is free: no token, no owner byte
 *	A5  robust mutexes of libc, the victim's and the survivor's, work as ever
 *	A6  a sleeper that was signalled wakes up within about a second
 */
#include "stage.h"
#include "segment/explore.h"
#include "fault.h"
#include <stdarg.h>
#include <sys/syscall.h>

enum {
	STALL_MAX_MS = 1500, /* a tick of a second and a quarter, and some */
	PATIENCE_MS = 4000,
	TOLD_MS =
		600000, /* a survey takes long; who is forgotten hears the end */
	SURVIVORS = 2,  /* nodes that it adds */
	LENGTH_MAX = 100000
};

int
board_fail(struct play *p, const char *format, ...)
{
	va_list args;

	if (atomic_exchange(&p->board->failed, 1))
		return -1;
	va_start(args, format);
	vsnprintf(p->board->text, sizeof p->board->text, format, args);
	va_end(args);
	return -1;
}

int
play_open_at(
	struct play *p, const char *name, unsigned flags, stoa_segment **ret)
{
	int rc;

	if (p->c->flags & CASE_FILE)
		flags |= STOA_FILE;
	rc = stoa_segment_open(name, flags,
		STOA_SEGMENT_OPTIONS(.size = 64 << 10, .limit = 256 << 10,
			.threads = 8, .without = p->mode->without),
		ret);
	return rc ? board_fail(p, "open: %s (%s)", stoa_strerror(rc),
			    stoa_error_text())
		  : 0;
}

int
play_open(struct play *p, unsigned flags)
{
	const char *name = p->c->flags & CASE_FILE ? p->path : "stage";
	int rc = play_open_at(p, name, flags, &p->seg);

	if (rc)
		return rc;
	if (stoa_object_open(p->seg, "stage", stage, &p->d))
		return board_fail(p, "object: %s", stoa_error_text());
	return 0;
}

char
told(struct play *p)
{
	return hear_within(p->me, TOLD_MS);
}

void
things_push(stoa_tx *tx, const things *t, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		node *n = stoa_new(tx, node);

		n->value = i;
		STOA_LINK(tx, n->next, stoa_get(tx, t->list));
		STOA_LINK(tx, t->list, n);
	}
	STOA_ADD(tx, t->value, count);
}

/* ---- A1, A3, A4 ---- */

static int
alive(struct play *p, const things *mine, uint64_t value)
{
	uint32_t slot = stoai_explore_slot(p->seg);
	uint32_t token, tid = (uint32_t)gettid();

	if (slot == UINT32_MAX)
		return board_fail(p, "A1: I have no slot any more");
	token = a32_load_acquire(stoai_token_at(p->seg, slot));
	if ((token & STOAI_TOKEN_TID) != tid || stoai_token_dead(token))
		return board_fail(
			p, "A1: declared dead: tid %u, token %#x", tid, token);
	if (stoai_slot_at(p->seg, slot)->state != STOAI_SLOT_LIVE)
		return board_fail(p, "A1: my slot was given away");
	if (stoai_word_slot(p->seg, mine->lock.word_) != slot)
		return board_fail(
			p, "A1: my lock is not mine: %#x", mine->lock.word_);
	if (mine->value != value || mine->mark != 1)
		return board_fail(p, "A1: my transaction was undone: %llu",
			(unsigned long long)mine->value);
	return 0;
}

static int
things_whole(
	struct play *p, const stoa_tx *rd, const things *t, const char *whose)
{
	uint64_t count = 0;

	for (const node *n = stoa_get(rd, t->list); n && count < LENGTH_MAX;
		n = stoa_get(rd, n->next))
		count++;
	if (count != t->value)
		return board_fail(p, "A3: %s: %llu nodes and a count of %llu",
			whose, (unsigned long long)count,
			(unsigned long long)t->value);
	return 0;
}

static int
slots_free(struct play *p)
{
	stoa_segment *seg = p->seg;
	uint32_t mine = stoai_explore_slot(seg);

	for (uint32_t i = 0; i < seg->slot_count; i++) {
		struct stoai_slot *slot = stoai_slot_at(seg, i);
		struct flock byte = {.l_type = F_WRLCK,
			.l_start = (off_t)(STOAI_OWNER_BYTES + i),
			.l_len = 1};

		if (i == mine)
			continue;
		if (slot->state != STOAI_SLOT_FREE || slot->tries ||
			(slot->paged && *stoai_token_at(seg, i)))
			return board_fail(p,
				"A4: slot %u: state %u, tries %u, token %#x", i,
				slot->state, slot->tries,
				*stoai_token_at(seg, i));
		if (fcntl(seg->fd, F_OFD_GETLK, &byte) ||
			byte.l_type != F_UNLCK)
			return board_fail(
				p, "A4: slot %u: its byte is still locked", i);
	}
	return 0;
}

/* Nobody else uses the segment, and nobody may have left a trace. */
static int
judge(struct play *p)
{
	int64_t leaked;

	if (stoa_segment_recover(p->seg) < 0)
		return board_fail(p, "recover: %s", stoa_error_text());
	if (stoa_segment_check(p->seg))
		return board_fail(p, "A3: check: %s", stoa_error_text());
	leaked = stoa_segment_leaked(p->seg);
	if (leaked)
		return board_fail(p, "A3: %lld leaked", (long long)leaked);
	{
		STOA_READ(rd, p->seg, &p->d->victim.lock);
		if (stoa_tx_error(rd))
			return board_fail(p, "A2: %s", stoa_error_text());
		if (things_whole(p, rd, &p->d->victim, "victim") ||
			things_whole(p, rd, &p->d->survivor, "survivor") ||
			things_whole(p, rd, &p->d->newcomer, "newcomer"))
			return -1;
	}
	return slots_free(p);
}

/* ---- survivor and newcomer ---- */

/*
 * Until told to end, in a transaction that must not be touched. What the newcomer
 * does before the death takes no lock of the library's own: a victim that stands
 * still may have it, and is not dead.
 */
static int
hold(struct play *p, const things *mine, char letter)
{
	bool early = letter == 'r';
	uint64_t value = mine->value + (early ? SURVIVORS : 0);

	STOA_TX(tx, p->seg, &mine->lock);
	STOA_SET(tx, mine->mark, 1);
	if (early)
		things_push(tx, mine, SURVIVORS);
	if (stoa_tx_error(tx))
		return board_fail(p, "begin: %s", stoa_error_text());
	tell(p->me, letter);
	for (char order; (order = told(p)) != 'c';) {
		if (order != 'v')
			return -1;
		if (alive(p, mine, value))
			return -1;
		tell(p->me, 'i');
	}
	if (alive(p, mine, value))
		return -1;
	if (!early)
		things_push(tx, mine, SURVIVORS);
	if (stoa_tx_commit(tx))
		return board_fail(p, "A1: commit: %s", stoa_error_text());
	return 0;
}

static int
robust(struct play *p, int rc, const char *what)
{
	return rc ? board_fail(p, "A5: %s: %s", what, strerror(rc)) : 0;
}

static int
survive(struct play *p)
{
	struct robust_pair *own = &p->board->survivor;

	if (robust(p, pthread_mutex_lock(&own->before), "lock") ||
		play_open(p, 0) || stoa_segment_attach(p->seg) ||
		robust(p, pthread_mutex_lock(&own->after), "lock") ||
		hold(p, &p->d->survivor, 'r') || judge(p))
		return board_fail(p, "survivor: %s", stoa_error_text());
	/* neighbours of our entry on libc's list go and come */
	if (robust(p, pthread_mutex_unlock(&own->after), "unlock") ||
		robust(p, pthread_mutex_unlock(&own->before), "unlock") ||
		robust(p, pthread_mutex_lock(&own->before), "lock") ||
		robust(p, pthread_mutex_lock(&own->after), "lock"))
		return -1;
	/* and dies attached: the kernel must find all three (stage.c looks) */
	p->board->token = (const char *)stoai_token_at(
				  p->seg, stoai_explore_slot(p->seg)) -
			  p->seg->base;
	_exit(0);
}

/*
 * While the victim stands still, wherever that is: it is not dead, so the most
 * thorough look finds only those who died before; and when its lock is to be had,
 * what it guards is whole.
 */
static int
look_around(struct play *p)
{
	int recovered;

	if (stoa_segment_attach(p->seg))
		return board_fail(p, "newcomer: %s", stoa_error_text());
	recovered = stoa_segment_recover(p->seg);
	if (recovered < 0 || recovered > p->board->dead)
		return board_fail(p, "A1: %d dead, but %d recovered",
			p->board->dead, recovered);
	STOA_READ_UNTIL(rd, STOA_NOW, p->seg, &p->d->victim.lock);
	return stoa_tx_error(rd)
		       ? 0
		       : things_whole(p, rd, &p->d->victim, "not locked");
}

static int
arrive(struct play *p)
{
	if (play_open(p, 0))
		return -1;
	stoa_segment_detach(
		p->seg); /* to attach again at the moment of the death */
	tell(p->me, 'r');
	if (told(p) != 'g' || look_around(p) || hold(p, &p->d->newcomer, 'n'))
		return -1;
	stoa_segment_close(p->seg);
	return 0;
}

struct in_thread {
	struct play *p;
	int (*body)(struct play *p);
	int rc;
};

static void *
in_thread_begin(void *user)
{
	struct in_thread *t = user;

	t->rc = t->body(t->p);
	return NULL;
}

/* Where the victim is a thread, everybody is: so their numbers are equal. */
static int
on_stage(struct play *p, int (*body)(struct play *p))
{
	struct in_thread t = {p, body, -1};
	pthread_t thread;

	if (!(p->c->flags & CASE_THREAD))
		return body(p);
	if (pthread_create(&thread, NULL, in_thread_begin, &t))
		return board_fail(p, "no thread");
	pthread_join(thread, NULL);
	return t.rc;
}

int
actor_survivor(struct play *p)
{
	return on_stage(p, survive) ? 1 : 0;
}

int
actor_newcomer(struct play *p)
{
	return on_stage(p, arrive) ? 1 : 0;
}

/* ---- opener ---- */

static int
busy_is(struct play *p, const stoa_rwlock *lock, const char *whose)
{
	STOA_TX_UNTIL(tx, STOA_NOW, p->seg, lock);
	return stoa_tx_error(tx) == -EAGAIN
		       ? 0
		       : board_fail(p, "A1: the lock of the %s is to be had",
				 whose);
}

/* Every lock and the heap; the signal too, if the victim did not come to it. */
static int
work(struct play *p)
{
	const stage *d = p->d;

	STOA_TX_UNTIL(tx, stoa_in_ms(PATIENCE_MS), p->seg,
		stoa_segment_lock(p->seg), &d->victim.lock);
	things_push(tx, &d->victim, 3);
	if (p->c->flags & (CASE_SIGNALS | CASE_OWED) && !d->flag) {
		STOA_SET(tx, d->flag, 1);
		stoa_tx_signal(tx, &d->changed);
	}
	if (stoa_tx_commit(tx))
		return board_fail(
			p, "A2: the victim's lock: %s", stoa_error_text());
	return 0;
}

static int
names_remain(struct play *p, const char *directory)
{
	char command[PATH_MAX + 64], line[256] = "";
	FILE *f;

	snprintf(command, sizeof command, "ls -A '%s' | grep -v '^stage$'",
		directory);
	f = popen(command, "r");
	if (f && fgets(line, sizeof line, f))
		board_fail(p, "a name remained: %s", line);
	if (f)
		pclose(f);
	return line[0] ? -1 : 0;
}

/* What the victim was making: all there or not at all, and makeable again. */
static int
made_is_whole(struct play *p)
{
	struct play other = *p;
	char directory[PATH_MAX], name[PATH_MAX + 8];

	snprintf(directory, sizeof directory, "%s", p->path);
	*strrchr(directory, '/') = '\0';
	snprintf(name, sizeof name, "%s/made", directory);
	for (unsigned i = 0; i < 2; i++) {
		if (play_open_at(p, p->c->flags & CASE_FILE ? name : "made",
			    STOA_CREATE, &other.seg))
			return -1;
		if (stoa_object_open(other.seg, "stage", stage, &other.d))
			return board_fail(
				p, "made: object: %s", stoa_error_text());
		if (work(&other) || judge(&other))
			return -1;
		stoa_segment_close(other.seg);
		if (unlink(name))
			return board_fail(p, "made: it had no name");
	}
	return names_remain(p, directory);
}

static void
without_what_the_case_has_not(const struct play *p)
{
	if (!(p->c->flags & CASE_NO_UNNAMED))
		return;
	fault_start();
	fault_always(STOAI_OS_UNNAMED, -EOPNOTSUPP);
}

int
actor_opener(struct play *p)
{
	bool fresh = p->c->flags & CASE_RENAME;
	uint64_t from = ms_now();
	unsigned stall;

	without_what_the_case_has_not(p);
	if (play_open(p, fresh ? STOA_CREATE : 0) || work(p))
		return 1;
	stall = (unsigned)(ms_now() - from);
	if (stall > p->board->stall_ms)
		p->board->stall_ms = stall;
	if (stall > STALL_MAX_MS)
		return board_fail(
			p, "A2: locks of the dead after %u ms", stall);
	if (stoa_segment_recover(p->seg) < 0 || stoa_segment_check(p->seg))
		return board_fail(p, "A3: %s", stoa_error_text());
	fresh = fresh && !p->d->survivor.lock.word_;
	if (fresh && judge(p))
		return 1;
	if (!fresh &&
		(busy_is(p, &p->d->survivor.lock, "survivor") ||
			(p->mode->twins &&
				busy_is(p, &p->d->newcomer.lock, "newcomer"))))
		return 1;
	if (p->c->flags & CASE_CREATE && made_is_whole(p))
		return 1;
	stoa_segment_close(p->seg);
	return 0;
}

/* ---- sleeper and corpse ---- */

int
actor_sleeper(struct play *p)
{
	if (play_open(p, 0))
		return 1;
	STOA_TX(tx, p->seg, &p->d->victim.lock);
	tell(p->me, 'r');
	while (!p->d->flag && !stoa_tx_error(tx))
		if (stoa_tx_wait(tx, &p->d->changed, stoa_in_ms(20000)))
			return board_fail(p, "A6: %s", stoa_error_text());
	if (stoa_tx_commit(tx))
		return board_fail(p, "A6: %s", stoa_error_text());
	tell(p->me, 'w');
	stoa_segment_detach(p->seg);
	return 0;
}

static int
commit_signal(void *user)
{
	struct play *p = user;

	STOA_TX(tx, p->seg, &p->d->victim.lock);
	things_push(tx, &p->d->victim, 1);
	STOA_SET(tx, p->d->flag, 1);
	stoa_tx_signal(tx, &p->d->changed);
	return stoa_tx_commit(tx);
}

int
actor_corpse(struct play *p)
{
	if (play_open(p, 0) || stoa_segment_attach(p->seg))
		return board_fail(p, "corpse: %s", stoa_error_text());
	if (p->c->flags & CASE_OWED)
		return trace_call(commit_signal, p);
	STOA_TX(tx, p->seg, &p->d->victim.lock);
	things_push(tx, &p->d->victim, 3);
	const node *first = stoa_get(tx, p->d->victim.list);
	const node *second = first ? stoa_get(tx, first->next) : NULL;
	if (second) {
		STOA_LINK(tx, p->d->victim.list, second);
		STOA_LINK(tx, first->next, NULL);
		stoa_delete(tx, node, first);
	}
	if (stoa_tx_error(tx))
		return board_fail(p, "corpse: %s", stoa_error_text());
	tell(p->me, 'd'); /* pid 1 of a namespace cannot kill itself */
	for (;;)
		pause();
}

/* ---- victim ---- */

static int
call(void *user)
{
	struct play *p = user;

	/* said before the last mark, behind which the survey does not look */
	return p->c->call(p) ? board_fail(p, "victim: the call failed: %s",
				       stoa_error_text())
			     : 0;
}

static int
play_victim(struct play *p)
{
	struct robust_pair *own = &p->board->victim;

	without_what_the_case_has_not(p);
	if (robust(p, pthread_mutex_lock(&own->before), "lock") ||
		(p->c->prepare && p->c->prepare(p)) ||
		robust(p, pthread_mutex_lock(&own->after), "lock"))
		return board_fail(p, "victim: prepare: %s", stoa_error_text());
	tell(p->me, 'p');
	if (told(p) != 'g')
		return 1;
	if (!p->c->call) {
		trace_last_call();
		return 0;
	}
	return trace_call(call, p);
}

static void *
victim_thread(void *user)
{
	play_victim(user);
	return NULL;
}

int
actor_victim(struct play *p)
{
	pthread_t thread;

	if (!(p->c->flags & CASE_THREAD))
		return play_victim(p);
	if (pthread_create(&thread, NULL, victim_thread, p))
		return board_fail(p, "victim: no thread");
	for (;;)
		pause();
}
