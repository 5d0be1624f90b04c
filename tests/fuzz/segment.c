/* SPDX-License-Identifier: BSL-1.0 */
/* Open, recover, check, read, write a whole segment that the input damages. */
#include "damage/stage.h"
#include "fuzz.h"
#include <stdlib.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct image image;
	struct verdict v;

	fuzz_image(&in, &image);
	stage_begin();
	attack(&image, NULL, &v);
	stage_end();
	return 0;
}
