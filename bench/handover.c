/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What does it cost to free a block that another process has allocated?
 *
 * Role 0 allocates and sends, role 1 receives and frees, by a ring of words that
 * both poll; its price alone is the row "ring alone". One block's time is that of
 * the whole way, until the last one is freed.
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

static const struct heap nothing_heap = {nothing_alloc, nothing_free};

/* A run finds what the last one left. */
static void
channel_reset(int role)
{
	if (role == 0)
		channel->sent = channel->freed = 0;
}

static bool
start_nothing(const struct measure_row *row, int role)
{
	(void)row;
	channel_reset(role);
	return true;
}

static bool
start_ours(const struct measure_row *row, int role)
{
	channel_reset(role);
	return ours_start(row, role);
}

static bool
open_ours(void)
{
	return channel_open() && ours_open(SIZE);
}

#define HANDED(which, h) \
 static double which(const struct measure_row *row, int role, uint64_t ns) \
 { \
  (void)row; \
  return role == 0 ? send_blocks(&(h), ns) : free_blocks(&(h)); \
 } \
 static const struct measure_side which##_side

HANDED(nothing, nothing_heap) = {.open = channel_open, .start = start_nothing};
HANDED(ours, ours_heap) = {.open = open_ours,
	.start = start_ours,
	.stop = ours_stop,
	.close = ours_close};
#ifdef BENCH_BOOST
static bool
open_boost(void)
{
	return channel_open() && boost_open(SIZE);
}

static bool
start_boost(const struct measure_row *row, int role)
{
	channel_reset(role);
	return boost_start(row, role);
}

HANDED(boost, boost_heap) = {
	.open = open_boost, .start = start_boost, .close = boost_close};
#endif

#define ROW(p, which) \
 { \
  .work = "alloc here, free there", .peer = (p), .side = &which##_side, \
  .figure = which, .processes = 2 \
 }
static const struct measure_row rows[] = {
	ROW("stoa", ours),
	ROW("ring alone", nothing),
#ifdef BENCH_BOOST
	ROW("boost", boost),
#endif
};

static const struct measure_goal goals[] = {
	{.work = "alloc here, free there", .peer = "boost", .goal = 5},
};

const struct measure_family handover_family =
	MEASURE_FAMILY("handover", rows, goals);
