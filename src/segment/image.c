/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Images: how does one get a whole copy of a segment that others are changing?
 *
 *	look       what every thread says of itself     no lock is taken, and
 *	copy       front, table, metas, heap            nothing is written: who
 *	look       the same? else once more             may read may copy
 *	settle     in the copy everybody is dead: undo what they had begun
 *
 * Why the copy is one that recovery can mend. Nothing shared changes outside a
 * transaction, and each leaves a trace in its thread's slot or lane: an exclusive
 * lock counts `taken`, a record moves `cursor`, its undo counts `undone`, a commit
 * counts `commits`, and a thread that comes or goes changes its generation. So if
 * the two looks agree, nobody began, ended or recorded anything in between. Who was
 * in a transaction all the time, asleep or stopped, may at most have stored again
 * to what is in its log already, and settling undoes that. A lock that somebody
 * holds is therefore no reason to wait, only one who comes and goes is, and after a
 * second of those the answer is -EAGAIN. The heap's lock alone is held over many
 * changes that no log has, while it is trimmed: then the span table is looked at too.
 *
 * Readers come and go unseen: locks held shared are not looked at.
 */
#include "segment/image.h"
#include <stdlib.h>
#include "base/hash.h"
#include "os/os.h"

enum {
	TRY_NS = 1000000000,
	PAUSE_NS = 50000,
	PIECE = 1 << 30 /* one read of a file */
};

static int
fetch(const struct stoai_image *from, void *to, uint64_t size, uint64_t at)
{
	for (uint64_t done = 0, piece; done < size; done += piece) {
		int rc;

		piece = stoai_min(size - done, PIECE);
		if (from->fd < 0) {
			memcpy((char *)to + done, from->memory + at + done,
				piece);
			continue;
		}
		rc = stoai_os_pread(
			from->fd, (char *)to + done, piece, at + done);
		if (rc < 0)
			return stoai_error(rc, "%s: cannot be read: %s",
				from->name, stoa_strerror(rc));
		if ((uint64_t)rc < piece)
			return stoai_error(-EBADMSG,
				"%s: damaged: it ends at %#llx, amid its heap",
				from->name,
				(unsigned long long)(at + done + (uint64_t)rc));
	}
	return 0;
}

/* The head of a lane, as far as it tells of changes. */
static int
look_lane(const struct stoai_image *from, const struct stoai_header *h,
	uint32_t slot, uint64_t *sum)
{
	struct stoai_lane lane;
	int rc = fetch(from, &lane, sizeof lane,
		h->lanes_off + (uint64_t)slot * h->lane_stride);

	for (uint32_t k = 0; !rc && k < STOAI_HELD_MAX; k++) {
		unsigned mode = stoai_held_mode(lane.held[k]);

		if (mode == STOAI_HELD_SHARED || mode == STOAI_HELD_LEAVING ||
			mode == STOAI_HELD_UPGRADABLE)
			lane.held[k] = 0;
	}
	if (!rc)
		*sum = stoai_hash(&lane, sizeof lane, *sum);
	return rc;
}

/* Whoever cuts, joins and trims has one lock all the time: what has he changed? */
static int
look_table(const struct stoai_image *from, const struct stoai_header *now,
	uint64_t *sum)
{
	uint64_t word[512], at = now->table_off, left;
	int rc = 0;

	if (now->committed < now->heap_off || now->committed > now->reserve)
		return 0; /* the caller says so */
	left = ((now->committed - now->heap_off) >> now->span_shift) *
	       sizeof *word;
	*sum = stoai_hash(&now->shaping, sizeof now->shaping, *sum);
	for (uint64_t piece; left && !rc; left -= piece, at += piece) {
		piece = stoai_min(left, sizeof word);
		rc = fetch(from, word, piece, at);
		if (!rc)
			*sum = stoai_hash(word, piece, *sum);
	}
	return rc;
}

/* One look: a sum over what everybody says of himself, and the heap's end. */
static int
look(const struct stoai_image *from, const struct stoai_header *h,
	struct stoai_slot *slots, uint64_t *committed, uint64_t *sum)
{
	struct stoai_header now;
	int rc = fetch(from, &now, sizeof now, 0);

	if (!rc)
		rc = fetch(from, slots, h->slot_count * sizeof *slots,
			h->slots_off);
	if (rc)
		return rc;
	*committed = now.committed;
	*sum = stoai_hash(slots, h->slot_count * sizeof *slots, now.committed);
	for (uint32_t i = 0; i < h->slot_count && !rc; i++)
		if (slots[i].paged)
			rc = look_lane(from, h, i, sum);
	return !rc && now.heap_lock.word_ ? look_table(from, &now, sum) : rc;
}

static int
copy_once(const struct stoai_image *from, const struct stoai_header *h,
	uint64_t committed, const struct stoai_slot *slots, char *to)
{
	uint64_t spans = (committed - h->heap_off) >> h->span_shift;
	int rc = fetch(from, to, h->lanes_off, 0);

	for (uint32_t i = 0; i < h->slot_count && !rc; i++) {
		uint64_t at = h->lanes_off + (uint64_t)i * h->lane_stride;

		if (slots[i].paged)
			rc = fetch(from, to + at, h->lane_stride, at);
	}
	if (!rc)
		rc = fetch(from, to + h->table_off, spans * sizeof(uint64_t),
			h->table_off);
	if (!rc)
		rc = fetch(from, to + h->meta_off, spans * h->meta_stride,
			h->meta_off);
	if (from->fd < 0)
		stoai_annotate_open(
			from->memory + h->heap_off, committed - h->heap_off);
	if (!rc)
		rc = fetch(from, to + h->heap_off, committed - h->heap_off,
			h->heap_off);
	return rc;
}

/* 0; -EAGAIN: somebody was at work. */
static int
try_copy(const struct stoai_image *from, const struct stoai_header *h,
	struct stoai_slot *slots, char *to)
{
	uint64_t committed, before, after;
	int rc = look(from, h, slots, &committed, &before);

	if (rc)
		return rc;
	if (committed < h->heap_off || committed > h->reserve)
		return stoai_error(-EBADMSG,
			"%s: damaged: its heap ends at %#llx", from->name,
			(unsigned long long)committed);
	stoai_load_fence();
	rc = copy_once(from, h, committed, slots, to);
	stoai_load_fence();
	if (!rc)
		rc = look(from, h, slots, &committed, &after);
	return rc ? rc : before == after ? 0 : -EAGAIN;
}

int
stoai_image_copy(
	const struct stoai_image *from, const struct stoai_header *h, char *to)
{
	struct stoai_slot *slots = calloc(h->slot_count, sizeof *slots);
	uint64_t end = stoai_os_now() + TRY_NS;
	int rc;

	if (!slots)
		return stoai_error(-ENOMEM, "out of memory");
	for (;;) {
		rc = try_copy(from, h, slots, to);
		if (rc != -EAGAIN || stoai_os_now() >= end)
			break;
		stoai_os_sleep(PAUSE_NS);
	}
	free(slots);
	return rc == -EAGAIN
		       ? stoai_error(rc,
				 "%s: writers came between again and again: "
				 "try again, or hold its lock meanwhile",
				 from->name)
		       : rc;
}

void
stoai_image_settle(stoa_segment *seg)
{
	for (uint32_t i = 0; i < seg->slot_count; i++)
		if (a32_load_relaxed(&stoai_slot_at(seg, i)->paged) &&
			stoai_token_held(
				a32_load_relaxed(stoai_token_at(seg, i))))
			a32_store_release(
				stoai_token_at(seg, i), STOAI_TOKEN_OWNER_DIED);
	(void)stoai_sweep(seg, false);
}
