/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does it cost to free a block that another has allocated?
 *
 * Role 0 allocates and sends, role 1 receives and frees, by a ring of words that
 * both poll; its price alone is the row "ring alone". One block's time is that of
 * the whole way, until the last one is freed. They are two processes; of private
 * heaps, for which there is no such thing, two threads.
 */
#include "blocks.h"
#include "works.h"

enum {
	SIZE = 64 << 20,
	RING = 1024 /* blocks on their way */
};

struct channel {
	uint64_t sent __attribute__((aligned(64)));
	uint64_t freed __attribute__((aligned(64)));
	uint64_t slot[RING] __attribute__((aligned(64)));
};

static struct channel *channel;

INLINE double
send_blocks(const struct heap *h, uint64_t ns)
{
	uint64_t from = measure_now(), sent = 0, freed = 0, now;

	do {
		for (int k = 0; k < 256; k++) {
			uint64_t block_ = h->alloc(BLOCK_SIZE);

			if (!block_)
				return -1;
			while (sent - freed == RING)
				freed = __atomic_load_n(
					&channel->freed, __ATOMIC_ACQUIRE);
			channel->slot[sent % RING] = block_;
			__atomic_store_n(
				&channel->sent, ++sent, __ATOMIC_RELEASE);
		}
		now = measure_now();
	} while (now - from < ns);
	while (__atomic_load_n(&channel->freed, __ATOMIC_ACQUIRE) != sent)
		;
	now = measure_now();
	channel->slot[sent % RING] = 0;
	__atomic_store_n(&channel->sent, sent + 1, __ATOMIC_RELEASE);
	return (double)(now - from) / (double)sent;
}

INLINE double
free_blocks(const struct heap *h)
{
	uint64_t freed = 0, sent = 0;

	for (;;) {
		uint64_t block_;

		while (sent == freed)
			sent = __atomic_load_n(
				&channel->sent, __ATOMIC_ACQUIRE);
		block_ = channel->slot[freed % RING];
		if (!block_)
			return 0;
		if (!h->free(block_))
			return -1;
		__atomic_store_n(&channel->freed, ++freed, __ATOMIC_RELEASE);
	}
}

static bool
channel_open(void)
{
	if (!channel)
		channel = measure_shared(sizeof *channel);
	return channel != NULL;
}

static uint64_t
nothing_alloc(size_t size)
{
	return size;
}

static bool
nothing_free(uint64_t block_)
{
	return block_ != 0;
}

static const struct heap nothing_heap = {
	.alloc = nothing_alloc, .free = nothing_free};

/* A run finds what the last one left. */
static bool
channel_reset(const struct heap *h, const struct measure_row *row, int role)
{
	(void)h;
	(void)row;
	if (role == 0)
		channel->sent = channel->freed = 0;
	return true;
}

/* All that was sent has been freed. */
static void
channel_left(const struct heap *h, const struct measure_row *row)
{
	(void)h;
	(void)row;
}

#define HANDED(which) \
 static double which##_handed( \
	 const struct measure_row *row, int role, uint64_t ns) \
 { \
  (void)row; \
  return role == 0 ? send_blocks(&which##_heap, ns) \
		   : free_blocks(&which##_heap); \
 } \
 HEAP_SIDE(which, SIZE, channel_open, channel_reset, channel_left)

HANDED(stoa);
HANDED(nothing);
HANDED(mimalloc);
HANDED(jemalloc);
HANDED(glibc_malloc);
#ifdef BENCH_PMDK
HANDED(pmdk);
#endif
#ifdef BENCH_BOOST
HANDED(boost);
#endif

#define ROW(p, which, t) \
 { \
  .work = "alloc here, free there", .peer = (p), .side = &which##_side, \
  .figure = which##_handed, .processes = 2, .threads = (t) \
 }
static const struct measure_row rows[] = {
	ROW("stoa", stoa, false),
	ROW("ring alone", nothing, false),
#ifdef BENCH_BOOST
	ROW("boost", boost, false),
#endif
	ROW("mimalloc, threads", mimalloc, true),
	ROW("jemalloc, threads", jemalloc, true),
	ROW("glibc, threads", glibc_malloc, true),
#ifdef BENCH_PMDK
	ROW("pmdk, threads", pmdk, true),
#endif
};

static const struct measure_goal goals[] = {
	{.work = "alloc here, free there", .peer = "boost", .goal = 10},
	{.work = "alloc here, free there",
		.peer = "mimalloc, threads",
		.goal = 1},
	{.work = "alloc here, free there",
		.peer = "jemalloc, threads",
		.goal = 1},
	{.work = "alloc here, free there", .peer = "glibc, threads", .goal = 1},
};

const struct measure_family handover_family =
	MEASURE_FAMILY("heap: handover", rows, goals);
