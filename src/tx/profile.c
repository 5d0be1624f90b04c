/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Who allocates, and what of it is there yet? A profile of this process's allocations in
 * one segment, by the stacks that made them.
 *
 *	allocation ---- every N bytes ----> sample   block -> site, bytes it stands for
 *	free ---- is the block sampled? --> gone     of the site's live bytes
 *	site                                a stack, with its sums
 *
 * All of it is private memory; nothing shared is written. Off, it is one test of a word
 * of the local segment for a block made or freed.
 *
 * Distances between samples are drawn evenly from 1 to 2N - 1, so that no rhythm of the
 * program meets theirs; N on average, so each crossing stands for N bytes. What is
 * larger than N crosses size / N times for certain. N is 1: every block, exactly.
 *
 * A sample goes before its block is freed: afterwards the block may be somebody's, and
 * sampled, again. What other processes free is found when the profile is written: no
 * published block is there; or never, when they made another one in its place.
 *
 * A fork child has the pages and not the profile: its process is another one.
 */
#include <stdlib.h>
#include "base/hash.h"
#include "heap/block.h"
#include "os/os.h"
#include "stoa/heapstat.h"
#include "tx/local.h"

enum {
	FRAMES = 48,
	TABLE_MIN = 64,
	BYTES = 512 << 10,
	TEXT = 256
};

struct site {
	uint64_t hash;
	double live, live_bytes, all, all_bytes;
	uint32_t depth;
	void *frame[FRAMES]; /* the innermost first */
};

struct sample {
	uint64_t off; /* 0: none */
	uint64_t bytes;
	double count; /* of blocks, that it stands for */
	size_t site;
};

struct profile {
	pthread_mutex_t mutex;
	uint64_t process, bytes;
	struct site *site;
	size_t sites, sites_room;
	size_t *index; /* of sites by hash: + 1; a power of two, at most half full */
	size_t index_room;
	struct sample *sample; /* by off; the same */
	size_t samples, samples_room;
};

static STOAI_THREAD struct {
	uint64_t bytes; /* for which `left` was drawn */
	uint64_t left, random;
} distance;

/* ---- which one is sampled ---- */

static void
distance_draw(uint64_t bytes)
{
	if (!distance.random)
		distance.random = (stoai_os_now() ^ (uintptr_t)&distance) *
					  UINT64_C(0x9e3779b97f4a7c15) |
				  1;
	distance.random ^= distance.random << 13;
	distance.random ^= distance.random >> 7;
	distance.random ^= distance.random << 17;
	distance.bytes = bytes;
	distance.left = 1 + distance.random % (2 * bytes - 1);
}

/* How often so many bytes cross the next distance. */
static uint64_t
crossings(uint64_t bytes, uint64_t size)
{
	uint64_t n = size / bytes;

	if (distance.bytes != bytes)
		distance_draw(bytes);
	for (size %= bytes; size >= distance.left; n++) {
		size -= distance.left;
		distance_draw(bytes);
	}
	distance.left -= size;
	return n;
}

/* ---- the tables ---- */

static size_t
place_of_hash(uint64_t key, size_t room)
{
	return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (room - 1);
}

static size_t
sample_find(const struct profile *p, uint64_t off)
{
	size_t i = place_of_hash(off, p->samples_room);

	while (p->sample[i].off && p->sample[i].off != off)
		i = (i + 1) & (p->samples_room - 1);
	return i;
}

static bool
samples_grow(struct profile *p)
{
	size_t room = p->samples_room ? p->samples_room * 2 : TABLE_MIN;
	struct profile old = *p;
	struct sample *table = calloc(room, sizeof *table);

	if (!table)
		return false;
	p->sample = table;
	p->samples_room = room;
	for (size_t i = 0; i < old.samples_room; i++)
		if (old.sample[i].off)
			p->sample[sample_find(p, old.sample[i].off)] =
				old.sample[i];
	free(old.sample);
	return true;
}

/* Of the table, and what it stands for is not live any more. */
static void
sample_drop(struct profile *p, size_t i)
{
	size_t mask = p->samples_room - 1, next = i;
	struct site *s = &p->site[p->sample[i].site];

	s->live -= p->sample[i].count;
	s->live_bytes -= (double)p->sample[i].bytes;
	p->samples--;
	/* whoever was pushed on by it moves back */
	for (;;) {
		size_t want;

		next = (next + 1) & mask;
		if (!p->sample[next].off)
			break;
		want = place_of_hash(p->sample[next].off, p->samples_room);
		if (((next - want) & mask) < ((next - i) & mask))
			continue;
		p->sample[i] = p->sample[next];
		i = next;
	}
	p->sample[i] = (struct sample){0};
}

static bool
site_is(const struct site *s, uint64_t hash, void **frame, uint32_t depth)
{
	return s->hash == hash && s->depth == depth &&
	       !memcmp(s->frame, frame, depth * sizeof *frame);
}

static bool
site_index_grow(struct profile *p)
{
	size_t room = p->index_room ? p->index_room * 2 : TABLE_MIN;
	size_t *index = calloc(room, sizeof *index);

	if (!index)
		return false;
	for (size_t i = 0; i < p->sites; i++) {
		size_t at = place_of_hash(p->site[i].hash, room);

		while (index[at])
			at = (at + 1) & (room - 1);
		index[at] = i + 1;
	}
	free(p->index);
	p->index = index;
	p->index_room = room;
	return true;
}

static bool
sites_grow(struct profile *p)
{
	size_t room = p->sites_room ? p->sites_room * 2 : TABLE_MIN / 2;
	struct site *site = realloc(p->site, room * sizeof *site);

	if (!site)
		return false;
	p->site = site;
	p->sites_room = room;
	return true;
}

/* The site of that stack, made if there is none; false: no memory. */
static bool
site_get(struct profile *p, void **frame, uint32_t depth, size_t *ret)
{
	uint64_t hash = stoai_hash(frame, depth * sizeof *frame, 1);
	size_t at;

	if (p->sites * 2 >= p->index_room && !site_index_grow(p))
		return false;
	for (at = place_of_hash(hash, p->index_room); p->index[at];
		at = (at + 1) & (p->index_room - 1)) {
		*ret = p->index[at] - 1;
		if (site_is(&p->site[*ret], hash, frame, depth))
			return true;
	}
	if (p->sites == p->sites_room && !sites_grow(p))
		return false;
	*ret = p->sites++;
	p->index[at] = p->sites;
	p->site[*ret] = (struct site){.hash = hash, .depth = depth};
	memcpy(p->site[*ret].frame, frame, depth * sizeof *frame);
	return true;
}

static void
sample_add(struct profile *p, uint64_t off, double count, uint64_t bytes,
	size_t site)
{
	struct site *s = &p->site[site];
	size_t i = sample_find(p, off);

	if (p->sample[i].off) { /* another process freed it */
		sample_drop(p, i);
		i = sample_find(p, off);
	}
	p->sample[i] = (struct sample){off, bytes, count, site};
	p->samples++;
	s->live += count;
	s->all += count;
	s->live_bytes += (double)bytes;
	s->all_bytes += (double)bytes;
}

/* ---- asked by transactions ---- */

__attribute__((noinline)) void
stoai_profile_alloc(stoa_segment *seg, uint64_t off, uint64_t size)
{
	struct profile *p = ap_load_acquire(&seg->profile);
	uint64_t bytes = p ? a64_load_relaxed(&p->bytes) : 0;
	uint64_t n = bytes ? crossings(bytes, stoai_max(size, 1)) : 0;
	void *const caller = __builtin_return_address(0);
	void *frame[FRAMES + 4];
	int depth, from = 0;
	size_t site;

	if (!n || p->process != stoai_os_process())
		return;
	depth = stoai_os_stack(frame, FRAMES + 4);
	if (depth <= 0)
		return;
	while (from < depth && frame[from] != caller)
		from++;
	from = from < depth ? from : 0; /* without the frames of this file */
	depth = depth - from < FRAMES ? depth - from : FRAMES;
	pthread_mutex_lock(&p->mutex);
	if ((p->samples * 2 < p->samples_room || samples_grow(p)) &&
		site_get(p, frame + from, (uint32_t)depth, &site))
		sample_add(p, off,
			(double)(n * bytes) / (double)stoai_max(size, 1),
			n * bytes, site);
	pthread_mutex_unlock(&p->mutex);
}

void
stoai_profile_free(const stoa_segment *seg, uint64_t off)
{
	struct profile *p = ap_load_acquire(&seg->profile);
	size_t i;

	if (!p || p->process != stoai_os_process())
		return;
	pthread_mutex_lock(&p->mutex);
	if (p->samples) {
		i = sample_find(p, off);
		if (p->sample[i].off)
			sample_drop(p, i);
	}
	pthread_mutex_unlock(&p->mutex);
}

/* ---- on and off ---- */

static void
profile_clear(struct profile *p)
{
	free(p->site);
	free(p->index);
	free(p->sample);
	p->site = NULL;
	p->index = NULL;
	p->sample = NULL;
	p->sites = p->sites_room = p->index_room = 0;
	p->samples = p->samples_room = 0;
}

static void
profile_free(struct profile *p)
{
	profile_clear(p);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}

/* The segment's, which stays: a thread may be about to sample. NULL: no memory. */
static struct profile *
profile_get(stoa_segment *seg)
{
	struct profile *p = ap_load_acquire(&seg->profile), *made;
	void *none = p;

	/* of a fork child's ancestor: its mutex may be held for ever */
	if (p && p->process == stoai_os_process())
		return p;
	made = calloc(1, sizeof *made);
	if (!made)
		return NULL;
	pthread_mutex_init(&made->mutex, NULL);
	made->process = stoai_os_process();
	made->bytes = BYTES;
	if (ap_cas_seq_cst(&seg->profile, &none, made))
		return made;
	profile_free(made);
	return none;
}

int
stoa_heap_profile_start(stoa_segment *seg, uint64_t bytes)
{
	struct profile *p;
	void *frame[2];

	stoai_error_clear();
	if (!seg || bytes > INT64_MAX)
		return stoai_error(-EINVAL, "stoa_heap_profile_start: %s",
			seg ? "too many bytes a sample" : "seg is NULL");
	/* the first time, libc may load what it needs for it */
	if (stoai_os_stack(frame, 2) < 0)
		return stoai_error(
			-ENOTSUP, "no profile: this libc has no backtrace()");
	p = profile_get(seg);
	if (!p)
		return stoai_error(-ENOMEM, "out of memory");
	pthread_mutex_lock(&p->mutex);
	profile_clear(p);
	a64_store_relaxed(&p->bytes, bytes ? bytes : BYTES);
	pthread_mutex_unlock(&p->mutex);
	a32_store_release(&seg->profiled, 1);
	return 0;
}

void
stoa_heap_profile_stop(stoa_segment *seg)
{
	if (seg)
		a32_store_release(&seg->profiled, 0);
}

void
stoai_profile_segment_end(stoa_segment *seg)
{
	if (seg->profile)
		profile_free(seg->profile);
	seg->profile = NULL;
	seg->profiled = 0;
}

/* ---- written ---- */

static bool
still_there(stoa_segment *seg, uint64_t off)
{
	struct stoai_block b;

	if (!stoai_block_find(seg, off, &b) ||
		!stoai_lent_block(seg, off, &b) || b.off != off ||
		!stoai_block_allocated(&b))
		return false;
	return stoai_span_state(b.word) == STOAI_SPAN_LARGE
		       ? (b.word & STOAI_SPAN_PUBLISHED) != 0
		       : (a64_load_relaxed(&b.bits->pub) & b.bit) != 0;
}

/* What other processes freed. A sample that moves back is looked at again. */
static void
drop_the_freed(stoa_segment *seg, struct profile *p)
{
	for (size_t i = 0; i < p->samples_room;)
		if (p->sample[i].off && !still_there(seg, p->sample[i].off))
			sample_drop(p, i);
		else
			i++;
}

static unsigned long long
whole(double n)
{
	return n > 0 ? (unsigned long long)(n + 0.5) : 0;
}

static void
write_collapsed(const struct profile *p, bool live, FILE *out)
{
	char text[TEXT];

	for (size_t i = 0; i < p->sites; i++) {
		const struct site *s = &p->site[i];
		unsigned long long n =
			whole(live ? s->live_bytes : s->all_bytes);

		for (uint32_t f = n ? s->depth : 0; f-- > 0;) {
			stoai_os_frame_text(s->frame[f], text, sizeof text);
			(void)fprintf(out, "%s%s", text, f ? ";" : "");
		}
		if (n)
			(void)fprintf(out, " %llu\n", n);
	}
}

static void
write_sums(const struct site *s, FILE *out)
{
	(void)fprintf(out, "%llu: %llu [%llu: %llu] @", whole(s->live),
		whole(s->live_bytes), whole(s->all), whole(s->all_bytes));
}

static int
write_pprof(const struct profile *p, FILE *out)
{
	struct site sum = {0};

	for (size_t i = 0; i < p->sites; i++) {
		sum.live += p->site[i].live;
		sum.live_bytes += p->site[i].live_bytes;
		sum.all += p->site[i].all;
		sum.all_bytes += p->site[i].all_bytes;
	}
	(void)fputs("heap profile: ", out);
	write_sums(&sum, out);
	(void)fputs(" heapprofile\n", out);
	for (size_t i = 0; i < p->sites; i++) {
		const struct site *s = &p->site[i];

		write_sums(s, out);
		for (uint32_t f = 0; f < s->depth; f++)
			(void)fprintf(out, " %p", s->frame[f]);
		(void)fputc('\n', out);
	}
	(void)fputs("\nMAPPED_LIBRARIES:\n", out);
	return stoai_os_maps(out);
}

int
stoa_heap_profile_write(
	stoa_segment *seg, stoa_heap_profile_format format, FILE *out)
{
	struct profile *p = seg ? ap_load_acquire(&seg->profile) : NULL;
	int rc = 0;

	stoai_error_clear();
	if (!p || !out || format > STOA_PROFILE_PPROF ||
		p->process != stoai_os_process())
		return stoai_error(-EINVAL, "stoa_heap_profile_write: %s",
			!seg   ? "seg is NULL"
			: !out ? "out is NULL"
			: format > STOA_PROFILE_PPROF
				? "there is no such format"
				: "this process has no profile of it: "
				  "stoa_heap_profile_start begins one");
	pthread_mutex_lock(&p->mutex);
	drop_the_freed(seg, p);
	if (format == STOA_PROFILE_PPROF)
		rc = write_pprof(p, out);
	else
		write_collapsed(p, format == STOA_PROFILE_LIVE, out);
	pthread_mutex_unlock(&p->mutex);
	if (rc || fflush(out) || ferror(out))
		return stoai_error(rc ? rc : -EIO,
			"%s: its profile could not be written",
			stoai_name(seg));
	return 0;
}
