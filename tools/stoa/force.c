/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What can be done about a slot whose recovery fails, or kills who attempts it?
 *
 *	repair    recovery once more: it may have failed for a reason that is
 *	          gone (three recoverers killed by somebody else). Loses nothing
 *	give up   without its log, and without the held locks that make no sense:
 *	          then heap and locks are recovered as usual. Loses the atomicity
 *	          of that one transaction: if it had not committed, what it
 *	          changed stays half made; if it had, blocks that it was to free
 *	          leak and sleepers that it was to wake wait for their tick
 *	nothing   the heap's own tables are damaged: that cannot be given up
 *
 * Each is tried before it is done: in a child process, on a private picture, where
 * a crash harms nobody; then the picture is verified. Only what came out sound is
 * made in the segment, by the same code.
 *
 * Crash argument: the log is emptied by one store, as in tx/lane.c (I4), then locks
 * that make no sense are dropped one by one, then the slot is an ordinary dead one
 * again. The flag DAMAGED stands until all of it is over, so nobody begins a
 * transaction meanwhile; who is killed here leaves a slot that anybody recovers,
 * or that is quarantined again, and the flag.
 */
#include "force.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/os.h"
#include "segment/liveness.h"
#include "segment/log.h"
#include "segment/recover.h"
#include "segment/token.h"
#include "segment/upper.h"
#include "sync/lock.h"

/* ---- giving up ---- */

/* The slot's token is ours, or the mapping is private. */
static void
give_up(stoa_segment *seg, uint32_t slot)
{
	struct stoai_lane *lane = stoai_lane_at(seg, slot);

	a64_store_kill(&lane->cursor, stoai_log_start(seg, slot));
	a32_store_kill(&lane->state, STOAI_LANE_OPEN);
	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++) {
		uint64_t held = a64_load_relaxed(&lane->held[k]);

		if (held && !stoai_held_sound(seg, held))
			a64_store_kill(&lane->held[k], 0);
	}
}

static int
do_slot(stoa_segment *seg, const struct force_slot *s)
{
	if (s->way == FORCE_GIVE_UP)
		give_up(seg, s->slot);
	a32_store_kill(&stoai_slot_at(seg, s->slot)->tries, 0);
	return stoai_recover_owned(seg, s->slot);
}

/* ---- the trial, in the child ---- */

static void
note(struct force_slot *s, stoa_segment *seg)
{
	const struct stoai_lane *lane = stoai_lane_at(seg, s->slot);
	uint64_t start = stoai_log_start(seg, s->slot);
	uint64_t cursor = a64_load_relaxed(&lane->cursor);

	s->committed = a32_load_relaxed(&lane->state) != STOAI_LANE_OPEN;
	/* a log longer than its lane goes on in the heap: at least this much */
	s->log_bytes =
		!cursor ? 0
		: cursor >= start && cursor <= stoai_log_lane_end(seg, s->slot)
			? cursor - start
			: stoai_log_lane_end(seg, s->slot) - start;
	s->locks = 0;
	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
		s->locks += a64_load_relaxed(&lane->held[k]) != 0;
}

/* Which step fails, without the words of quarantine around it. */
static void
note_cause(struct force_slot *s, stoa_segment *seg)
{
	int (*const step[])(stoa_segment *, uint32_t) = {
		stoai_upper.lane, stoai_upper.heap, stoai_upper.locks};

	for (size_t i = 0; i < STOAI_COUNT(step); i++)
		if (step[i](seg, s->slot))
			break;
	(void)snprintf(s->why, sizeof s->why, "%s", stoa_error_text());
}

static void
try_all(struct view *v, struct force *plan)
{
	stoa_segment *seg = v->seg;

	for (uint32_t i = 0; i < plan->count; i++) {
		struct force_slot *s = &plan->at[i];

		plan->doing = i;
		note(s, seg);
		if (s->way == FORCE_NOTHING)
			continue;
		if (do_slot(seg, s)) {
			note_cause(s, seg);
			s->way++;
			return; /* the next child begins with a fresh picture */
		}
		a32_store_relaxed(stoai_token_at(seg, s->slot), 0);
	}
	plan->doing = plan->count;
	plan->check = stoa_segment_check(seg);
	(void)snprintf(plan->text, sizeof plan->text, "%s", stoa_error_text());
	plan->leaked = plan->check ? 0 : stoa_segment_leaked(seg);
	plan->doing = plan->count + 1; /* done */
}

/* 0: over; -EAGAIN: a way did not work, and the next one is to be tried. */
static int
try_in_child(const struct view *v, struct force *plan)
{
	struct view child = *v;
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return stoai_error_errno("cannot start a child process");
	if (!pid) {
		if (view_settle(&child))
			_exit(1);
		try_all(&child, plan);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && plan->doing < plan->count) {
		struct force_slot *s = &plan->at[plan->doing];

		(void)snprintf(s->why, sizeof s->why,
			"recovery kills who attempts it (signal %d)",
			WTERMSIG(status));
		s->way++;
		return -EAGAIN;
	}
	if (WIFSIGNALED(status)) {
		plan->check = -EBADMSG;
		(void)snprintf(plan->text, sizeof plan->text,
			"verifying it ends with signal %d", WTERMSIG(status));
		return 0;
	}
	if (WEXITSTATUS(status))
		return stoai_error(-EBUSY,
			"%s: threads change it all the time: end them first",
			stoai_name(v->seg));
	return plan->doing > plan->count ? 0 : -EAGAIN;
}

struct force *
force_plan(const struct view *v, const struct threads *threads)
{
	struct force *plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc = -EAGAIN;

	if (plan == MAP_FAILED) {
		(void)stoai_error_errno("no memory");
		return NULL;
	}
	for (uint32_t i = 0; i < threads->count; i++) {
		const struct thread *t = &threads->at[i];

		if (t->life == THREAD_QUARANTINED)
			plan->at[plan->count++] = (struct force_slot){
				.slot = t->slot, .pid = t->pid};
	}
	/* each child ends one way of one slot */
	for (uint32_t n = 0; n <= 2 * plan->count && rc == -EAGAIN; n++) {
		plan->doing = 0;
		rc = try_in_child(v, plan);
	}
	if (!rc)
		return plan;
	force_free(plan);
	return NULL;
}

void
force_free(struct force *plan)
{
	if (plan)
		(void)munmap(plan, sizeof *plan);
}

/* ---- for real ---- */

/* As stoai_recover, which lets quarantined slots alone. */
static int
apply_slot(stoa_segment *seg, const struct force_slot *s)
{
	uint32_t token;
	int rc;

	pthread_mutex_lock(&seg->claims);
	rc = stoai_owner_byte_take(seg, s->slot);
	if (!rc) {
		token = a32_load_acquire(stoai_token_at(seg, s->slot));
		rc = stoai_token_dead(token)
			     ? stoai_token_take(seg, s->slot, token)
			     : -EAGAIN;
		if (!rc) {
			rc = do_slot(seg, s);
			a64_fetch_add_seq_cst(
				&stoai_header(seg)->recovered, rc == 0);
			stoai_token_drop(
				seg, s->slot, rc ? STOAI_TOKEN_OWNER_DIED : 0);
		}
		stoai_owner_byte_drop(seg, s->slot);
	}
	pthread_mutex_unlock(&seg->claims);
	return rc;
}

int
force_apply(stoa_segment *seg, const struct force *plan)
{
	uint32_t *flags = &stoai_header(seg)->flags, now;

	for (uint32_t i = 0; i < plan->count; i++) {
		int rc = apply_slot(seg, &plan->at[i]);

		if (rc == -EAGAIN)
			return stoai_error(rc,
				"%s: slot %u: somebody else is at it",
				stoai_name(seg), plan->at[i].slot);
		if (rc)
			return rc;
	}
	now = a32_load_acquire(flags);
	while (!a32_cas_seq_cst(
		flags, &now, now & ~(uint32_t)STOAI_SEGMENT_DAMAGED))
		;
	return 0;
}
