/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Who is attached, who is dead, and what are they doing? The slots tell, /proc
 * says what the process is called and whether it is stopped.
 *
 * Death is proved as the library proves it (segment/liveness.c), but only by
 * looking: the kernel's mark in the token, or nobody's lock on the owner byte.
 */
#include <stdio.h>
#include <string.h>
#include "os/os.h"
#include "out.h"
#include "sync/contention.h"
#include "thread.h"

static enum thread_life
life_of(const stoa_segment *seg, uint32_t i, uint32_t token, uint32_t tries)
{
	int byte;

	if (stoai_token_dead(token))
		return tries > STOAI_TRIES_MAX ? THREAD_QUARANTINED
					       : THREAD_DEAD;
	byte = seg->fd < 0
		       ? -1
		       : stoai_os_probe_byte(seg->fd, STOAI_OWNER_BYTES + i);
	if (!(token & STOAI_TOKEN_TID))
		return byte > STOAI_LOCK_NONE ? THREAD_COMING : THREAD_NONE;
	/* no such locks here: nothing is proved, so nobody is dead */
	return byte == STOAI_LOCK_NONE ? THREAD_DEAD : THREAD_ALIVE;
}

/* "/proc/PID/task/TID/stat": pid (command) state ... */
static void
ask_proc(struct thread *t)
{
	char path[64], line[512], *from, *to;
	FILE *f;

	(void)snprintf(
		path, sizeof path, "/proc/%u/task/%u/stat", t->pid, t->tid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(line, sizeof line, f) && (from = strchr(line, '(')) &&
		(to = strrchr(line, ')')) && to > from) {
		if (to[1] == ' ')
			t->run = to[2];
		*to = '\0';
		(void)snprintf(t->command, sizeof t->command, "%s", from + 1);
	}
	(void)fclose(f);
}

/* Noted only while waits are counted. */
static void
read_since(const stoa_segment *seg, uint32_t i, struct thread *t)
{
	struct stoai_contention c;

	if (!stoai_counting(seg) || !stoai_contention_in(seg, &c))
		return;
	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
		t->held_since_ns[k] = a64_load_relaxed(
			&c.since[(uint64_t)i * STOAI_HELD_MAX + k]);
}

static void
read_slot(const stoa_segment *seg, uint32_t i, struct thread *t)
{
	const struct stoai_slot *slot = stoai_slot_at(seg, i);
	const struct stoai_lane *lane = stoai_lane_at(seg, i);

	t->slot = i;
	t->word = stoai_lock_word(i, a32_load_acquire(&slot->generation));
	t->pid = a32_load_relaxed(&slot->pid);
	t->tid = a32_load_relaxed(&slot->tid);
	t->here = a64_load_relaxed(&slot->pid_namespace) ==
		  stoai_os_pid_namespace();
	t->since_ns = a64_load_relaxed(&slot->since_ns);
	t->commits = a32_load_relaxed(&slot->commits);
	t->waiting = a64_load_seq_cst(&slot->waiting);
	t->woken = a64_load_seq_cst(&slot->woken);
	t->waiting_since_ns = a64_load_relaxed(&slot->waiting_since_ns);
	for (uint32_t k = 0; k < STOAI_HELD_MAX; k++)
		t->held[k] = a64_load_seq_cst(&lane->held[k]);
	read_since(seg, i, t);
}

void
thread_read_all(const stoa_segment *seg, struct threads *ret)
{
	memset(ret, 0, sizeof *ret);
	for (uint32_t i = 0; i < seg->slot_count; i++) {
		const struct stoai_slot *slot = stoai_slot_at(seg, i);
		struct thread *t = &ret->at[ret->count];

		/* a lane that never had a thread has no memory to look at */
		if (!a32_load_acquire(&slot->paged))
			continue;
		t->life = life_of(seg, i,
			a32_load_acquire(stoai_token_at(seg, i)),
			a32_load_relaxed(&slot->tries));
		if (t->life == THREAD_NONE)
			continue;
		read_slot(seg, i, t);
		if (t->life == THREAD_ALIVE && t->here)
			ask_proc(t);
		ret->count++;
		ret->alive += t->life == THREAD_ALIVE;
		ret->dead += t->life == THREAD_DEAD;
		ret->quarantined += t->life == THREAD_QUARANTINED;
	}
}

const char *
thread_state(const struct thread *t)
{
	switch (t->life) {
	case THREAD_NONE:
		return "free";
	case THREAD_COMING:
		return "attaching";
	case THREAD_DEAD:
		return "dead";
	case THREAD_QUARANTINED:
		return "quarantined";
	case THREAD_ALIVE:
	default:
		break;
	}
	switch (t->run) {
	case 'T':
	case 't':
		return "stopped";
	case 'D':
		return "in a disk wait";
	default:
		return t->waiting || (t->woken && t->waiting_since_ns)
			       ? "waits"
			       : "alive";
	}
}

const char *
thread_segment_state(const stoa_segment *seg, const struct threads *all)
{
	if (a32_load_relaxed(&stoai_header(seg)->flags) & STOAI_SEGMENT_DAMAGED)
		return "quarantined";
	if (all->alive)
		return "live";
	return all->dead ? "dead" : "idle";
}

uint64_t
thread_age_ms(uint64_t since_ns)
{
	uint64_t now = stoai_os_now();

	return since_ns && since_ns < now ? (now - since_ns) / 1000000 : 0;
}

void
thread_describe(json_t *object, const struct thread *t)
{
	out_set_number(object, "slot", t->slot);
	out_set_number(object, "pid", t->pid);
	out_set_number(object, "tid", t->tid);
	out_set_text(object, "command", t->command[0] ? t->command : NULL);
	out_set_text(object, "state", thread_state(t));
	if (!t->here) /* pid and tid are numbers of another PID namespace */
		out_set_bool(object, "other_pid_namespace", true);
}

const struct thread *
thread_of_slot(const struct threads *all, uint32_t slot)
{
	for (uint32_t i = 0; i < all->count; i++)
		if (all->at[i].slot == slot)
			return &all->at[i];
	return NULL;
}
