/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The registry: one mapping per process and segment, however often it is opened.
 *
 * A mapping lives until its last handle is closed and its last thread detached:
 * other threads' tokens lie in their own robust lists, and memory that is gone
 * under a list entry would stop the kernel's walk.
 *
 * In a fork child every seat is zero already. What is left to do: forget which
 * slots were the parent's, and give each segment an open file description of its
 * own, because owner bytes belong to the description, which the child shares.
 * A mapping keeps its description open for as long as it lasts, and a child has
 * all of its parent's; so nothing is ever mapped from the description that the
 * owner bytes belong to, or a living child would vouch for its dead parent.
 */
#include <stdlib.h>
#include "os/os.h"
#include "region/backing.h"
#include "segment/registry.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static stoa_segment *first;
static uint64_t ids_used;
static uint32_t *process_page; /* 0 in a child that fork_child has not seen */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static bool has_forked; /* with something open */

/* A description of the child's own; without one it must not attach. */
static void
child_descriptor(stoa_segment *seg)
{
	int fd = stoai_os_reopen(seg->fd, !seg->readonly);

	if (fd < 0 || stoai_os_replace(seg->fd, fd)) {
		(void)stoai_os_close(seg->fd);
		seg->fd = -1;
		seg->readonly = true;
		return;
	}
	if (!seg->caller_memory)
		(void)stoai_os_lock_byte(seg->fd,
			seg->readonly ? STOAI_READER_BYTE : STOAI_USER_BYTE,
			STOAI_LOCK_SHARED);
}

/* Memory of one process, now a copy: of its threads none has come along. */
static void
child_threads_died(stoa_segment *seg)
{
	for (uint32_t i = 0; i < seg->slot_count; i++)
		if (a32_load_relaxed(&stoai_slot_at(seg, i)->paged) &&
			a32_load_relaxed(stoai_token_at(seg, i)))
			a32_store_release(
				stoai_token_at(seg, i), STOAI_TOKEN_OWNER_DIED);
}

/* Under the mutex, once in each process that was forked. */
static void
process_is_a_child(void)
{
	for (stoa_segment *seg = first; seg; seg = seg->next) {
		pthread_mutex_init(&seg->claims, NULL);
		memset(seg->mine, 0, sizeof seg->mine);
		seg->attached = 0;
		stoai_segment_annotate(seg);
		if (seg->fd >= 0)
			child_descriptor(seg);
		else if (seg->backing == STOAI_BACKING_LOCAL)
			child_threads_died(seg);
	}
}

static void
fork_parent(void)
{
	has_forked = has_forked || first;
	stoai_registry_unlock();
}

static void
fork_child(void)
{
	process_is_a_child();
	has_forked = false;
	if (process_page)
		*process_page = 1;
	stoai_registry_unlock();
}

void
stoai_registry_process_check(void)
{
	if (stoai_likely(process_page && *process_page))
		return;
	/* a child made without fork(): no handler has run */
	stoai_registry_lock();
	if (process_page && !*process_page) {
		process_is_a_child();
		*process_page = 1;
	}
	stoai_registry_unlock();
}

/*
 * Where nobody wishes for a place, blocks that are aligned to more than a page
 * shall lie so in memory too: what the system chose is tried again, rounded down.
 * It is a wish: if somebody else has that place by now, we are where we were.
 */
static int
map_aligned(int fd, uint64_t from, size_t size, unsigned prot, void **ret)
{
	void *at = NULL;
	int rc = 0;

	for (int i = 0; i < 2 && !rc; i++) {
		rc = fd < 0 ? stoai_os_map_private(size, prot, at, ret)
			    : stoai_os_map(fd, from, size, prot, at, ret);
		if (rc || i || size < STOAI_SEGMENT_ALIGN ||
			(uintptr_t)*ret % STOAI_SEGMENT_ALIGN == 0)
			break;
		stoai_os_unmap(*ret, size);
		at = (void *)((uintptr_t)*ret &
			      ~((uintptr_t)STOAI_SEGMENT_ALIGN - 1));
	}
	return rc;
}

int
stoai_segment_map_local(size_t size, void **ret)
{
	return map_aligned(-1, 0, size, STOAI_MAP_READ | STOAI_MAP_WRITE, ret);
}

int
stoai_segment_map(
	int fd, uint64_t from, size_t size, unsigned prot, void *at, void **ret)
{
	int own = stoai_os_reopen(fd, prot & STOAI_MAP_WRITE), rc;

	if (own < 0 && own != -ENOTSUP)
		return own;
	/* without /proc: mapped all the same, and only children are a trouble */
	rc = at ? stoai_os_map(own < 0 ? fd : own, from, size, prot, at, ret)
		: map_aligned(own < 0 ? fd : own, from, size, prot, ret);
	if (own >= 0)
		(void)stoai_os_close(own);
	return rc;
}

static void
fork_init(void)
{
	void *at;

	(void)pthread_atfork(stoai_registry_lock, fork_parent, fork_child);
	if (stoai_os_map_private(stoai_os_page_size(),
		    STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &at) ||
		stoai_os_wipe_on_fork(at, stoai_os_page_size()))
		return;
	process_page = at;
	*process_page = 1;
}

void
stoai_registry_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void
stoai_registry_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

stoa_segment *
stoai_registry_find(uint64_t device, uint64_t inode, bool readonly)
{
	for (stoa_segment *seg = first; seg; seg = seg->next)
		if (inode && seg->device == device && seg->inode == inode &&
			seg->readonly == readonly && !seg->caller_memory) {
			seg->handles++;
			return seg;
		}
	return NULL;
}

stoa_segment *
stoai_registry_find_buffer(const void *header)
{
	for (stoa_segment *seg = first; seg; seg = seg->next)
		if (seg->caller_memory &&
			(const void *)stoai_header(seg) == header) {
			seg->handles++;
			return seg;
		}
	return NULL;
}

stoa_segment *
stoai_registry_at(const void *address)
{
	for (stoa_segment *seg = first; seg; seg = seg->next)
		if (stoai_covers(seg, address))
			return seg;
	return NULL;
}

bool
stoai_registry_overlaps(const void *memory, uint64_t size)
{
	const char *from = memory;

	for (stoa_segment *seg = first; seg; seg = seg->next)
		if (stoai_covers(seg, from) ||
			(uint64_t)(seg->base + seg->skip - from) < size)
			return true;
	return false;
}

bool
stoai_registry_only(const stoa_segment *seg)
{
	bool only;

	stoai_registry_lock();
	only = seg->handles == 1 && !has_forked;
	stoai_registry_unlock();
	return only;
}

int
stoai_registry_add(stoa_segment *seg)
{
	pthread_once(&fork_once, fork_init);
	if (!~ids_used)
		return stoai_error(-EMFILE,
			"%s: %d segments are open in this process, no more fit",
			seg->name, STOAI_SEGMENTS_MAX);
	seg->id = stoai_ctz64(~ids_used);
	ids_used |= UINT64_C(1) << seg->id;
	seg->handles = 1;
	seg->next = first;
	first = seg;
	return 0;
}

/* Under the mutex; true: it was the last use, and it is off the list. */
static bool
unlist_unused(stoa_segment *seg)
{
	stoa_segment **link = &first;

	if (seg->handles || seg->attached)
		return false;
	while (*link != seg)
		link = &(*link)->next;
	*link = seg->next;
	ids_used &= ~(UINT64_C(1) << seg->id);
	return true;
}

void
stoai_registry_close(stoa_segment *seg)
{
	bool last;

	stoai_registry_lock();
	seg->handles--;
	last = unlist_unused(seg);
	stoai_registry_unlock();
	if (last)
		stoai_segment_unmap(seg);
}

void
stoai_registry_attached(stoa_segment *seg, int by)
{
	bool last;

	stoai_registry_lock();
	seg->attached += (uint32_t)by;
	last = unlist_unused(seg);
	stoai_registry_unlock();
	if (last)
		stoai_segment_unmap(seg);
}
