/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The local side: a process's segment, and a thread's seat in it.
 *
 *	stoa_segment   one per process, mapping and mode; shared by its handles;
 *	               lives until the last handle is closed and the last
 *	               thread has detached
 *	stoai_self     one per thread; a page that is zero in a fork child
 *	stoai_seat     one per thread and segment: its slot, its lane, its heap
 *	               cache. Also zero in a fork child, which so finds itself
 *	               detached, whatever pointers it has kept
 *
 * Layers above keep their own thread data behind the seat and behind self;
 * upper.h says how much room they want.
 */
#ifndef STOAI_SEGMENT_SEAT_H
#define STOAI_SEGMENT_SEAT_H
#include <pthread.h>
#include "base/annotate.h"
#include "base/atomic.h"
#include "base/base.h"
#include "segment/format.h"
#include "stoa/segment.h"

enum {
	STOAI_SEGMENTS_MAX = 64, /* open at one time in one process */
	STOAI_CHUNKS_MAX =
		32,     /* of one lane's log; each twice the one before */
	STOAI_NEAR = 64 /* bytes of what stoai_seat_at is asked for */
};

/* local, process-wide */
struct stoa_segment {
	char *base;        /* never moves; header at base */
	uint64_t size;     /* bytes of address space mapped: header.reserve */
	uint64_t heap_off; /* copies of static header words, for hot paths */
	uint64_t
		committed; /* last seen; refreshed when something lies beyond */
	uint32_t span_shift, meta_stride, lane_stride, slot_count;
	uint64_t table_off, meta_off, slots_off, lanes_off, seed;
	int fd;         /* of the backing, our own description; -1: none */
	int shared_fd;  /* another one of it, to hand out; -1: none */
	uint32_t id;    /* index into stoai_self.seat */
	bool readonly;  /* mapped without write access */
	bool tokenless; /* owner bytes (or, without fd, this process) alone */
	/* of a table of slots for a caller's memory (slots.c); else 0 */
	uint64_t
		header_off; /* its header; it has no heap, and lanes without a log */
	uint64_t skip;      /* before the memory that it covers */
	uint64_t owners; /* where its owner bytes begin */
	uint64_t room;   /* bytes of a caller's buffer; as long as the rest */
	bool caller_memory; /* a caller's buffer: fd carries owner bytes only */
	bool checked;       /* tx/checked.c watches every transaction */
	uint8_t backing;    /* enum stoai_backing_kind */
	uint32_t profiled;  /* tx/profile.c samples allocations */
	void *checked_state; /* tx/checked.c */
	void *profile;       /* tx/profile.c */
	void *types_cache;   /* object/: descriptions seen by this process */
	/* object/: how objects are found; NULL: by the hash */
	const struct stoa_index_class *index;
	/* object/: what divides its memory, and where its state lies; 0: heap/ does */
	const struct stoa_heap_class *heap_class;
	uint64_t heap_state;
	/* under the registry's mutex (registry.c) */
	uint32_t handles;  /* open minus close */
	uint32_t attached; /* threads of this process with a seat */
	uint64_t device, inode;
	struct stoa_segment *next;
	/* under claims: which slots this process is using or recovering */
	pthread_mutex_t claims;
	uint64_t mine[STOAI_SLOTS_MAX / 64];
	char *window
		[STOAI_SLOTS_MAX];  /* token.c: slot's page and a private one */
	char name[STOAI_NAME_SIZE]; /* for people */
	char *path;                 /* what leads to its file; NULL: nothing */
};

/*
 * What is used seldom stands first. A seat and a lane each begin a page, and a processor
 * that finds loads and stores of the same place in a page takes them for the same
 * word: what stands where a lane has its held locks costs a raw lock a quarter more.
 */
struct stoai_seat {
	uint64_t chunk[STOAI_CHUNKS_MAX]; /* the chunks after the lane itself */
	stoa_segment *seg;     /* NULL: no seat (and what a fork child reads) */
	char *base;            /* of its mapping */
	const uint32_t *flags; /* of its header */
	/* stoai_seat_near: the heap as seen last, less what an object needs */
	uint64_t near_from, near_size;
	struct stoai_slot *slot;
	struct stoai_lane *lane;
	uint32_t index; /* of the slot */
	uint32_t word;  /* my lock word: generation and slot + 1 */
	uint32_t busy;  /* inside a call: entered again = signal handler */
	union {
		struct {
			uint32_t locks; /* bit k: lane->held[k] is taken */
			uint32_t raw;   /* ... by a raw call, not by a
					   transaction */
		};
		uint64_t taken; /* both, in one store */
	};
	/* a raw lock in held[0] whose bit is not set: stoai_seat_taken */
	const void *quick;
	uint64_t
		log_end; /* tx/lane.c: end of the chunk that the cursor is in */
	uint32_t chunks;
	uint32_t
		effects; /* kinds of records that commit must act on, as bits */
	void *scope;     /* tx/scope.c: the innermost open stoa_tx */
	void *writer;    /* the innermost that may write */
	uint64_t cond_tick; /* sync/condition.c: grows over one wait */
	/* how often each held lock was taken again; 0 of one that is not held */
	uint16_t depth[STOAI_HELD_MAX];
	void *heap; /* heap/: magazines; in the same wiped mapping */
};

struct stoai_self {
	uint32_t ready; /* 0: fresh, or a fork child's wiped page */
	uint32_t
		attaching; /* in attach or detach: not to be interrupted by one */
	struct stoai_seat *seat[STOAI_SEGMENTS_MAX];
	void *tx;      /* tx/: transaction objects; in the same wiped mapping */
	char *scratch; /* where a failed transaction writes; 0: none yet */
	size_t scratch_size, scratch_used;
};

extern STOAI_THREAD struct stoai_self *stoai_self;
/* Attached or used last; a fork child finds it zero, as any. NULL: none. */
extern STOAI_THREAD struct stoai_seat *stoai_seat_last;

static inline struct stoai_header *
stoai_header(const stoa_segment *seg)
{
	return (struct stoai_header *)(void *)(seg->base + seg->header_off);
}

/* Does the address lie in it? */
static inline bool
stoai_covers(const stoa_segment *seg, const void *address)
{
	uint64_t off = (uint64_t)((const char *)address - seg->base);

	return off - seg->skip < seg->size - seg->skip;
}

/* The byte of its file that stands for a slot's owner. */
static inline uint64_t
stoai_owner_byte(const stoa_segment *seg, uint32_t slot)
{
	return (seg->owners ? seg->owners : STOAI_OWNER_BYTES) + slot;
}

static inline struct stoai_slot *
stoai_slot_at(const stoa_segment *seg, uint32_t index)
{
	return (struct stoai_slot *)(void *)(seg->base + seg->slots_off) +
	       index;
}

static inline struct stoai_lane *
stoai_lane_at(const stoa_segment *seg, uint32_t index)
{
	return (struct stoai_lane *)(void *)(seg->base + seg->lanes_off +
					     (uint64_t)index *
						     seg->lane_stride);
}

static inline uint32_t *
stoai_token_at(const stoa_segment *seg, uint32_t index)
{
	return (uint32_t *)(void *)(seg->base + seg->lanes_off +
				    ((uint64_t)index + 1) * seg->lane_stride -
				    STOAI_TOKEN_FROM_END);
}

/*
 * How many slots need be looked at by who asks what slots say: no other one was
 * ever anybody's.
 */
static inline uint32_t
stoai_slots_used(const stoa_segment *seg)
{
	uint32_t used = a32_load_relaxed(&stoai_header(seg)->slots_used);

	return used - 1 < seg->slot_count ? used : seg->slot_count;
}

/* Of what lies in a seat's segment, and is never NULL. */
static inline uint64_t
stoai_seat_off(const struct stoai_seat *seat, const void *p)
{
	return (uint64_t)((const char *)p - seat->base);
}

/*
 * Which entries of the lane are taken, as bits. Nobody else reads `locks` to learn that:
 * sync/raw.c takes the first entry without a bit, by `quick` and the entry alone,
 * and may give one back whose bit was set meanwhile by this.
 */
static inline uint32_t
stoai_seat_taken(struct stoai_seat *seat)
{
	const uint64_t first = UINT64_C(1) << 32 | 1;

	if (stoai_unlikely(seat->quick != NULL)) {
		seat->taken |= first;
		stoai_kill_fence();
		seat->quick = NULL;
	} else if (stoai_unlikely(seat->locks & 1 &&
				  !a64_load_relaxed(&seat->lane->held[0]))) {
		seat->taken &= ~first;
	}
	return seat->locks;
}

/* A signal handler finds the thread in the middle of taking the first, or giving it back. */
static inline bool
stoai_seat_between(struct stoai_seat *seat)
{
	return !(stoai_seat_taken(seat) & 1) &&
	       a64_load_relaxed(&seat->lane->held[0]);
}

/* Of these entries those that can be taken. */
static inline uint32_t
stoai_seat_free(struct stoai_seat *seat, uint32_t usable)
{
	return usable & ~(seat->locks | stoai_seat_between(seat));
}

/* offset of something in this mapping; 0 for NULL */
static inline uint64_t
stoai_off(const stoa_segment *seg, const void *p)
{
	return p ? (uint64_t)((const char *)p - seg->base) : 0;
}

static inline void *
stoai_at(const stoa_segment *seg, uint64_t off)
{
	return seg->base + off;
}

/* open.c: the heap's end now, noted in seg; never beyond the mapping or the file */
uint64_t stoai_committed(stoa_segment *seg);

/* [off, off + size) lies in committed heap memory? */
static inline bool
stoai_in_heap(stoa_segment *seg, uint64_t off, uint64_t size)
{
	uint64_t end = a64_load_relaxed(&seg->committed);

	if (stoai_unlikely(
		    off < seg->heap_off || size > end || off > end - size)) {
		end = stoai_committed(seg);
		return off >= seg->heap_off && size <= end && off <= end - size;
	}
	return true;
}

/* Where a lock of `size` bytes may lie: in the heap, or among the header's own. */
static inline bool
stoai_lock_place(stoa_segment *seg, uint64_t off, uint64_t size)
{
	if (seg->header_off && off + size > seg->header_off &&
		off < seg->header_off + STOAI_TABLE_SIZE)
		return false; /* in the table itself */
	return off % STOAI_LOCK_ALIGN == 0 &&
	       (stoai_in_heap(seg, off, size) ||
		       (off >= STOAI_STATIC_SIZE &&
			       off <= STOAI_HEADER_SIZE - size));
}

/*
 * All of its heap is open: no thread of this process owns anything in it, or all of it
 * is to be read. See annotate.h.
 */
static inline void
stoai_segment_annotate(const stoa_segment *seg)
{
	uint64_t end;

	if (!STOAI_ANNOTATES || seg->header_off)
		return;
	end = a64_load_relaxed(&seg->committed);
	if (end > seg->heap_off)
		stoai_annotate_open(
			seg->base + seg->heap_off, end - seg->heap_off);
}

/* Name of the segment for error texts. */
static inline const char *
stoai_name(const stoa_segment *seg)
{
	return seg->name;
}

/* ---- attach.c: the calling thread's seat ---- */

/* The seat, or NULL when this thread has none (yet, any more, or is a fork child). */
static inline struct stoai_seat *
stoai_seat_of(const stoa_segment *seg)
{
	struct stoai_seat *seat = stoai_likely(stoai_self != NULL)
					  ? stoai_self->seat[seg->id]
					  : NULL;

	return stoai_likely(seat && seat->seg == seg) ? seat : NULL;
}

/* Finds or makes it. -EUSERS at the deadline; -EROFS; -ENOSPC (its lane). */
int stoai_attach(stoa_segment *seg, uint64_t deadline, struct stoai_seat **ret);
/* Notes where the segment's heap ends now, for stoai_seat_near. */
void stoai_seat_look(struct stoai_seat *seat);
void stoai_detach(struct stoai_seat *seat);

/* ---- find.c: the seat, by the address of an object ---- */

/* In the segment that it lies in. -EXDEV: in none. */
int stoai_attach_at(const void *object, struct stoai_seat **ret);
/* Where this thread has a seat already, if it has one there; NULL: it has none. */
struct stoai_seat *stoai_seat_having(const void *object);
/* -EDEADLK, with a text, in a signal handler that interrupted a call; else 0. */
int stoai_seat_interrupted(const struct stoai_seat *seat);
static inline int
stoai_seat_busy(const struct stoai_seat *seat)
{
	return stoai_likely(!seat->busy) ? 0 : stoai_seat_interrupted(seat);
}
/* stoai_seat_at, when the seat is not near. */
struct stoai_seat *stoai_seat_far(const void *object, uint64_t size, int *rc);
/* This thread's page; NULL: out of memory. */
struct stoai_self *stoai_self_get(void);
/*
 * As in a fork child: this thread has no seat in the segment, this process no
 * slot. Nothing shared is touched. For the step explorer.
 */
void stoai_segment_forget(stoa_segment *seg);

/*
 * The seat that this thread used last, if the object lies in its segment's heap and
 * nothing speaks against a call on it, none of these flags of the header either: else
 * NULL, and stoai_seat_at says more. The object is no larger than STOAI_NEAR. The
 * caller sets busy for its duration.
 */
static inline struct stoai_seat *
stoai_seat_near(const void *object, uint32_t flags)
{
	struct stoai_seat *seat = stoai_seat_last;
	uint64_t off;

	if (stoai_unlikely(!seat))
		return NULL;
	off = stoai_seat_off(seat, object);
	return stoai_likely(off - seat->near_from < seat->near_size &&
			    off % STOAI_LOCK_ALIGN == 0 && !seat->busy &&
			    !(a32_load_relaxed(seat->flags) & flags))
		       ? seat
		       : NULL;
}

/*
 * For a call that names nothing but an object: the seat in the segment where [object,
 * object + size) lies, attached if need be. NULL: *rc says why, with a text: -EXDEV
 * (no segment, not in its heap, no place of a lock), -EDEADLK (a signal handler in a
 * call), -ENOTRECOVERABLE, or as stoai_attach. The caller sets busy for its duration.
 */
static inline struct stoai_seat *
stoai_seat_at(const void *object, uint64_t size, int *rc)
{
	struct stoai_seat *seat =
		stoai_seat_near(object, STOAI_SEGMENT_DAMAGED);

	STOA_ASSERT(size <= STOAI_NEAR);
	return stoai_likely(seat != NULL) ? seat
					  : stoai_seat_far(object, size, rc);
}

/* ---- liveness.c: who lives ---- */

/* How many threads fit: the last slot is kept for the command, if there are three. */
static inline uint32_t
stoai_threads_max(const stoa_segment *seg)
{
	return seg->slot_count > 2 ? seg->slot_count - 1 : seg->slot_count;
}

/* A lock word without its WAITERS bit: generation << 9 | slot + 1. */
static inline uint32_t
stoai_lock_word(uint32_t slot, uint32_t generation)
{
	return (generation & STOAI_GENERATION_MASK) << 9 | (slot + 1);
}

/* The slot that a word names, or UINT32_MAX when it names none of this segment. */
static inline uint32_t
stoai_word_slot(const stoa_segment *seg, uint32_t word)
{
	uint32_t slot = (word & STOAI_WORD_SLOT) - 1;

	return slot < seg->slot_count ? slot : UINT32_MAX;
}

/* Does it name a slot as it is now (not one given up or recovered since)? */
static inline bool
stoai_word_is_current(const stoa_segment *seg, uint32_t word)
{
	uint32_t slot = stoai_word_slot(seg, word);

	return slot != UINT32_MAX &&
	       ((a32_load_acquire(&stoai_slot_at(seg, slot)->generation) ^
			word >> 9) &
		       STOAI_GENERATION_MASK) == 0;
}

/* marked dead by the kernel? one load */
static inline bool
stoai_token_dead(uint32_t token)
{
	return (token & STOAI_TOKEN_OWNER_DIED) && !(token & STOAI_TOKEN_TID);
}

/* somebody's, living or dead? Whatever else a token says, the slot is free. */
static inline bool
stoai_token_held(uint32_t token)
{
	return token & (STOAI_TOKEN_TID | STOAI_TOKEN_OWNER_DIED);
}

/*
 * Prove the death of a slot that looks stuck: take its owner byte, look again,
 * mark its token. True: it is dead (and marked, and not yet recovered).
 */
bool stoai_confirm_dead(stoa_segment *seg, uint32_t slot);

/* The word of a user's "taken by" field: does that thread live? Proves it if need be. */
bool stoai_owner_lives(stoa_segment *seg, uint32_t slot, uint32_t generation);

/* ---- recover.c ---- */

/* Finish or undo what a dead slot was doing. 0: done by us or by somebody else. */
int stoai_recover(stoa_segment *seg, uint32_t index);
/* Recover every slot whose death is known; thorough: prove others' too. Returns how many. */
int stoai_sweep(stoa_segment *seg, bool thorough);
/* A segment with a quarantined lane: -ENOTRECOVERABLE, with its text; else 0. */
int stoai_segment_usable(stoa_segment *seg);
/* Header and slots: every rule of segment/README.md. 0 or -EBADMSG. */
int stoai_segment_check_header(stoa_segment *seg);

#endif
