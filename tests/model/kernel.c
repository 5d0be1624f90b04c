/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The kernel, as far as locks need one: it takes the place of src/os.
 *
 *	futex     a wait looks at the word and falls asleep in one step; a wake-up
 *	          of one among several is anybody's choice
 *	death     the dead thread's robust list, one entry a step: the word that
 *	          holds its TID is marked; then one sleeper of that word is woken if
 *	          the word says that there are some; at last its owner bytes go
 *	clock     stands still but for time-outs
 *
 * All threads have the same TID, as if each lived in a PID namespace of its own:
 * a word that is marked by mistake would be a living thread's.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "os/os.h"
#include "world.h"

enum {
	TID = 7,
	PAGE = 4096,
	FUTEX_OFFSET = -32,
	ROBUST_TID = 0x3fffffff, /* the kernel's FUTEX_TID_MASK */
	PROCESSES = MODEL_THREADS + 1
};

struct entry {
	void *prev, *next;
};

static struct {
	uint64_t clock;
	uint64_t until[PROCESSES];
	uint32_t value[PROCESSES];   /* that the word had when it fell asleep */
	uint32_t owner[WORLD_SLOTS]; /* of each byte: process + 1 */
	/* burial */
	void *walk[PROCESSES]; /* the entry that is next; NULL: not begun */
	uint32_t *wake[PROCESSES];
	struct stoai_robust_head head[PROCESSES];
	struct entry list[PROCESSES][WORLD_SLOTS];
} kernel;
static unsigned flags, who;

void
kernel_begin(unsigned wanted)
{
	flags = wanted;
	memset(&kernel, 0, sizeof kernel);
	kernel.clock = UINT64_C(1) << 30;
	for (unsigned p = 0; p < PROCESSES; p++) {
		kernel.head[p].next = &kernel.head[p].next;
		kernel.head[p].futex_offset = FUTEX_OFFSET;
	}
	model_track(&kernel, sizeof kernel, MODEL_NOBODY);
}

void
kernel_switch(unsigned process)
{
	who = process;
	stoai_self = &world_process[process].self;
	stoai_seat_last = stoai_self->seat[0];
}

/* ---- death ---- */

char *
kernel_window(unsigned process, uint32_t slot)
{
	/* token.c: entry = window + page - STOAI_TOKEN_FROM_END - futex_offset */
	return (char *)&kernel.list[process][slot].next + FUTEX_OFFSET +
	       STOAI_TOKEN_FROM_END - PAGE;
}

unsigned
kernel_owner(uint32_t slot)
{
	return kernel.owner[slot] ? kernel.owner[slot] - 1 : MODEL_NOBODY;
}

const uint32_t *
kernel_wakes(unsigned thread)
{
	return kernel.wake[thread];
}

static uint32_t *
token_of(unsigned thread, void *next)
{
	size_t slot = (size_t)((struct entry *)(void *)((char *)next -
							offsetof(struct entry,
								next)) -
			       kernel.list[thread]);

	return stoai_token_at(&world_process[thread].seg, (uint32_t)slot);
}

bool
kernel_bury(unsigned thread)
{
	void *head = &kernel.head[thread].next, *walk = kernel.walk[thread];

	if (kernel.wake[thread]) {
		(void)model_wake(kernel.wake[thread], 1);
		kernel.wake[thread] = NULL;
		return true;
	}
	if (!walk)
		walk = kernel.head[thread].next;
	while (walk != head) {
		uint32_t *word = token_of(thread, walk), w = *word;

		walk = *(void **)walk;
		kernel.walk[thread] = walk;
		if ((w & ROBUST_TID) != TID)
			continue;
		*word = (w & STOAI_TOKEN_WAITERS) | STOAI_TOKEN_OWNER_DIED;
		if (w & STOAI_TOKEN_WAITERS)
			kernel.wake[thread] = word;
		return true;
	}
	for (unsigned i = 0; i < WORLD_SLOTS; i++)
		if (kernel.owner[i] == thread + 1)
			kernel.owner[i] = 0;
	kernel.walk[thread] = head;
	return false;
}

int
stoai_os_robust_list(struct stoai_robust_head **ret)
{
	*ret = &kernel.head[who];
	return 0;
}

int
stoai_os_lock_byte(int fd, uint64_t byte, enum stoai_os_lock kind)
{
	uint32_t *owner = &kernel.owner[byte - STOAI_OWNER_BYTES];

	model_point(MODEL_CHANGE, owner, sizeof *owner);
	if (*owner && *owner != (uint32_t)fd)
		return -EAGAIN;
	*owner = kind == STOAI_LOCK_NONE ? 0 : (uint32_t)fd;
	return 0;
}

/* ---- waiting ---- */

uint32_t
kernel_slept_on(unsigned thread)
{
	return kernel.value[thread];
}

uint64_t
kernel_sleeps_for(unsigned thread)
{
	uint64_t until = kernel.until[thread];

	return until > kernel.clock ? until - kernel.clock : 0;
}

static int
wait_on(const uint32_t *const *words, unsigned n, uint64_t deadline)
{
	int woken;

	if (model_thread() == MODEL_NOBODY) {
		model_wrong("something sleeps although nobody else is there");
		return 0;
	}
	kernel.until[who] = deadline;
	kernel.value[who] = n ? *words[0] : 0;
	woken = model_sleep(words, n, deadline == UINT64_MAX);
	kernel.until[who] = 0;
	kernel.value[who] = 0;
	return woken == MODEL_NEVER ? -ETIMEDOUT : woken;
}

void
kernel_tick(unsigned thread)
{
	if (kernel.clock < kernel.until[thread])
		kernel.clock = kernel.until[thread];
}

int
stoai_os_futex_wait(const uint32_t *word, uint32_t value, uint64_t deadline)
{
	model_point(MODEL_WAIT, word, 1);
	return *word == value ? wait_on(&word, 1, deadline) : 0;
}

int
stoai_os_futex_wait2(const uint32_t *word, uint32_t value,
	const uint32_t *word2, uint32_t value2, uint64_t deadline)
{
	const uint32_t *both[2] = {word, word2};

	if (flags & WORLD_NO_WAITV)
		return -ENOSYS;
	model_point(MODEL_WAIT, word, 2);
	return *word == value && *word2 == value2 ? wait_on(both, 2, deadline)
						  : 0;
}

/* No subject waits for more than two. */
int
stoai_os_futex_wait_any(
	const struct stoai_os_word *on, unsigned n, uint64_t deadline)
{
	(void)on;
	(void)n;
	(void)deadline;
	return -ENOSYS;
}

int
stoai_os_futex_wake(const uint32_t *word, uint32_t count)
{
	model_point(MODEL_WAKE, word, count);
	return (int)model_wake(word, count);
}

uint64_t
stoai_os_now(void)
{
	return kernel.clock;
}

uint64_t
stoai_os_realtime(void)
{
	return kernel.clock;
}

void
stoai_os_sleep(uint64_t ns)
{
	model_point(MODEL_YIELD, NULL, 0);
	(void)wait_on(NULL, 0, kernel.clock + ns);
}

void
stoai_os_yield(void)
{
	model_point(MODEL_YIELD, NULL, 0);
}

/* ---- identity and memory: nothing of the model depends on them ---- */

uint32_t
stoai_os_tid(void)
{
	return TID;
}

uint32_t
stoai_os_pid(void)
{
	return TID;
}

uint64_t
stoai_os_pid_namespace(void)
{
	return 1;
}

size_t
stoai_os_page_size(void)
{
	return PAGE;
}

int
stoai_os_allocate(int fd, uint64_t from, uint64_t size)
{
	(void)fd, (void)from, (void)size;
	return 0;
}

int
stoai_os_punch(int fd, uint64_t from, uint64_t size)
{
	(void)fd, (void)from, (void)size;
	return 0;
}

int
stoai_os_map_private(size_t size, unsigned prot, void *at, void **ret)
{
	(void)size, (void)prot, (void)at, (void)ret;
	return -ENOMEM; /* whatever would be mapped is there already */
}

int
stoai_os_wipe_on_fork(void *at, size_t size)
{
	(void)at, (void)size;
	return 0;
}

void
stoai_os_unmap(void *at, size_t size)
{
	(void)at, (void)size;
}
