/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How does a short input damage a segment of a hundred kilobytes? It is a list of
 * patches on a valid one, which each process makes for itself when it begins:
 *
 *	seed, mode              two bytes
 *	patch: head             bits 0..2 length - 1, bit 3 blind
 *	       where            blind: an offset of 3 bytes; else 2 bytes choose a
 *	                        place (header, slot, record, entry, vector, ...)
 *	                        and one an 8th of a word in it
 *	       bytes            `length` of them
 *
 * So a mutation of an input is a small change of the damage, and the corpus is small.
 */
#include "fuzz.h"
#include "damage/stage.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
	PATCHES_MAX = 24,
	FILE_MAX = 192 << 20
};

uint8_t
input_byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

/* Before libFuzzer has threads, since the making forks. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct rlimit file = {FILE_MAX, FILE_MAX};

	(void)argc;
	(void)argv;
	(void)setrlimit(RLIMIT_FSIZE, &file);
	(void)signal(SIGXFSZ, SIG_IGN);
	stage_make();
	stage_aborts();
	if (!seeds_make(true))
		abort();
	return 0;
}

void
fuzz_patch(struct input *in, struct image *image, unsigned most)
{
	while (in->left && most--) {
		unsigned head = input_byte(in), length = (head & 7) + 1;
		uint64_t at = input_byte(in);

		at |= (uint64_t)input_byte(in) << 8;
		if (head & 8) {
			at |= (uint64_t)input_byte(in) << 16;
			at %= image->size;
		} else {
			const struct place *p =
				&image->seed->place[at % image->seed->places];

			at = p->off + input_byte(in) * UINT64_C(8) % p->size;
		}
		for (unsigned i = 0; i < length; i++) {
			uint8_t byte = input_byte(in);

			if (at + i < image->size)
				image->bytes[at + i] = (char)byte;
		}
	}
}

void
fuzz_image(struct input *in, struct image *image)
{
	size_t i = input_byte(in) % seeds_count();
	enum image_mode mode = input_byte(in) % IMAGE_MODES;

	while (!seed_at(i)->bytes)
		i = (i + 1) % seeds_count();
	image_put(image, seed_at(i), seed_at(i)->buffer ? IMAGE_BUFFER : mode);
	fuzz_patch(in, image, PATCHES_MAX);
}

void
fuzz_image_of(const char *name, struct image *image)
{
	size_t i = 0;

	while (strcmp(seed_at(i)->name, name) != 0)
		i++;
	image_put(image, seed_at(i), IMAGE_BUFFER);
}
