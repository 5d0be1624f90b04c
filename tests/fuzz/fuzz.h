/* SPDX-License-Identifier: BSL-1.0 */
/* What the fuzz targets share: an input is a list of patches. See patch.c. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H
#include "damage/damage.h"

struct input {
	const uint8_t *at;
	size_t left;
};

/* The next byte; 0 behind the end. */
uint8_t input_byte(struct input *in);
/* A segment chosen by the input, in a buffer or a file, with its patches. */
void fuzz_image(struct input *in, struct image *image);
/* Patches of the image alone, at most `most`. */
void fuzz_patch(struct input *in, struct image *image, unsigned most);
/* A given segment, by name, in a buffer. */
void fuzz_image_of(const char *name, struct image *image);

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
