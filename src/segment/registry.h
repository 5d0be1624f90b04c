/* SPDX-License-Identifier: BSL-1.0 */
/* The segments that this process has mapped. See registry.c. */
#ifndef STOAI_SEGMENT_REGISTRY_H
#define STOAI_SEGMENT_REGISTRY_H
#include "segment/seat.h"

/* Held around find .. add, so that two openers make one mapping. */
void stoai_registry_lock(void);
void stoai_registry_unlock(void);
/* Under it: the mapping of that file, one handle more; NULL: none. */
stoa_segment *
stoai_registry_find(uint64_t device, uint64_t inode, bool readonly);
/* Under it: whose header lies there, in a caller's memory; one handle more. */
stoa_segment *stoai_registry_find_buffer(const void *header);
/* Under it: does any other one have a part of that? */
bool stoai_registry_overlaps(const void *memory, uint64_t size);
/* Under it: the one whose mapping an address lies in; no handle more. NULL: none. */
stoa_segment *stoai_registry_at(const void *address);
/*
 * Not under it: this process has one handle of it, and none of its children was born
 * with another: between its birth and its first steps a child is seen by nobody.
 */
bool stoai_registry_only(const stoa_segment *seg);
/* Under it: a fresh segment with one handle. -EMFILE. */
int stoai_registry_add(stoa_segment *seg);
/* One handle less. The last one, with no thread attached, unmaps. */
void stoai_registry_close(stoa_segment *seg);
/* Before attaching: a child made by raw clone() learns that it is one. */
void stoai_registry_process_check(void);
/* A thread more, or less. */
void stoai_registry_attached(stoa_segment *seg, int by);

enum {
	STOAI_SEGMENT_ALIGN = 2 << 20 /* where mappings begin, if it can be */
};

/*
 * Maps a part of the file behind fd, through a description of its own: see the
 * head of registry.c. As stoai_os_map.
 */
int stoai_segment_map(int fd, uint64_t from, size_t size, unsigned prot,
	void *at, void **ret);
/* The same for memory of this process alone, at a place of the system's choice. */
int stoai_segment_map_local(size_t size, void **ret);

/* open.c: unmaps and frees; nobody uses it any more. */
void stoai_segment_unmap(stoa_segment *seg);

#endif
