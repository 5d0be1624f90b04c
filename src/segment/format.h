/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The layout of a segment, all of it fixed-width words at fixed offsets:
 *
 *	0            header                    1 KiB
 *	slots_off    slots[slot_count]         128 bytes each, packed: what others look at
 *	lanes_off    lanes[slot_count]         lane_stride each: log, held locks, token
 *	table_off    span table                8 bytes a span         (heap/format.h)
 *	meta_off     span metas                meta_stride a span     (heap/format.h)
 *	heap_off     spans up to `committed`, address space up to `reserve`
 *
 * Lanes, table, metas and spans are backed by memory only as far as they are
 * used: a lane when its slot is first taken, the rest as the heap grows.
 * Every change that matters to another process is one aligned store.
 */
#ifndef STOAI_SEGMENT_FORMAT_H
#define STOAI_SEGMENT_FORMAT_H
#include <stddef.h>
#include <stdint.h>
#include "stoa/attr.h"
#include "stoa/sync.h"

#define STOAI_MAGIC      UINT64_C(0x0a1a0d414f545389) /* 89 53 54 4f 41 0d 1a 0a */
#define STOAI_BYTE_ORDER UINT32_C(0x01020304)

enum {
	STOAI_LAYOUT_VERSION = 4,
	STOAI_HEADER_SIZE = 1024,
	STOAI_STATIC_SIZE = 256,
	STOAI_NAME_SIZE = 448,
	STOAI_PAGELESS = 64,   /* page_size of memory of one process */
	STOAI_SLOTS_MAX = 256, /* a layout constant: bits in stoa_rwlock */
	STOAI_HELD_USER = 24,
	STOAI_HELD_MAX = 26, /* two for the library's own locks */
	STOAI_TRIES_MAX = 3
};

/* header.features_incompat */
enum {
	STOAI_FEATURE_HEAP_CLASS = 1 << 0,
	STOAI_FEATURES = STOAI_FEATURE_HEAP_CLASS /* that this build knows */
};

/* header.flags_: live */
enum {
	STOAI_SEGMENT_DAMAGED = 1
				<< 0, /* a lane is quarantined; see recover.c */
	STOAI_SEGMENT_RETIRED = 1 << 1,  /* its name is gone or was replaced */
	STOAI_SEGMENT_LAST_OUT = 1 << 2, /* its name goes with its last user */
	STOAI_SEGMENT_COUNTING = 1 << 3  /* waits are counted */
};

/*
 * lock words: bit 31 somebody sleeps | bit 30 its owner lets readers in | bits 28..9
 * generation | bits 8..0 slot + 1
 */
#define STOAI_WORD_WAITERS    UINT32_C(0x80000000)
#define STOAI_WORD_UPGRADABLE UINT32_C(0x40000000)
#define STOAI_WORD_OWNER      UINT32_C(0x1fffffff)
#define STOAI_WORD_SLOT       UINT32_C(0x000001ff)
#define STOAI_GENERATION_MASK UINT32_C(0x000fffff)

struct stoai_header {
	/* static: written before the segment has a name, then never; in sum */
	uint64_t magic;
	uint32_t layout_version;
	uint32_t byte_order;
	uint64_t
		features_compat; /* a bit this build does not know refuses nothing */
	uint64_t features_rocompat; /* ... refuses writing */
	uint64_t features_incompat; /* ... refuses opening */
	uint8_t uuid[16];
	uint64_t created_ns; /* realtime */
	uint64_t seed;       /* of every hash stored in the segment */
	uint32_t page_size;  /* tokens need a page edge of this size */
	uint32_t slot_count;
	uint32_t lane_stride;
	uint32_t span_shift; /* a span has 1 << span_shift bytes */
	uint32_t meta_stride;
	uint32_t pad0;
	uint64_t slots_off, lanes_off, table_off, meta_off, heap_off;
	uint64_t reserve;  /* bytes of address space; heap's end at most */
	uint64_t root_off; /* object/format.h: struct stoai_root */
	uint64_t
		heap_class; /* 0, or entry of the algorithm that divides memory */
	uint8_t pad1[STOAI_STATIC_SIZE - 168];
	uint64_t sum; /* stoai_hash_sum over the bytes before it */
	/* live: each word changes by one store */
	uint32_t flags;
	uint32_t clean; /* nobody was attached when it was flushed and closed */
	uint8_t boot_id[16]; /* of the machine's run in which it is used */
	uint64_t recovered;  /* slots recovered so far; statistics */
	uint32_t
		slots_used; /* slots from here on have never been anybody's; only
	                        grows, before the first use of one. 0: not known */
	uint32_t pad2;
	uint64_t contention; /* 0, or the table of sync/contention.c */
	/* heap: who may write is said in heap/format.h */
	uint64_t freed;     /* hint: where runs were freed (heap/longest.h) */
	uint64_t touched;   /* spans from here on were never anybody's: zeros */
	uint64_t committed; /* end of the memory that the heap may touch */
	uint64_t shaping;   /* free run whose inside is being written + 1 */
	stoa_mutex heap_lock;
	/* what nobody but people reads, here and below: heap/account.c */
	uint32_t refused[6];   /* allocations, by stoa_segment_limit - 1 */
	uint64_t refused_size; /* bytes that the last one wanted */
	uint64_t refused_who;  /* who, why; 0 while they are written */
	stoa_rwlock lock;      /* what STOA_TX(tx, seg) takes */
	uint8_t pad5[16];
	stoa_rwlock names;              /* the object index */
	uint64_t size_most, taken_most; /* bytes of heap; of it not free */
	stoa_rwlock
		blocks; /* what heap_class keeps, and the maps of lent runs */
	uint64_t refused_ns; /* when that was */
	uint8_t pad6[STOAI_HEADER_SIZE - 568 - STOAI_NAME_SIZE];
	char full_name
		[STOAI_NAME_SIZE]; /* of named ones, whole, with its NUL */
};

enum {
	STOAI_SLOT_FREE,
	STOAI_SLOT_LIVE
}; /* slot.state */

/* What other processes look at, so packed. Written by the owner unless said otherwise. */
struct stoai_slot {
	uint32_t state;
	uint32_t
		generation; /* 20 bits used; +1 when the slot is given up or recovered */
	uint64_t
		freeing; /* recycle barrier: the block whose free I am performing */
	uint64_t waiting; /* held word of the lock I sleep for, 0: none */
	uint64_t
		woken; /* offset of the condition whose wake-up I may have consumed */
	uint64_t regions; /* bit: I may own a span in that 64th of the heap */
	uint32_t
		tries; /* recoveries of this slot begun and not finished; by recoverers */
	uint32_t
		commits; /* transactions committed; checked mode and statistics */
	uint32_t pid, tid; /* from here on for people only */
	uint64_t pid_namespace;
	uint64_t since_ns, waiting_since_ns;
	uint32_t paged;    /* its lane has memory; set once */
	uint32_t step;     /* of its recovery, and how far it has come */
	uint64_t progress; /* where the last try began */
	uint32_t undone;   /* scopes undone; counted before, see image.c */
	uint8_t pad[128 - 100];
};

/*
 * held word: offset of the lock | mode, for which a lock's place has to be a multiple
 * of STOAI_LOCK_ALIGN. Stored before the lock word is touched and cleared after it was
 * given back, so it is the intent as well.
 *
 *	bits 63..56 mode / 8 | 55..48 count, of modes that have one | 47..3 offset
 *	bits 2..0 mode % 8
 */
enum {
	STOAI_HELD_EXCLUSIVE = 1,
	STOAI_HELD_SHARED = 2,
	STOAI_HELD_MUTEX = 3,
	STOAI_HELD_LEAVING = 4, /* gave it up; may still touch its memory */
	STOAI_HELD_UPGRADABLE = 5,
	/* as EXCLUSIVE and MUTEX, without a log: the next one is told of a death */
	STOAI_HELD_RAW = 6,
	STOAI_HELD_RAW_MUTEX = 7,
	/* no locks: what a thread has or is, with a count (sync/roll.c) */
	STOAI_HELD_PERMIT = 8, /* permits of a stoa_permits */
	STOAI_HELD_MEMBER = 9, /* in a stoa_barrier, and where it has arrived */
	STOAI_HELD_WATCH = 10, /* waits there, and elsewhere (sync/many.c) */
	STOAI_LOCK_ALIGN = 8
};

enum {                            /* flags_ of a lock that is held raw */
	STOAI_LOCK_DIED = 1 << 0, /* its holder did, and nobody has mended it */
	STOAI_LOCK_POISONED = 1
			      << 1 /* nobody is to have it until it is mended */
};

#define STOAI_HELD_OFFSET UINT64_C(0x0000fffffffffff8)

static inline uint64_t
stoai_held_off(uint64_t held)
{
	return held & STOAI_HELD_OFFSET;
}

static inline unsigned
stoai_held_mode(uint64_t held)
{
	return (unsigned)(held >> 56 << 3 | (held & 7));
}

/* Of a lock, not of what has a count? */
static inline bool
stoai_held_lock(unsigned mode)
{
	return mode && mode <= STOAI_HELD_RAW_MUTEX;
}

static inline bool
stoai_held_mutex(unsigned mode)
{
	return mode == STOAI_HELD_MUTEX || mode == STOAI_HELD_RAW_MUTEX;
}

/* Held so, its lock excludes all others. */
static inline bool
stoai_held_alone(unsigned mode)
{
	return mode == STOAI_HELD_EXCLUSIVE || mode == STOAI_HELD_RAW ||
	       stoai_held_mutex(mode);
}

static inline uint64_t
stoai_held_size(unsigned mode)
{
	return stoai_held_mutex(mode) ? sizeof(stoa_mutex)
				      : sizeof(stoa_rwlock);
}

enum {                        /* lane.state */
	STOAI_LANE_OPEN,      /* undo what is in the log */
	STOAI_LANE_COMMITTED, /* all locks held: mark the conditions signalled */
	STOAI_LANE_SIGNALLED, /* unlock, wake the sleepers, then free */
	STOAI_LANE_FREEING    /* all but the frees behind `done` is over */
};

/* A thread's log and locks. Nobody else touches it while its token is held. */
struct stoai_lane {
	uint32_t state;
	uint32_t taken; /* words claimed so far: between intent and claim + 1 */
	uint64_t cursor; /* end of the log; its start: empty */
	uint64_t done;   /* FREEING: up to here the frees are made */
	uint64_t held[STOAI_HELD_MAX];
	uint64_t log[]; /* to the token; records in segment/log.h */
};

enum {
	STOAI_LANE_LOG = 232,     /* where the log begins in a lane */
	STOAI_TOKEN_FROM_END = 8, /* the token is the lane's last u32 but one */
	STOAI_LANE_MIN = 512
};

/*
 * The token, at the edge of the slot's page:
 *	0                     free
 *	TID [| WAITERS]       held by a living thread, on libc's robust list
 *	OWNER_DIED [|WAITERS] marked by the kernel: dead, not yet recovered
 *	UNLISTED | TID [| WAITERS]   held, token-less: only the owner byte tells
 */
#define STOAI_TOKEN_WAITERS    UINT32_C(0x80000000)
#define STOAI_TOKEN_OWNER_DIED UINT32_C(0x40000000)
#define STOAI_TOKEN_UNLISTED   UINT32_C(0x20000000)
#define STOAI_TOKEN_TID        UINT32_C(0x1fffffff)

/*
 * What stands in a stoa_slots (slots.c): this, and behind it a header of which only the
 * live words are used, slots, lanes without a log. Zero: nobody has come yet.
 */
struct stoai_table {
	uint64_t file; /* which file has its owner bytes; decided by one CAS */
	uint64_t made; /* STOAI_TABLE_MADE: all the rest is there */
	uint64_t
		owners; /* where in that file; a multiple of 256, drawn by lot */
	uint64_t place,
		size; /* of the memory: the table's place in it, all of it */
	uint64_t pad[3];
};

#define STOAI_TABLE_MADE \
 UINT64_C(0x0131534c4f535489) /* 89 54 53 4f 4c 53 31 01 */

enum {
	STOAI_TABLE_SLOTS = 39,
	STOAI_TABLE_LANE = 256, /* held locks and the token */
	/* without struct stoai_table */
	STOAI_TABLE_SIZE =
		STOAI_HEADER_SIZE + STOAI_TABLE_SLOTS * (128 + STOAI_TABLE_LANE)
};

/* Where the owner bytes of a backing's file lie: beyond any content. */
#define STOAI_OWNER_BYTES (UINT64_C(1) << 62)
#define STOAI_USER_BYTE \
 (STOAI_OWNER_BYTES - 1) /* shared: has it open to write */
#define STOAI_READER_BYTE (STOAI_OWNER_BYTES - 2) /* shared: ... to read */
/* of the file of tables' owner bytes: exclusive, while a table is made */
#define STOAI_TABLE_BYTE (STOAI_OWNER_BYTES - 3)

STOA_STATIC_ASSERT(
	offsetof(struct stoai_header, sum) == STOAI_STATIC_SIZE - 8, "");
STOA_STATIC_ASSERT(offsetof(struct stoai_header, committed) == 320, "");
STOA_STATIC_ASSERT(offsetof(struct stoai_header, lock) == 384, "");
STOA_STATIC_ASSERT(offsetof(struct stoai_header, names) == 448, "");
STOA_STATIC_ASSERT(offsetof(struct stoai_header, refused_who) == 376, "");
STOA_STATIC_ASSERT(offsetof(struct stoai_header, blocks) == 512, "");
STOA_STATIC_ASSERT(sizeof(struct stoai_header) == STOAI_HEADER_SIZE, "");
STOA_STATIC_ASSERT(sizeof(struct stoai_slot) == 128, "");
STOA_STATIC_ASSERT(sizeof(struct stoai_lane) == STOAI_LANE_LOG, "");
STOA_STATIC_ASSERT(sizeof(struct stoai_table) == 64 &&
			   sizeof(struct stoai_table) + STOAI_TABLE_SIZE <=
				   sizeof(stoa_slots),
	"");
STOA_STATIC_ASSERT(STOAI_LANE_LOG + 24 <= STOAI_TABLE_LANE, "");
STOA_STATIC_ASSERT(_Alignof(stoa_rwlock) == STOAI_LOCK_ALIGN &&
			   _Alignof(stoa_mutex) == STOAI_LOCK_ALIGN &&
			   _Alignof(stoa_cond) == STOAI_LOCK_ALIGN,
	"");
STOA_STATIC_ASSERT(sizeof(stoa_rwlock) == 48 && sizeof(stoa_mutex) == 8, "");

#endif
