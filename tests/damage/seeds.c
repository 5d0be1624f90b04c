/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which segments are damaged? Valid ones of every kind: what a segment is like
 * after quiet work, and after deaths at every stage of a transaction.
 *
 *	made     by a recipe: size, what is in it, and actors
 *	actors   processes that come to some point and are killed there, together
 *	tidied   what differs from run to run (pids, times) is made the same
 *	mapped   where its words and references lie: places.c
 *
 * The state COMMITTED and those behind it last for a few instructions only: a lane
 * that was killed OPEN with a whole transaction in its log is one that was killed
 * at the next store, once its state says so.
 */
#include "inside.h"
#include "heap/heap.h"
#include "segment/geometry.h"
#include "stage.h"
#include "world.h"
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ACTORS_MAX = 4,
	SETTLE_US = 120 * 1000, /* until who is to sleep sleeps */
	READY_MS = 20000,
	BIG = 40000
};

struct scene {
	stoa_segment *seg;
	const data *d;
	const zoo *z;
	int ready;
};

struct recipe {
	const char *name;
	uint64_t size, limit;
	uint32_t threads;
	uint32_t without;
	bool buffer, heavy;
	const stoa_index_class *index;
	void (*fill)(struct scene *s);
	void (*actor[ACTORS_MAX])(struct scene *s);
	uint32_t
		state; /* of the first actor's lane: its transaction is committed */
	void (*touch)(struct seed *s); /* last, by hand */
};

static const char *making = ""; /* the recipe */

#define MUST(x) ((x) ? (void)0 : must_failed(#x, __LINE__))

static void
must_failed(const char *what, int line)
{
	(void)fprintf(stderr, "seeds.c:%d: '%s': %s (%s)\n", line, making, what,
		stoa_error_text());
	_exit(1);
}

/* ---- what is in them ---- */

static void
find_all(struct scene *s)
{
	MUST(!stoa_object_open(s->seg, "data", data, &s->d));
	MUST(!stoa_object_open(s->seg, "zoo", zoo, &s->z));
}

static void
fill_data(struct scene *s, unsigned many)
{
	const data *d = s->d;

	STOA_TX(tx, s->seg, stoa_segment_lock(s->seg), &d->lock, &d->side);
	for (unsigned i = 0; i < many; i++) {
		char key[40];

		(void)snprintf(key, sizeof key, i % 2 ? "%u" : "%030u", i);
		list_add(tx, d, i);
		side_push(tx, d, i);
		numbers_push(tx, &d->numbers, i);
		names_push(tx, &d->names, key);
		STOA_SET(tx, boxes_add(tx, &d->boxes)->n, i);
		counts_put(tx, &d->counts, key, i);
		ids_put(tx, &d->ids, i * 7, (pair){i, ~(uint64_t)i});
		notes_put(tx, &d->notes, i, key);
		marks_put(tx, &d->marks, (uint64_t)i << 40);
		STOA_SET(tx, tallies_ensure(tx, &d->tallies, key)->n, i);
	}
	for (unsigned i = 0; i < many / 3; i++) {
		(void)ids_remove(tx, &d->ids, i * 14);
		(void)marks_remove(tx, &d->marks, (uint64_t)i * 2 << 40);
	}
	stoa_str_set(tx, &d->text, long_text);
	STOA_SET(tx, d->who, stoa_owner_self(tx));
	MUST(!stoa_tx_commit(tx));
}

static void
fill_zoo(struct scene *s, unsigned many)
{
	const zoo *z = s->z;

	STOA_TX(tx, s->seg, stoa_segment_lock(s->seg), &z->lock);
	STOA_SET(tx, z->yes, true);
	STOA_SET(tx, z->name, "abcdef");
	STOA_SET(tx, z->f, 0.5f);
	STOA_SET(tx, z->d[0], 1e300);
	stoa_str_set(tx, &z->texts[0], "short");
	stoa_str_set(tx, &z->texts[1], long_text);
	if (stoa_is_null(z->own))
		STOA_LINK(tx, z->own, stoa_new(tx, node));
	STOA_LINK(tx, z->twin, stoa_get(tx, z->own));
	for (unsigned i = 0; i < many; i++) {
		label *l = atlas_ensure(tx, &z->atlas,
			(point){.x = i, .layer = 1, .y = -(int64_t)i});

		stoa_str_set(tx, &l->long_text, long_text);
		numbers_push(tx, &l->values, i);
		l = labels_add(tx, &z->labels);
		numbers_push(tx, &l->values, i);
		names_push(tx, shelf_add(tx, &z->shelf), long_text);
		names_push(tx, bytes_ensure(tx, &z->bytes, (uint8_t)i), "b");
	}
	MUST(!stoa_tx_commit(tx));
}

static void
fill_little(struct scene *s)
{
	const pair *p = NULL;
	const names *n = NULL;

	MUST(!stoa_object_open(s->seg, "pair", pair, &p));
	MUST(!stoa_object_open(s->seg, NULL, names, &n));
	STOA_TX(tx, s->seg);
	STOA_SET(tx, p->a, 1);
	names_push(tx, n, long_text);
	MUST(!stoa_tx_commit(tx));
}

static void
fill_all(struct scene *s)
{
	const wide *w = NULL;
	const blob *b = NULL;
	const pair *p = NULL;

	find_all(s);
	fill_data(s, 6);
	if (stoa_is_null(s->z->own)) { /* an array, not one */
		STOA_TX(tx, s->seg);
		STOA_LINK(tx, s->z->own, stoa_new_array(tx, node, 3));
		MUST(!stoa_tx_commit(tx));
	}
	fill_zoo(s, 3);
	MUST(!stoa_object_open(s->seg, "a wide one", wide, &w));
	MUST(!stoa_object_open(s->seg, NULL, blob, &b));
	MUST(!stoa_object_open_array(s->seg, "five", pair, 5, &p));
}

static void
fill_more(struct scene *s)
{
	fill_all(s);
	fill_data(s, 60);
	fill_zoo(s, 20);
}

static void
many_numbers(struct scene *s, unsigned count)
{
	STOA_TX(tx, s->seg);
	numbers_resize(tx, &s->d->numbers, count);
	MUST(!stoa_tx_commit(tx));
}

static void
fill_large(struct scene *s)
{
	const numbers *n = NULL;

	fill_all(s);
	MUST(!stoa_object_open(s->seg, "large", numbers, &n));
	for (unsigned i = 1; i < 4; i++)
		many_numbers(s, i * 2000);
	STOA_TX(tx, s->seg);
	numbers_resize(tx, n, 3000);
	MUST(!stoa_tx_commit(tx));
}

/* Made, given back, trimmed: punched runs, empty and half empty slabs. */
static void
fill_freed(struct scene *s)
{
	fill_large(s);
	fill_data(s, 40);
	{
		STOA_TX(tx, s->seg);
		for (const node *n; (n = stoa_get(tx, s->d->side_list));) {
			STOA_LINK(tx, s->d->side_list, stoa_get(tx, n->next));
			STOA_LINK(tx, n->next, NULL);
			stoa_delete(tx, node, n);
			MUST(!stoa_tx_error(tx));
		}
		names_clear(tx, &s->d->names);
		numbers_resize(tx, &s->d->numbers, 3);
		stoa_object_destroy(tx, "large");
		MUST(!stoa_tx_commit(tx));
	}
	MUST(stoa_segment_trim(s->seg) >= 0);
}

static void
fill_full(struct scene *s)
{
	int rc = 0;

	fill_all(s);
	while (!rc)
		rc = STOA_DO(tx, (s->seg, &s->d->side), side_push(tx, s->d, 1));
	MUST(rc == -ENOSPC);
}

static void
fill_tiny(struct scene *s)
{
	const node *n = NULL;

	fill_little(s);
	MUST(!stoa_object_open(s->seg, "n", node, &n));
	STOA_TX(tx, s->seg);
	STOA_LINK(tx, n->next, stoa_new(tx, node));
	MUST(!stoa_tx_commit(tx));
}

/* ---- who dies in them ---- */

static void
ready(const struct scene *s)
{
	MUST(write(s->ready, "r", 1) == 1);
}

static void
stay(void)
{
	for (;;)
		(void)pause();
}

/* A transaction that does one of everything, not committed. */
static void
changes(stoa_tx *tx, const struct scene *s)
{
	const data *d = s->d;
	const node *n = stoa_get(tx, d->side_list);
	wide w = {{0}};

	w.word[3] = 7;
	STOA_SET(tx, d->word[0], 99);
	STOA_SET(tx, d->wide, w);
	list_add(tx, d, 77);
	if (n) {
		STOA_LINK(tx, d->side_list, stoa_get(tx, n->next));
		STOA_LINK(tx, n->next, NULL);
		stoa_delete(tx, node, n);
	}
	stoa_str_set(tx, &d->text, "another text, also longer than twenty-two");
	counts_put(tx, &d->counts, "fresh", 1);
	(void)ids_remove(tx, &d->ids, 7);
	numbers_push(tx, &d->numbers, 5);
	stoa_tx_signal(tx, &d->changed);
	MUST(!stoa_tx_error(tx));
}

static void
act_open(struct scene *s)
{
	STOA_TX(tx, s->seg, stoa_segment_lock(s->seg), &s->d->side);
	changes(tx, s);
	ready(s);
	stay();
}

/* The log goes on in chunks. */
static void
act_long(struct scene *s)
{
	STOA_TX(tx, s->seg, stoa_segment_lock(s->seg), &s->d->side);
	for (unsigned i = 0; i < 12; i++) {
		wide w = {{i}};
		{
			STOA_TX(inner, s->seg); /* so it is saved again */
			STOA_SET(inner, s->d->wide, w);
			MUST(!stoa_tx_commit(inner));
		}
		side_push(tx, s->d, i);
	}
	changes(tx, s);
	ready(s);
	stay();
}

/* Large blocks became longer and shorter, not committed. */
static void
act_resizes(struct scene *s)
{
	const void *p;

	STOA_TX(tx, s->seg, &s->d->side);
	p = stoa_alloc(tx, BIG, 0);
	p = stoa_resize(tx, p, 2 * BIG, 0);
	p = stoa_keep(tx, p, BIG / 2, BIG);
	stoa_free(tx, stoa_alloc(tx, 5000, 0));
	MUST(p && !stoa_tx_error(tx));
	ready(s);
	stay();
}

/* Blocks and runs that are nobody's yet. */
static void
act_transient(struct scene *s)
{
	struct stoai_cached block;
	struct stoai_seat *seat;

	MUST(!stoai_attach(s->seg, STOA_NOW, &seat));
	for (unsigned i = 0; i < 9; i++)
		MUST(!stoai_heap_alloc(seat, 24 + 40 * i, 16, &block));
	MUST(!stoai_heap_alloc(seat, BIG, 16, &block));
	ready(s);
	stay();
}

static void
act_attached(struct scene *s)
{
	MUST(!stoa_segment_attach(s->seg));
	ready(s);
	stay();
}

static void
act_mutex(struct scene *s)
{
	STOA_TX(tx, s->seg, &s->d->side);
	STOA_SET(tx, s->d->word[1], 5);
	MUST(!stoa_tx_error(tx));
	ready(s);
	stay();
}

static void
act_writer(struct scene *s)
{
	STOA_TX(tx, s->seg, &s->d->lock);
	STOA_SET(tx, s->d->word[2], 5);
	MUST(!stoa_tx_error(tx));
	ready(s);
	stay();
}

static void
act_reader(struct scene *s)
{
	STOA_READ(rd, s->seg, &s->d->lock, &s->z->lock);
	MUST(!stoa_tx_error(rd));
	ready(s);
	stay();
}

static void
act_waits_for_lock(struct scene *s)
{
	ready(s);
	STOA_TX(tx, s->seg, &s->d->lock);
	stay();
}

static void
act_waits_for_mutex(struct scene *s)
{
	ready(s);
	STOA_TX(tx, s->seg, &s->d->side);
	stay();
}

static void
act_waits_for_change(struct scene *s)
{
	STOA_TX(tx, s->seg);
	ready(s);
	for (;;) /* it may be woken for nothing */
		MUST(!stoa_tx_wait(tx, &s->d->changed, STOA_FOREVER));
}

/* ---- by hand ---- */

/* Two recoverers have died in it. */
static void
touch_tried(struct seed *s)
{
	for (uint32_t i = 0; i < seed_header(s)->slot_count; i++)
		if (*seed_token(s, i)) {
			seed_slot(s, i)->tries = 2;
			seed_slot(s, i)->step = 1;
		}
}

static void
touch_quarantined(struct seed *s)
{
	touch_tried(s);
	for (uint32_t i = 0; i < seed_header(s)->slot_count; i++)
		if (*seed_token(s, i)) {
			seed_slot(s, i)->tries = STOAI_TRIES_MAX + 1;
			seed_header(s)->flags |= STOAI_SEGMENT_DAMAGED;
			return;
		}
}

#define KIB *UINT64_C(1024)

static const struct recipe recipes[] = {
	{.name = "empty", .size = 32 KIB, .limit = 64 KIB, .threads = 3},
	{.name = "little",
		.size = 32 KIB,
		.limit = 32 KIB,
		.threads = 3,
		.fill = fill_little},
	{.name = "objects",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 3,
		.fill = fill_all},
	{.name = "more objects",
		.size = 256 KIB,
		.limit = 512 KIB,
		.threads = 3,
		.fill = fill_more},
	{.name = "large blocks",
		.size = 128 KIB,
		.limit = 256 KIB,
		.threads = 3,
		.fill = fill_large},
	{.name = "freed and trimmed",
		.size = 192 KIB,
		.limit = 256 KIB,
		.threads = 3,
		.fill = fill_freed},
	{.name = "grown",
		.size = 32 KIB,
		.limit = 512 KIB,
		.threads = 3,
		.fill = fill_large},
	{.name = "full",
		.size = 64 KIB,
		.limit = 64 KIB,
		.threads = 3,
		.fill = fill_full},
	{.name = "spans of 256 bytes",
		.size = 12 KIB,
		.buffer = true,
		.fill = fill_tiny},
	{.name = "small buffer",
		.size = 128 KIB,
		.buffer = true,
		.fill = fill_all},
	{.name = "spans of 16 KiB",
		.size = 1024 KIB,
		.limit = 1024 KIB,
		.threads = 3,
		.fill = fill_all},
	{.name = "spans of 64 KiB",
		.size = 65536 KIB,
		.limit = 65536 KIB,
		.threads = 3,
		.heavy = true,
		.fill = fill_large},
	{.name = "dead: in a resize",
		.size = 256 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_resizes}},
	{.name = "dead: attached",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_attached}},
	{.name = "dead: log open",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_open}},
	{.name = "dead: committed",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_open},
		.state = STOAI_LANE_COMMITTED},
	{.name = "dead: signalled",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_open},
		.state = STOAI_LANE_SIGNALLED},
	{.name = "dead: freeing",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_long},
		.state = STOAI_LANE_FREEING},
	{.name = "dead: log in chunks",
		.size = 128 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_long}},
	{.name = "dead: transient blocks",
		.size = 192 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_transient}},
	{.name = "dead: holder and waiters",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_waits_for_change, act_open, act_waits_for_mutex}},
	{.name = "dead: readers and a writer behind",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 6,
		.fill = fill_all,
		.actor = {act_reader, act_reader, act_waits_for_lock,
			act_waits_for_lock}},
	{.name = "dead: writer and mutex",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_mutex, act_writer, act_waits_for_lock}},
	{.name = "dead: without tokens",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.without = STOA_WITHOUT_TOKENS,
		.fill = fill_all,
		.actor = {act_open, act_waits_for_mutex}},
	{.name = "dead: in a buffer",
		.size = 128 KIB,
		.buffer = true,
		.fill = fill_all,
		.actor = {act_open, act_waits_for_mutex}},
	{.name = "dead: slots all taken",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 3,
		.fill = fill_all,
		.actor = {act_open, act_reader, act_attached}},
	{.name = "dead: two recoverers too",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_long},
		.touch = touch_tried},
	{.name = "quarantined",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 5,
		.fill = fill_all,
		.actor = {act_mutex, act_transient},
		.touch = touch_quarantined},
	{.name = "ordered index",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 3,
		.index = &stoa_index_ordered,
		.fill = fill_all},
	{.name = "sorted index",
		.size = 96 KIB,
		.limit = 256 KIB,
		.threads = 3,
		.index = &stoa_index_sorted,
		.fill = fill_all},
};

enum {
	SEEDS = sizeof recipes / sizeof recipes[0]
};
static struct seed seeds[SEEDS];

/* ---- the making ---- */

static void
options_of(
	const struct recipe *r, int fd, void *buffer, stoa_segment_options *ret)
{
	*ret = (stoa_segment_options){.struct_size = sizeof *ret,
		.size = r->size,
		.limit = r->limit,
		.threads = r->threads,
		.without = r->without,
		.index = r->index,
		.buffer = buffer,
		.fd = fd};
}

/* Actors do not look for the objects: somebody may have the names already. */
static uint64_t data_off, zoo_off;

static void
offsets_find(const struct recipe *r, stoa_segment *seg)
{
	struct scene s = {.seg = seg};

	if (!r->actor[0])
		return;
	find_all(&s);
	data_off = stoai_off(seg, s.d);
	zoo_off = stoai_off(seg, s.z);
}

static void
start(const struct recipe *r, int k, int fd, void *buffer, int ends[2],
	pid_t *ret)
{
	stoa_segment_options o;
	struct scene s = {.ready = ends[1]};

	options_of(r, fd, buffer, &o);
	*ret = fork();
	MUST(*ret >= 0);
	if (*ret)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	MUST(!stoa_segment_open(NULL, 0, &o, &s.seg));
	s.d = stoai_at(s.seg, data_off);
	s.z = stoai_at(s.seg, zoo_off);
	r->actor[k](&s);
	_exit(1);
}

/* Each comes to its point, one after the other; then all are killed. */
static void
play(const struct recipe *r, int fd, void *buffer)
{
	pid_t pid[ACTORS_MAX] = {0};
	int ends[2];

	MUST(!pipe(ends));
	for (int k = 0; k < ACTORS_MAX && r->actor[k]; k++) {
		struct pollfd wait = {.fd = ends[0], .events = POLLIN};
		char letter;

		start(r, k, fd, buffer, ends, &pid[k]);
		MUST(poll(&wait, 1, READY_MS) == 1);
		MUST(read(ends[0], &letter, 1) == 1);
		if (r->actor[1])
			(void)usleep(SETTLE_US);
	}
	for (int k = 0; k < ACTORS_MAX && pid[k]; k++)
		(void)kill(pid[k], SIGKILL);
	for (int k = 0; k < ACTORS_MAX && pid[k]; k++)
		(void)waitpid(pid[k], NULL, 0);
	close(ends[0]);
	close(ends[1]);
}

/* What differs from run to run, and from machine to machine. */
static void
tidy(struct seed *s)
{
	struct stoai_header *h = seed_header(s);

	h->created_ns = 1;
	h->sum = stoai_geometry_sum(h);
	for (uint32_t i = 0; i < h->slot_count; i++) {
		struct stoai_slot *slot = seed_slot(s, i);
		uint32_t *token;

		slot->pid_namespace = 4026531836;
		slot->since_ns = slot->pid ? 1 : 0;
		slot->waiting_since_ns = slot->waiting ? 1 : 0;
		slot->pid = slot->tid = slot->pid ? 1000 + i : 0;
		if (!slot->paged)
			continue;
		token = seed_token(s, i);
		if (*token & STOAI_TOKEN_TID)
			*token = (*token & ~STOAI_TOKEN_TID) | (1000 + i);
	}
}

static void
commit_by_hand(const struct recipe *r, struct seed *s)
{
	const struct stoai_header *h = seed_header(s);

	for (uint32_t i = 0; r->state && i < h->slot_count; i++) {
		struct stoai_lane *lane = seed_lane(s, i);

		if (!seed_slot(s, i)->paged || !*seed_token(s, i))
			continue;
		lane->state = r->state;
		lane->done = h->lanes_off + (uint64_t)i * h->lane_stride +
			     STOAI_LANE_LOG;
		return;
	}
}

static void
seed_finish(const struct recipe *r, struct seed *s, const void *from)
{
	s->bytes = malloc(s->size);
	MUST(s->bytes);
	memcpy(s->bytes, from, s->size);
	s->room = seed_header(s)->reserve;
	tidy(s);
	commit_by_hand(r, s);
	if (r->touch)
		r->touch(s);
	places_finish(s);
}

/* In a process of its own, of which only the segment is left. */
static void
make_healthy(const struct recipe *r, int fd, void *buffer)
{
	stoa_segment_options o;
	struct scene s = {0};
	int status = -1;
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid) {
		MUST(waitpid(pid, &status, 0) == pid && !status);
		return;
	}
	options_of(r, fd, buffer, &o);
	MUST(!stoa_segment_open(NULL, STOA_CREATE, &o, &s.seg));
	if (r->fill)
		r->fill(&s);
	MUST(!stoa_segment_check(s.seg) && !stoa_segment_leaked(s.seg));
	(void)stoa_segment_close(s.seg);
	_exit(0);
}

static void
seed_make(const struct recipe *r, struct seed *s)
{
	int fd = memfd_create(r->name, MFD_CLOEXEC);
	stoa_segment *seg = NULL;
	stoa_segment_options o;
	void *at = NULL;

	s->name = making = r->name;
	s->buffer = r->buffer;
	s->heavy = r->heavy;
	MUST(fd > 0);
	if (r->buffer) {
		at = mmap(NULL, r->size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		MUST(at != MAP_FAILED);
	}
	make_healthy(r, fd, at);
	s->size = r->buffer ? r->size : (uint64_t)lseek(fd, 0, SEEK_END);
	options_of(r, fd, at, &o);
	MUST(!stoa_segment_open(NULL, 0, &o, &seg));
	MUST(places_of_heap(s, seg));
	offsets_find(r, seg);
	(void)stoa_segment_close(seg);
	play(r, fd, at);
	s->size = r->buffer ? r->size : (uint64_t)lseek(fd, 0, SEEK_END);
	if (!at) {
		at = mmap(NULL, s->size, PROT_READ, MAP_SHARED, fd, 0);
		MUST(at != MAP_FAILED);
	}
	seed_finish(r, s, at);
	(void)munmap(at, s->size);
	(void)close(fd);
}

bool
seeds_make(bool small)
{
	stage_random(1);
	for (size_t i = 0; i < SEEDS; i++) {
		/* this one is told to be hopeless, and says so */
		bool sound = recipes[i].touch != touch_quarantined;
		struct image image = {0};
		struct verdict v;

		if (small && (recipes[i].heavy || recipes[i].actor[1]))
			continue;
		seed_make(&recipes[i], &seeds[i]);
		image_put(&image, &seeds[i],
			seeds[i].buffer ? IMAGE_BUFFER : IMAGE_FILE);
		stage_begin();
		attack(&image, sound ? stderr : NULL, &v);
		stage_end();
		seeds[i].answer = v.answer;
		if (sound && (v.error || v.inconsistent)) {
			(void)fprintf(stderr,
				"the segment '%s' is not sound to begin with: "
				"%s: %s\n",
				seeds[i].name, v.doing, v.text);
			return false;
		}
	}
	return true;
}

size_t
seeds_count(void)
{
	return SEEDS;
}

struct seed *
seed_at(size_t i)
{
	return &seeds[i];
}
