/* SPDX-License-Identifier: BSL-1.0 */
/* JSON of all objects, and reading by their types, without any check before it. */
#include "damage/stage.h"
#include "fuzz.h"
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct image image;
	struct verdict v = {0};
	struct attack a = {.v = &v};

	fuzz_image(&in, &image);
	stage_begin();
	stage_step("open");
	if (!image_open(&image, &a.seg)) {
		attack_read(&a);
		(void)stoa_segment_close(a.seg);
	}
	stage_end();
	return 0;
}
