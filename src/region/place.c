/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Placement: what was wished for, what was obtained, and why not?
 *
 * The order matters: pages are of the size, and on the node, that were said before
 * they were made. So: huge pages, NUMA, populate, lock; and then the account.
 *
 * Invariants:
 *   I1  `got` has a bit only for what the kernel's account shows or, without /proc,
 *       what a call that does it now has not refused. Advice is no proof.
 *   I2  A wish is never an error; a must always is one.
 */
#include "os/os.h"
#include "region/region.h"
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
	WISHES = STOA_PLACE_HUGE | STOA_PLACE_NUMA | STOA_PLACE_POPULATE |
		 STOA_PLACE_LOCK
};

STOA_STATIC_ASSERT((int)STOA_NUMA_PREFERRED == (int)MPOL_PREFERRED &&
			   (int)STOA_NUMA_BIND == (int)MPOL_BIND &&
			   (int)STOA_NUMA_INTERLEAVE == (int)MPOL_INTERLEAVE &&
			   (int)STOA_NUMA_LOCAL == (int)MPOL_LOCAL,
	"the kernel's numbers");

static int
wish_check(const stoa_placement *w)
{
	const bool none =
		w->numa == STOA_NUMA_DEFAULT || w->numa == STOA_NUMA_LOCAL;

	if ((w->want | w->must) & ~(uint32_t)WISHES)
		return stoai_error(-EINVAL,
			"placement: unknown bits in want %#x or must %#x",
			(unsigned)w->want, (unsigned)w->must);
	if (!((w->want | w->must) & STOA_PLACE_NUMA))
		return 0;
	if (w->numa > STOA_NUMA_LOCAL || none != (w->nodes == 0))
		return stoai_error(-EINVAL,
			"placement: numa %u with nodes %#llx (nodes go with"
			" preferred, bind and interleave, and with these"
			" always)",
			(unsigned)w->numa, (unsigned long long)w->nodes);
	return 0;
}

/* Can all pages be made writable ones? A read-only mapping says EINVAL. */
static int
populate(void *at, size_t size)
{
	int rc = stoai_os_populate(at, size, true);

	return rc == -EINVAL ? stoai_os_populate(at, size, false) : rc;
}

/* What a call says at once; the account is asked afterwards. */
static void
do_wishes(void *at, size_t size, const stoa_placement *w, stoa_placed *p)
{
	const uint32_t wishes = w->want | w->must;
	struct stoai_facts before;

	if (wishes & STOA_PLACE_HUGE) {
		p->huge = stoai_os_advise(at, size, MADV_HUGEPAGE);
		if (p->huge && !stoai_os_facts(at, size, &before) &&
			before.page > stoai_os_page_size())
			p->huge = 0; /* they are by themselves */
	}
	if (wishes & STOA_PLACE_NUMA)
		p->numa = stoai_os_mbind(at, size, (int)w->numa, w->nodes);
	if (wishes & STOA_PLACE_POPULATE || w->must & STOA_PLACE_HUGE)
		p->populate = populate(at, size);
	if (p->populate == -EFAULT)
		p->populate = -ENOSPC;
	if (wishes & STOA_PLACE_LOCK)
		p->lock = stoai_os_reside(at, size, true);
}

/* I1 */
static void
account(void *at, size_t size, uint32_t wishes, stoa_placed *p)
{
	struct stoai_facts f;
	int policy = 0, rc = stoai_os_facts(at, size, &f);

	p->size = size;
	p->page = f.page ? f.page : stoai_os_page_size();
	p->resident = stoai_min(f.resident, size);
	p->in_huge = stoai_min(f.huge, size);
	p->locked = stoai_min(f.locked, size);
	if (!stoai_os_policy(at, &policy, &p->nodes))
		p->policy = (uint32_t)policy;
	if (wishes & STOA_PLACE_HUGE && !p->huge && !p->in_huge &&
		p->page == stoai_os_page_size())
		p->huge = rc ? rc : -EAGAIN;
	if (wishes & STOA_PLACE_HUGE && !p->huge)
		p->got |= STOA_PLACE_HUGE;
	if (wishes & STOA_PLACE_NUMA && !p->numa)
		p->got |= STOA_PLACE_NUMA;
	if (wishes & STOA_PLACE_POPULATE && !p->populate)
		p->got |= STOA_PLACE_POPULATE;
	if (wishes & STOA_PLACE_LOCK && !p->lock)
		p->got |= STOA_PLACE_LOCK;
}

/* I2: the first of the musts that is not there */
static int
musts(uint32_t must, const stoa_placed *p)
{
	const struct {
		uint32_t bit;
		int rc;
		const char *what, *hint;
	} each[] = {
		{STOA_PLACE_HUGE, p->huge, "huge pages",
			"sysctl vm.nr_hugepages, or"
			" /sys/kernel/mm/transparent_hugepage/shmem_enabled"},
		{STOA_PLACE_NUMA, p->numa, "its NUMA nodes",
			"nodes of this machine: /sys/devices/system/node;"
			" containers filter mbind (CAP_SYS_NICE)"},
		{STOA_PLACE_POPULATE, p->populate, "all pages now",
			"a full disk, a file cut short, or Linux before 5.14"},
		{STOA_PLACE_LOCK, p->lock, "pages that stay in memory",
			"ulimit -l"},
	};

	for (size_t i = 0; i < STOAI_COUNT(each); i++)
		if (must & each[i].bit && each[i].rc)
			return stoai_error(each[i].rc,
				"placement: %s must be, and cannot be had: %s"
				" (%s)",
				each[i].what, stoai_errno_text(each[i].rc),
				each[i].hint);
	return 0;
}

int
stoa_place(void *at, size_t size, const stoa_placement *wish, stoa_placed *ret)
{
	const size_t page = stoai_os_page_size();
	const size_t before = (uintptr_t)at % page;
	stoa_placed placed;
	stoa_placement w;
	int rc = stoai_region_options_take(wish, wish ? wish->struct_size : 0,
		offsetof(stoa_placement, numa), &w, sizeof w);

	if (!rc)
		rc = wish_check(&w);
	if (!rc && (!at || !size))
		rc = stoai_error(-EINVAL, "placement: nothing is mapped");
	if (rc)
		return rc;
	memset(&placed, 0, sizeof placed);
	at = (char *)at - before;
	size = stoai_align_up(size + before, page);
	do_wishes(at, size, &w, &placed);
	if (ret || w.must) {
		account(at, size, w.want | w.must, &placed);
		rc = musts(w.must, &placed);
	}
	if (ret)
		*ret = placed;
	return rc;
}

/* "huge pages yes", "locked no (Operation not permitted)" */
static const char *
answer(char buf[160], const char *what, int rc)
{
	(void)snprintf(buf, 160, rc ? "%s no (%s)" : "%s yes", what,
		rc == -EAGAIN ? "advised, none so far" : stoai_errno_text(rc));
	return buf;
}

const char *
stoa_placed_text(const stoa_placed *placed, char *buf, size_t size)
{
	char bytes[16], page[16], resident[16], locked[16];
	char huge[160], numa[160];

	(void)snprintf(buf, size,
		"%s in pages of %s: resident %s, locked %s, %s, %s (nodes"
		" %#llx)",
		stoai_size_text(bytes, placed->size),
		stoai_size_text(page, placed->page),
		stoai_size_text(resident, placed->resident),
		stoai_size_text(locked, placed->locked),
		answer(huge, "huge pages",
			placed->got & STOA_PLACE_HUGE ? 0
			: placed->huge                ? placed->huge
						      : -EAGAIN),
		answer(numa, "policy", placed->numa),
		(unsigned long long)placed->nodes);
	return buf;
}
