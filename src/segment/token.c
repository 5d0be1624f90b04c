/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Tokens: how does the kernel tell the others that this thread died?
 *
 * The kernel walks a dying thread's robust list, which libc owns: entries in
 * user memory, each with a word at a fixed distance (libc's futex_offset, -32 in
 * glibc). A word that holds the thread's TID is set to OWNER_DIED. We put one
 * entry on that list for each seat. The word must lie in the segment, where
 * others see it; the entry holds pointers and must not. So the word is the last
 * thing of the slot's page, and the page is mapped a second time with a private
 * page right behind it, into which the entry falls:
 *
 *	window   slot's page (shared)        private page
 *	         ...............word][pad..  prev next ...
 *	                        ^-8          ^ entry = word - futex_offset
 *
 * Invariants
 *	I1  taken = the word first, the list after; dropped = the list first, the
 *	    word after. A death between leaves a word that the kernel does not
 *	    mark: a missed death, which the owner byte proves later (liveness.c).
 *	I2  list_op_pending is never used: with it, a death in those windows could
 *	    mark the word of a living thread that has the same TID in another PID
 *	    namespace. A missed death costs a second, a false one costs the data.
 *
 * The list discipline is that of glibc and musl: `prev` lies one pointer before
 * `next` and holds the address of the predecessor's `next`. Bit 0 of a pointer
 * says that it leads to a priority-inheriting mutex: it is kept, and masked to
 * follow. The head has no `prev` that is ours to write.
 */
#include "segment/token.h"
#include "os/os.h"
#include "segment/registry.h"

struct entry { /* the list's unit; pointers to it are addresses of next */
	struct entry *prev;
	struct entry *next;
};

static struct entry *
entry_of(struct entry **next)
{
	return (struct entry *)(void *)((char *)next -
					offsetof(struct entry, next));
}

static struct entry **
without_mark(void *next)
{
	return (struct entry **)((uintptr_t)next & ~(uintptr_t)1);
}

/* next->prev = prev, unless next is the list's head */
static void
set_prev(const struct stoai_robust_head *head, void *next, void *prev)
{
	if ((const void *)without_mark(next) != (const void *)&head->next)
		entry_of(without_mark(next))->prev = prev;
}

/* The slot's window, made at its first use by this process. Under claims. */
static int
window_get(stoa_segment *seg, uint32_t slot, char **ret)
{
	size_t page = stoai_os_page_size();
	uint64_t from =
		seg->lanes_off + ((uint64_t)slot + 1) * seg->lane_stride - page;
	void *at, *there;
	int rc;

	if (seg->window[slot]) {
		*ret = seg->window[slot];
		return 0;
	}
	rc = stoai_os_map_private(
		2 * page, STOAI_MAP_READ | STOAI_MAP_WRITE, NULL, &at);
	if (rc)
		return rc;
	rc = stoai_segment_map(seg->fd, from, page,
		STOAI_MAP_READ | STOAI_MAP_WRITE | STOAI_MAP_FIXED, at, &there);
	if (rc) {
		stoai_os_unmap(at, 2 * page);
		return rc;
	}
	seg->window[slot] = at;
	*ret = at;
	return 0;
}

/* The private entry that belongs to a slot's word. */
static struct entry **
entry_next(char *window, const struct stoai_robust_head *head)
{
	char *word = window + stoai_os_page_size() - STOAI_TOKEN_FROM_END;

	return (struct entry **)(void *)(word - head->futex_offset);
}

static bool
offset_fits(const struct stoai_robust_head *head)
{
	long page = (long)stoai_os_page_size();

	/* prev and next both in the private page */
	return head->futex_offset <= -(long)STOAI_TOKEN_FROM_END - 8 &&
	       head->futex_offset > -page + 64;
}

bool
stoai_token_possible(const stoa_segment *seg)
{
	struct stoai_robust_head *head = NULL;

	return seg->fd >= 0 && seg->lane_stride >= stoai_os_page_size() &&
	       seg->lanes_off % stoai_os_page_size() == 0 &&
	       !stoai_os_robust_list(&head) && head && head->next &&
	       offset_fits(head);
}

int
stoai_token_take(stoa_segment *seg, uint32_t slot, uint32_t from)
{
	uint32_t *word = stoai_token_at(seg, slot);
	uint32_t tid = stoai_os_tid() & STOAI_TOKEN_TID;
	struct stoai_robust_head *head = NULL;
	struct entry **mine;
	void *after;
	char *window;
	int rc;

	if (seg->tokenless) {
		tid |= STOAI_TOKEN_UNLISTED;
		return a32_cas_seq_cst(
			       word, &from, tid | (from & STOAI_TOKEN_WAITERS))
			       ? 0
			       : -EAGAIN;
	}
	rc = window_get(seg, slot, &window);
	if (!rc)
		rc = stoai_os_robust_list(&head);
	if (rc)
		return rc;
	mine = entry_next(window, head);
	if (!a32_cas_seq_cst(word, &from, tid | (from & STOAI_TOKEN_WAITERS)))
		return -EAGAIN;
	stoai_kill_fence();
	after = head->next;
	*mine = after;
	entry_of(mine)->prev = (void *)&head->next;
	set_prev(head, after, mine);
	stoai_kill_fence();
	ap_store_release(&head->next, mine);
	stoai_kill_fence();
	return 0;
}

void
stoai_token_drop(stoa_segment *seg, uint32_t slot, uint32_t to)
{
	uint32_t *word = stoai_token_at(seg, slot);
	struct stoai_robust_head *head = NULL;

	if (!seg->tokenless && !stoai_os_robust_list(&head)) {
		struct entry **mine = entry_next(seg->window[slot], head);
		void *next = *mine, *prev = entry_of(mine)->prev;

		set_prev(head, next, prev);
		stoai_kill_fence();
		ap_store_release((void **)(void *)without_mark(prev), next);
		stoai_kill_fence();
	}
	if (a32_exchange_seq_cst(word, to) & STOAI_TOKEN_WAITERS)
		(void)stoai_os_futex_wake(word, UINT32_MAX);
}

void
stoai_token_unmap(stoa_segment *seg)
{
	for (uint32_t i = 0; i < STOAI_SLOTS_MAX; i++)
		if (seg->window[i]) {
			stoai_os_unmap(
				seg->window[i], 2 * stoai_os_page_size());
			seg->window[i] = NULL;
		}
}
