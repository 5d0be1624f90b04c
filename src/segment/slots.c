/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Tables of slots: how do locks work in memory that is no segment?
 *
 * All that a lock needs of a segment is a slot for each thread, with its list of held
 * locks, and a proof of death. A table is that: a segment without heap, log and
 * objects, which lies somewhere in the memory that it covers.
 *
 *	base         memory                s                            memory + size
 *	 |<- a page ->|  user's  | stoai_table | header | slots | lanes |  user's  |
 *	 offset 0     skip       header_off - 64 ^ header_off
 *
 * Offsets count from a page before the memory, which nobody touches: so none is 0,
 * which means "nothing" in slots, wherever in the memory a lock lies. They are the same
 * in every process, as `place` and `size` are.
 *
 * Owner bytes need a file that all find, and the memory may have none, or one without
 * a name. There is one file for all tables of a user, <directory>/.slots, which is
 * empty and stays. A table has 256 of its bytes, from `owners` on, drawn by lot of
 * 2^53, when it is made. `file` is a hash of the file and of the machine's run: who
 * has another file would take the living for dead, and is refused.
 *
 *	now                  event                            next
 *	file 0               CAS                              file: this one makes it
 *	file, made 0         under TABLE_BYTE: all of it      made, the last store
 *	file, made           attach                           as it is
 *
 * Crash argument: the CAS leaves nothing but who may make it. TABLE_BYTE is dropped by
 * the kernel when a maker dies, and the next one begins from the start: until `made`
 * nobody has used anything of it. From then on it is a segment's slots: README.md.
 */
#include "segment/slots.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"
#include "os/os.h"
#include "region/backing.h"
#include "segment/open.h"
#include "segment/registry.h"
#include "segment/upper.h"

enum {
	SKIP = 4096,
	OWNERS_SHIFT = 8,
	OWNERS_BITS = 53,
	OWNERS_MODE = 0600
};

/* ---- the file ---- */

/*
 * <directory>/.slots, where <directory>/<domain>/<name> would be a segment, and its mode:
 * who may use the directory may use the file. In a directory of many owners (sticky)
 * each has a file of his own.
 */
static int
owners_path(char path[STOAI_PATH_MAX], uint32_t *mode)
{
	int rc = stoai_backing_path("slots", NULL, NULL, true, path);
	struct stat directory;
	size_t end;

	if (rc)
		return rc;
	for (int i = 0; i < 2; i++)
		*strrchr(path, '/') = '\0';
	rc = stoai_os_stat(path, &directory);
	if (rc)
		return stoai_error(
			rc, "the directory '%s': %s", path, stoa_strerror(rc));
	end = strlen(path);
	*mode = directory.st_mode & 0666;
	(void)snprintf(path + end, STOAI_PATH_MAX - end, "/.slots");
	if (directory.st_mode & S_ISVTX) {
		*mode = OWNERS_MODE;
		end += strlen(path + end);
		(void)snprintf(path + end, STOAI_PATH_MAX - end, "-%u",
			(unsigned)stoai_os_euid());
	}
	return 0;
}

/* Which file, in this run of the machine; never 0. */
static int
owners_identity(int fd, uint32_t mode, uint64_t *ret)
{
	struct stat st;
	uint64_t words[4] = {0};
	int rc = stoai_os_stat_fd(fd, &st);

	if (!rc && !S_ISREG(st.st_mode))
		rc = -EPROTO;
	if (!rc)
		rc = stoai_os_boot_id((uint8_t *)&words[2]);
	if (rc)
		return rc;
	/* by its owner; who is killed before leaves it to the next time */
	if (st.st_uid == stoai_os_euid() && (st.st_mode & 0666) != mode)
		(void)stoai_os_chmod_fd(fd, mode);
	words[0] = st.st_dev;
	words[1] = st.st_ino;
	*ret = stoai_hash_sum(words, sizeof words) | 1;
	return 0;
}

/* A description of our own of the file, made if need be. */
static int
owners_open(uint64_t *identity)
{
	char *path = malloc(STOAI_PATH_MAX);
	uint32_t mode = 0;
	int fd, rc;

	if (!path)
		return stoai_error(-ENOMEM, "out of memory");
	rc = owners_path(path, &mode);
	if (rc) {
		free(path);
		return rc;
	}
	do { /* somebody may make it, or remove it, in between */
		fd = stoai_os_open(path, STOAI_OPEN_WRITE, 0);
		if (fd == -ENOENT)
			fd = stoai_os_open(path,
				STOAI_OPEN_WRITE | STOAI_OPEN_CREATE,
				OWNERS_MODE);
	} while (fd == -EEXIST);
	rc = fd < 0 ? fd : owners_identity(fd, mode, identity);
	if (rc) {
		if (fd >= 0)
			(void)stoai_os_close(fd);
		rc = stoai_error(rc,
			"the file of owners '%s' cannot be used: %s", path,
			stoa_strerror(rc));
	}
	free(path);
	return rc ? rc : fd;
}

/* ---- the table ---- */

static int
table_check(const struct stoai_table *t, uint64_t place, uint64_t size)
{
	if (t->made != STOAI_TABLE_MADE || !t->owners ||
		t->owners % (1 << OWNERS_SHIFT) ||
		t->owners >> (OWNERS_SHIFT + OWNERS_BITS))
		return stoai_error(-EPROTO,
			"these bytes are no stoa_slots: they were not zero "
			"before its first use, or have been written to");
	if (t->place != place || t->size != size)
		return stoai_error(-EINVAL,
			"others say that their stoa_slots lies at byte %llu of "
			"%llu, and not at %llu of %llu",
			(unsigned long long)t->place,
			(unsigned long long)t->size, (unsigned long long)place,
			(unsigned long long)size);
	return 0;
}

/* Under TABLE_BYTE. */
static int
table_make(struct stoai_table *t, uint64_t place, uint64_t size)
{
	struct stoai_header *h = (struct stoai_header *)(void *)(t + 1);
	uint64_t lot = 0;
	int rc = 0;

	while (!rc && !lot) {
		rc = stoai_os_random(&lot, sizeof lot);
		lot >>= 64 - OWNERS_BITS;
	}
	if (rc)
		return stoai_error(rc, "no random number for a stoa_slots: %s",
			stoa_strerror(rc));
	memset(h, 0, sizeof(stoa_slots) - sizeof *t);
	h->committed = SKIP + size;
	t->owners = lot << OWNERS_SHIFT;
	t->place = place;
	t->size = size;
	a64_store_release(&t->made, STOAI_TABLE_MADE);
	return 0;
}

/* It is there, and right, or made now. fd < 0: only this process has it. */
static int
table_ready(struct stoai_table *t, uint64_t place, uint64_t size, int fd,
	uint64_t file)
{
	uint64_t seen = a64_load_acquire(&t->file);
	int rc = 0;

	while (!seen && !a64_cas_seq_cst(&t->file, &seen, file))
		;
	if (seen && seen != file)
		return stoai_error(-EXDEV,
			"the stoa_slots was made by who has another file of "
			"owners: of another user, STOA_DIRECTORY or mount "
			"namespace, or before the machine was started; zero "
			"bytes make it anew, when nobody uses it");
	if (a64_load_acquire(&t->made))
		return table_check(t, place, size);
	if (fd >= 0)
		rc = stoai_os_lock_span(
			fd, STOAI_TABLE_BYTE, 1, STOAI_LOCK_EXCLUSIVE, true);
	if (rc)
		return stoai_error(rc,
			"the file of owners cannot be locked: %s",
			stoa_strerror(rc));
	rc = a64_load_acquire(&t->made) ? table_check(t, place, size)
					: table_make(t, place, size);
	if (fd >= 0)
		(void)stoai_os_lock_byte(fd, STOAI_TABLE_BYTE, STOAI_LOCK_NONE);
	return rc;
}

/* ---- the handle ---- */

static stoa_segment *
table_handle(struct stoai_table *t, void *memory, uint64_t size, int fd)
{
	stoa_segment *seg = calloc(1, sizeof *seg);

	if (!seg)
		return NULL;
	pthread_mutex_init(&seg->claims, NULL);
	seg->fd = fd;
	seg->shared_fd = -1;
	seg->tokenless = true;
	seg->caller_memory = true;
	seg->backing = STOAI_BACKING_BUFFER;
	seg->base = (char *)memory - SKIP;
	seg->skip = seg->heap_off = SKIP;
	seg->size = seg->room = seg->committed = SKIP + size;
	seg->header_off = (uint64_t)((char *)(t + 1) - seg->base);
	seg->span_shift = 12;
	seg->slot_count = STOAI_TABLE_SLOTS;
	seg->lane_stride = STOAI_TABLE_LANE;
	seg->slots_off = seg->header_off + STOAI_HEADER_SIZE;
	seg->lanes_off =
		seg->slots_off + STOAI_TABLE_SLOTS * sizeof(struct stoai_slot);
	seg->owners = t->owners;
	(void)snprintf(seg->name, sizeof seg->name, "(slots)");
	return seg;
}

static int
place_check(const stoa_slots *s, const char *memory, uint64_t size)
{
	uint64_t place = (uint64_t)((const char *)s - memory);

	if (!s || !memory || (uintptr_t)s % _Alignof(stoa_slots) ||
		(uintptr_t)memory % STOAI_LOCK_ALIGN || place > size ||
		size - place < sizeof *s || size >> 44)
		return stoai_error(-EINVAL,
			"a stoa_slots lies in the memory that it is for, at a "
			"multiple of %zu",
			_Alignof(stoa_slots));
	return 0;
}

/* Under the registry. Its fd is the handle's, if there is a new one. */
static int
table_open(stoa_slots *s, void *memory, uint64_t size, int fd, uint64_t file,
	stoa_segment **ret)
{
	struct stoai_table *t = (struct stoai_table *)(void *)s;
	stoa_segment *seg;
	int rc;

	if (stoai_registry_overlaps(memory, size))
		return stoai_error(-EEXIST,
			"some of the memory for a stoa_slots belongs to a "
			"segment or to another one");
	rc = stoai_upper.process_begin();
	if (!rc)
		rc = table_ready(t, (uint64_t)((char *)s - (char *)memory),
			size, fd, file);
	if (rc)
		return rc;
	seg = table_handle(t, memory, size, fd);
	if (!seg)
		return stoai_error(-ENOMEM, "out of memory");
	rc = stoai_registry_add(seg);
	if (rc) {
		seg->fd = -1; /* the caller's still */
		stoai_segment_free(seg);
		return rc;
	}
	*ret = seg;
	return 0;
}

/* Under the registry: this process has it already. NULL: no; rc: not as asked for. */
static stoa_segment *
table_had(stoa_slots *s, const void *memory, uint64_t size, int *rc)
{
	stoa_segment *seg = stoai_registry_find_buffer(
		(char *)s + sizeof(struct stoai_table));

	if (seg && (seg->base + SKIP != (const char *)memory ||
			   seg->size != SKIP + size)) {
		seg->handles--;
		*rc = stoai_error(-EINVAL,
			"this process has the stoa_slots for other memory "
			"than that");
	}
	return seg;
}

int
stoai_slots_open(stoa_slots *s, void *memory, uint64_t size, int fd,
	uint64_t file, stoa_segment **ret)
{
	int rc = place_check(s, memory, size);
	stoa_segment *seg = NULL;

	if (!rc) {
		stoai_registry_process_check();
		stoai_registry_lock();
		seg = table_had(s, memory, size, &rc);
		if (seg)
			*ret = seg;
		else
			rc = table_open(s, memory, size, fd, file, ret);
		stoai_registry_unlock();
	}
	if (fd >= 0 && (rc || seg))
		(void)stoai_os_close(fd);
	return rc;
}

int
stoa_slots_attach(stoa_slots *s, void *memory, size_t size)
{
	struct stoai_seat *seat;
	stoa_segment *seg = NULL;
	uint64_t file = 0;
	int rc, fd;

	stoai_error_clear();
	fd = owners_open(&file);
	if (fd < 0)
		return fd;
	rc = stoai_slots_open(s, memory, size, fd, file, &seg);
	if (rc)
		return rc;
	rc = stoai_attach(seg, STOA_NOW, &seat);
	if (rc) {
		stoai_registry_close(seg);
		return rc;
	}
	(void)stoai_sweep(seg, true); /* no kernel marks the dead of a table */
	return stoai_error_left(0);
}

void
stoa_slots_detach(stoa_slots *s)
{
	stoa_segment *seg;
	struct stoai_seat *seat;
	uint32_t handles = 0;

	if (!s)
		return;
	stoai_registry_process_check();
	stoai_registry_lock();
	seg = stoai_registry_find_buffer(
		(char *)s + sizeof(struct stoai_table));
	if (seg)
		handles = --seg->handles;
	stoai_registry_unlock();
	seat = seg ? stoai_seat_of(seg) : NULL;
	if (seat) /* without handles it may be the last one that keeps it */
		stoai_detach(seat);
	if (handles)
		stoai_registry_close(seg);
}
