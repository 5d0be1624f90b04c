/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How can a segment be read without changing it, whatever state it is in?
 *
 *	settled    a private mapping of the file: what is written to it stays in this
 *	           process. In it every slot is recovered as if its thread had just
 *	           died, which by the library's own guarantee gives sound data: what
 *	           was not committed is undone, and no lock is held
 *	live       a read-only mapping: locks are not taken but compared before and
 *	           after, so writers are never kept waiting, and a torn value is read
 *	           again
 *
 * Neither takes a slot, so full tables do not matter, and neither needs
 * permission to write.
 *
 * A private mapping is not frozen: pages that we have not written to still follow
 * the file. So a settled picture counts only if the segment held still: header,
 * slots and the heads of all lanes, which every transaction moves, are the same
 * before it was made and after it was read. That is exact, and works whoever is
 * dead or stopped, so it is tried first. Where others change the segment all
 * the time, it is read live; what looks damaged then may only be torn, and is
 * believed if it stays so. Writers that leave no gap can starve that.
 *
 *	attached   with --attach: like any program that uses the library, with a slot
 *	           and locks. The only one that changes the segment, and the only one
 *	           that cannot be starved
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/hash.h"
#include "os/os.h"
#include "out.h"
#include "region/backing.h"
#include "segment/recover.h"
#include "view.h"

enum {
	QUIET_TRIES = 3,    /* before it counts as busy */
	LIVE_TRIES = 50,    /* of reading between writers */
	DAMAGE_TRIES = 20,  /* of reading what looks damaged */
	PATIENT_TRIES = 50, /* when a lock is in the way, too */
	PAUSE_NS = 3 * 1000 * 1000
};

int
view_open(const struct call *c, const char *name, struct view *v)
{
	const stoa_segment_options options = command_options(c);

	memset(v, 0, sizeof *v);
	return stoa_segment_open(name,
		command_flags(c) | (command_given(c, 'A') ? 0 : STOA_RDONLY),
		&options, &v->seg);
}

void
view_close(struct view *v)
{
	v->seg = stoa_segment_close(v->seg);
}

/* ---- the picture ---- */

/* Read from the file, since the mapping may be private: 0 when it cannot be. */
static uint64_t
mark_of(const stoa_segment *seg)
{
	size_t slots = seg->slot_count * sizeof(struct stoai_slot);
	size_t size = STOAI_HEADER_SIZE + slots, n = 2;
	uint64_t *sums = calloc(2 + 2 * (size_t)seg->slot_count, sizeof *sums);
	char *bytes = malloc(size);
	uint64_t ret = 0;

	if (!sums || !bytes ||
		stoai_os_pread(seg->fd, bytes, STOAI_HEADER_SIZE, 0) !=
			STOAI_HEADER_SIZE ||
		stoai_os_pread(seg->fd, bytes + STOAI_HEADER_SIZE, slots,
			seg->slots_off) != (int)slots)
		goto out;
	sums[0] = stoai_hash_sum(bytes, size);
	for (uint32_t i = 0; i < seg->slot_count; i++) {
		uint64_t at = seg->lanes_off + (uint64_t)i * seg->lane_stride;
		struct stoai_lane lane;
		uint32_t token;

		if (!a32_load_relaxed(&stoai_slot_at(seg, i)->paged))
			continue;
		if (stoai_os_pread(seg->fd, &lane, sizeof lane, at) !=
				(int)sizeof lane ||
			stoai_os_pread(seg->fd, &token, sizeof token,
				at + seg->lane_stride - STOAI_TOKEN_FROM_END) !=
				(int)sizeof token)
			goto out;
		sums[n++] = stoai_hash_sum(&lane, sizeof lane);
		sums[n++] = token & ~STOAI_TOKEN_WAITERS;
	}
	ret = stoai_hash_sum(sums, n * sizeof *sums) | 1;
out:
	free(sums);
	free(bytes);
	return ret;
}

/* All die now, in this process's pages only. */
static void
recover_everybody(stoa_segment *seg)
{
	for (uint32_t i = 0; i < seg->slot_count; i++) {
		const struct stoai_slot *slot = stoai_slot_at(seg, i);

		if (!a32_load_relaxed(&slot->paged) ||
			!a32_load_relaxed(stoai_token_at(seg, i)) ||
			a32_load_relaxed(&slot->tries) > STOAI_TRIES_MAX)
			continue;
		a32_store_relaxed(stoai_token_at(seg, i),
			stoai_recover_owned(seg, i) ? STOAI_TOKEN_OWNER_DIED
						    : 0);
	}
}

/* The whole mapping anew: what was written to a private one is forgotten. */
static int
map_again(struct view *v, bool private)
{
	if (mmap(v->seg->base, v->seg->size,
		    private ? PROT_READ | PROT_WRITE : PROT_READ,
		    (private ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED |
			    MAP_NORESERVE,
		    v->seg->fd, 0) == MAP_FAILED)
		return stoai_error_errno(
			"%s: cannot be mapped again", stoai_name(v->seg));
	v->settled = private;
	return 0;
}

/* 0; -EAGAIN: it did not hold still; or a failure. */
static int
settle_once(struct view *v)
{
	int rc;

	v->mark = mark_of(v->seg);
	if (!v->mark)
		return stoai_error(
			-EIO, "%s: cannot be read", stoai_name(v->seg));
	rc = map_again(v, true);
	if (rc)
		return rc;
	recover_everybody(v->seg);
	stoai_error_clear();
	return mark_of(v->seg) == v->mark ? 0 : -EAGAIN;
}

int
view_settle(struct view *v)
{
	int rc = -EAGAIN;

	for (int i = 0; i < PATIENT_TRIES && rc == -EAGAIN; i++) {
		if (i)
			stoai_os_sleep(PAUSE_NS);
		rc = settle_once(v);
	}
	return rc;
}

/* ---- reading ---- */

typedef int (*view_reader)(struct view *v, void *user);

/* *ret: what f did on a picture that held still. False: there was none. */
static bool
read_settled(struct view *v, view_reader f, void *user, int tries, int *ret)
{
	for (int i = 0; i < tries; i++) {
		/* the picture of the last time may do */
		if (!v->settled || mark_of(v->seg) != v->mark) {
			if (i)
				stoai_os_sleep(PAUSE_NS);
			*ret = settle_once(v);
			if (*ret == -EAGAIN)
				continue;
			if (*ret)
				return true;
		}
		*ret = f(v, user);
		if (mark_of(v->seg) == v->mark)
			return true;
	}
	return false;
}

/* The same between writers. False: a lock is in the way, or there are too many. */
static bool
read_live(struct view *v, view_reader f, void *user, int *ret)
{
	int damaged = 0;

	if (v->settled && map_again(v, false))
		return false;
	for (int i = 0; i < LIVE_TRIES; i++) {
		*ret = f(v, user);
		if (view_is_damage(*ret) && damaged++ < DAMAGE_TRIES)
			stoai_os_sleep(PAUSE_NS);
		else if (*ret == -EOWNERDEAD || *ret == -ETIMEDOUT)
			return false;
		else if (*ret != -EAGAIN && *ret != -EDEADLK)
			return true;
	}
	return false;
}

/* With a slot and locks, which are waited for. */
static int
read_attached(struct view *v, view_reader f, void *user)
{
	int rc = stoa_segment_attach(v->seg);

	if (!rc)
		rc = f(v, user);
	for (int i = 0; i < LIVE_TRIES && rc == -EDEADLK; i++)
		rc = f(v, user);
	return rc;
}

int
view_read(struct view *v, view_reader f, void *user)
{
	int rc = 0, live;

	if (!v->seg->readonly)
		return read_attached(v, f, user);
	if (read_settled(v, f, user, QUIET_TRIES, &rc) ||
		read_live(v, f, user, &rc))
		return rc;
	live = rc;
	if (read_settled(v, f, user, PATIENT_TRIES, &rc))
		return rc;
	return live == -EOWNERDEAD || live == -ETIMEDOUT
		       ? stoai_error(-EAGAIN,
				 "%s: a lock that this needs is held by a dead "
				 "or stopped thread (stoa locks says whose), "
				 "and others change the segment all the time",
				 stoai_name(v->seg))
		       : stoai_error(-EAGAIN,
				 "%s: threads change it all the time and leave "
				 "no moment to read it: --attach reads under "
				 "its locks",
				 stoai_name(v->seg));
}

const char *
view_picture(const struct view *v)
{
	return v->settled         ? "recovered"
	       : v->seg->readonly ? "live"
				  : "attached";
}

/* ---- errors ---- */

int
view_path(const struct call *c, const char *name, char *path)
{
	if (!c->file)
		return stoai_backing_path(
			name, c->directory, c->domain, false, path);
	if (snprintf(path, STOAI_PATH_MAX, "%s", name) < STOAI_PATH_MAX)
		return 0;
	path[0] = '\0';
	return stoai_error(-ENAMETOOLONG, "the path is too long");
}

/* Nobody vouches for what stands in the segment: it must lead to the same file. */
const char *
view_name(const struct call *c, const struct view *v, const char *name,
	char buf[STOAI_NAME_SIZE])
{
	char path[STOAI_PATH_MAX], full_path[STOAI_PATH_MAX];

	memcpy(buf, stoai_header(v->seg)->full_name, STOAI_NAME_SIZE);
	if (c->file || !memchr(buf, '\0', STOAI_NAME_SIZE) ||
		view_path(c, name, path) || view_path(c, buf, full_path) ||
		strcmp(path, full_path) != 0)
		return name;
	return buf;
}

const char *
view_state_of_error(int rc)
{
	switch (rc) {
	case -EBADMSG:
		return "damaged";
	case -EPROTO:
	case -EINVAL:
		return "foreign";
	case -ENOTSUP:
	case -EROFS:
		return "unsupported";
	case -ESTALE:
		return "stale";
	case -EACCES:
	case -EPERM:
		return "denied";
	default:
		return "error";
	}
}

static const char *
advice(int rc)
{
	switch (rc) {
	case -ENOENT:
		return "stoa ls shows what is there";
	case -EACCES:
	case -EPERM:
		return "run it as the owner";
	case -EBADMSG:
	case -EPROTOTYPE:
	case -EFAULT:
		return "restore a copy, or remove it with stoa rm";
	case -ESTALE:
		return "stoa rm removes it";
	case -EPROTO:
		return "nothing was touched";
	case -ENOTSUP:
	case -EROFS:
		return "use the stoa of the program that made it";
	case -EOWNERDEAD:
	case -ENOTRECOVERABLE:
		return "stoa recover";
	case -EUSERS:
		return "without --attach no slot is needed";
	default:
		return NULL;
	}
}

bool
view_is_damage(int rc)
{
	/* the middle ones: what an object holds is not what its type says */
	return rc == -EBADMSG || rc == -EPROTOTYPE || rc == -EFAULT ||
	       rc == -ENOTRECOVERABLE || rc == -ESTALE;
}

int
view_error(const char *name, int rc)
{
	const char *what = advice(rc), *text = stoa_error_text();

	/* most texts of the library begin with the name already */
	if (!strncmp(text, name, strlen(name)) && text[strlen(name)] == ':')
		name = "";
	return out_error(
		view_is_damage(rc) ? STATUS_UNCORRECTED : STATUS_OPERATION,
		"%s%s%s%s%s", name, name[0] ? ": " : "", text, what ? ": " : "",
		what ? what : "");
}
