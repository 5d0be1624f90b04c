/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The test double of the os layer: which call is to fail, and how many came?
 *
 * A call is counted under its own kind and under FAULT_ANY. Counts are atomic, so
 * that exactly one thread of several makes the nth call.
 */
#include "fault.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char *const names[FAULT_KINDS] = {
	[STOAI_OS_OPEN] = "open",
	[STOAI_OS_UNNAMED] = "open of an unnamed file",
	[STOAI_OS_SEAL] = "seal",
	[STOAI_OS_CLOSE] = "close",
	[STOAI_OS_LINK] = "link",
	[STOAI_OS_UNLINK] = "unlink",
	[STOAI_OS_MKDIR] = "mkdir",
	[STOAI_OS_LIST] = "list",
	[STOAI_OS_STAT] = "stat",
	[STOAI_OS_CHMOD] = "chmod",
	[STOAI_OS_TRUNCATE] = "truncate",
	[STOAI_OS_ALLOCATE] = "allocate",
	[STOAI_OS_PUNCH] = "punch",
	[STOAI_OS_MAP] = "map",
	[STOAI_OS_SYNC] = "sync",
	[STOAI_OS_LOCK] = "lock",
	[STOAI_OS_FUTEX_WAIT] = "futex wait",
	[STOAI_OS_FUTEX_WAITV] = "futex waitv",
	[STOAI_OS_FUTEX_WAKE] = "futex wake",
	[STOAI_OS_ROBUST_LIST] = "robust list",
	[STOAI_OS_RANDOM] = "random",
	[STOAI_OS_PREAD] = "pread",
	[STOAI_OS_CHOWN] = "chown",
	[STOAI_OS_ADVISE] = "advise",
	[STOAI_OS_RESIDE] = "lock in memory",
	[STOAI_OS_MBIND] = "mbind",
	[STOAI_OS_XSI] = "XSI memory",
	[STOAI_OS_SEND] = "send",
	[STOAI_OS_RECEIVE] = "receive",
	[STOAI_OS_POLL] = "poll",
	[STOAI_OS_EVENT] = "eventfd",
	[STOAI_OS_THREAD] = "thread",
	[FAULT_ANY] = "any call",
};

static struct {
	unsigned kind, nth; /* nth 0: no rule */
	int rc;
	bool kill;
} rule;
static int always[FAULT_KINDS];
static unsigned counts[FAULT_KINDS];
static unsigned hit_kind = FAULT_ANY;
static bool hit;

static int
ask(enum stoai_os_call call)
{
	unsigned mine = __atomic_add_fetch(&counts[call], 1, __ATOMIC_RELAXED);
	unsigned all =
		__atomic_add_fetch(&counts[FAULT_ANY], 1, __ATOMIC_RELAXED);

	if (rule.nth &&
		((rule.kind == FAULT_ANY && all == rule.nth) ||
			(rule.kind == (unsigned)call && mine == rule.nth))) {
		__atomic_store_n(&hit_kind, (unsigned)call, __ATOMIC_RELAXED);
		__atomic_store_n(&hit, true, __ATOMIC_RELEASE);
		if (rule.kill)
			(void)kill(getpid(), SIGKILL);
		return rule.rc;
	}
	return always[call];
}

void
fault_start(void)
{
	stoai_os_fault = NULL;
	memset(&rule, 0, sizeof rule);
	memset(always, 0, sizeof always);
	memset(counts, 0, sizeof counts);
	hit_kind = FAULT_ANY;
	hit = false;
	stoai_os_fault = ask;
}

void
fault_stop(void)
{
	stoai_os_fault = NULL;
}

void
fault_fail(unsigned kind, unsigned nth, int rc)
{
	rule.kind = kind;
	rule.nth = nth;
	rule.rc = rc;
	rule.kill = false;
}

void
fault_kill(unsigned kind, unsigned nth)
{
	fault_fail(kind, nth, 0);
	rule.kill = true;
}

void
fault_always(enum stoai_os_call kind, int rc)
{
	always[kind] = rc;
}

bool
fault_hit(void)
{
	return __atomic_load_n(&hit, __ATOMIC_ACQUIRE);
}

unsigned
fault_hit_kind(void)
{
	return __atomic_load_n(&hit_kind, __ATOMIC_RELAXED);
}

unsigned
fault_count(unsigned kind)
{
	return kind < FAULT_KINDS
		       ? __atomic_load_n(&counts[kind], __ATOMIC_RELAXED)
		       : 0;
}

const char *
fault_name(unsigned kind)
{
	return kind < FAULT_KINDS ? names[kind] : "no call";
}
