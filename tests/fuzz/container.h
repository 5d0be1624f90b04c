/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The body of the targets of one container core each: FUZZ_PLAY(tx, world, input)
 * does with the container what the input says, in transactions, after the patches.
 * No include guard: once a target.
 */
#include "damage/stage.h"
#include "damage/world.h"
#include "fuzz.h"

enum {
	PATCHES = 6,
	STEPS = 40
};

int
LLVMFuzzerTestOneInput(const uint8_t *bytes_, size_t size)
{
	struct input in = {bytes_, size};
	struct image image;
	stoa_segment *seg = NULL;
	const data *d = NULL;
	const zoo *z = NULL;

	fuzz_image_of("objects", &image);
	fuzz_patch(&in, &image, PATCHES);
	stage_begin();
	stage_step("open");
	if (!image_open(&image, &seg)) {
		stage_step("use");
		if (!stoa_object_open(seg, "data", data, &d) &&
			!stoa_object_open(seg, "zoo", zoo, &z))
			for (int i = 0; i < STEPS && in.left; i++) {
				STOA_TX_UNTIL(tx, stoa_in_ms(500), seg);
				FUZZ_PLAY(tx, d, z, &in);
				if (input_byte(&in) & 1)
					(void)!stoa_tx_commit(tx);
				else
					(void)stoa_tx_fail(tx, -ECANCELED);
			}
		(void)stoa_segment_close(seg);
	}
	stage_end();
	return 0;
}
