/* SPDX-License-Identifier: BSL-1.0 */
/* Damage: what the parts of this folder share. README.md says how they fit. */
#ifndef TESTS_DAMAGE_DAMAGE_H
#define TESTS_DAMAGE_DAMAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "stoa/segment.h"

/* ---- seeds.c: valid segments ---- */

enum place_kind { /* what lies somewhere in a segment */
	PLACE_HEADER,
	PLACE_SLOT,
	PLACE_LANE,
	PLACE_RECORD,
	PLACE_SPAN, /* a word of the span table */
	PLACE_META,
	PLACE_CHUNK, /* at the end of a meta */
	PLACE_ROOT,
	PLACE_BUCKETS,
	PLACE_ENTRY,
	PLACE_STORED,
	PLACE_STR,
	PLACE_VEC,
	PLACE_HASHMAP,
	PLACE_BLOCK,
	PLACE_KINDS
};

struct place {
	enum place_kind kind;
	uint64_t off, size;
};

struct seed {
	const char *name;
	char *bytes;
	uint64_t size; /* of its file, or of its buffer */
	uint64_t room; /* address space that it wants */
	bool buffer;   /* made in a buffer; else in a file */
	bool heavy;    /* seldom chosen: it is large */
	struct place *place;
	size_t places;
	size_t first[PLACE_KINDS + 1]; /* of each kind in place[] */
	uint64_t *ref; /* where words lie that lead to a block */
	size_t refs;
	uint64_t answer; /* what its data say, undamaged */
};

/*
 * Makes them, the same ones each time; of fuzzers, which want to begin at once, only
 * the small ones in which one process at most has died. false: said why.
 */
bool seeds_make(bool small);
size_t seeds_count(void);
struct seed *seed_at(size_t i);

/* ---- image.c: one segment in its place ---- */

enum image_mode {
	IMAGE_BUFFER,   /* guarded memory of the caller's */
	IMAGE_FILE,     /* a memfd */
	IMAGE_READONLY, /* the same, opened for reading only */
	IMAGE_CHECKED,  /* the same, every transaction watched */
	IMAGE_MODES
};

struct image {
	const struct seed *seed;
	enum image_mode mode;
	char *bytes; /* where they can be changed */
	uint64_t size;
	int fd; /* the memfd; of a buffer: where owners are told */
};

/* A fresh copy of the seed. */
void
image_put(struct image *image, const struct seed *seed, enum image_mode mode);
/* The file or buffer ends earlier. */
void image_cut(struct image *image, uint64_t size);
int image_open(const struct image *image, stoa_segment **ret);

/* ---- damage.c ---- */

struct dice {
	uint64_t state;
};
uint64_t dice_roll(struct dice *d); /* 64 bits */
uint64_t dice_below(struct dice *d, uint64_t n);

/*
 * Image number `index` of a run: a seed, a mode, and what is done to it. `told`:
 * where each change is described; NULL: nowhere.
 */
void
damage_make(struct image *image, uint64_t seed, uint64_t index, FILE *told);
/* One change in a given image. */
void damage_once(struct image *image, struct dice *d, FILE *told);

/* ---- attack.c ---- */

struct verdict {
	int error;         /* the first that any call returned; 0: none */
	const char *doing; /* that call */
	char text[160];
	bool refused;      /* it could not be opened */
	uint64_t answer;   /* what the data say */
	bool inconsistent; /* no call failed, and yet what is left is not sound */
};

/* Everything that can be done to a segment. told: each error; NULL: nowhere. */
void attack(const struct image *image, FILE *told, struct verdict *ret);
/* The parts of it, for fuzzers. */
struct attack {
	stoa_segment *seg;
	struct verdict *v;
	FILE *told;
};
void attack_read(struct attack *a);
void attack_write(struct attack *a);

#endif
