/* SPDX-License-Identifier: BSL-1.0 */
/* Vectors: of numbers, of strings, boxed, of what holds vectors. */
#include "damage/world.h"
#include "fuzz.h"

static void
play(stoa_tx *tx, const data *d, const zoo *z, struct input *in)
{
	unsigned what = input_byte(in), at = input_byte(in);
	size_t count = 0;
	uint64_t out;

	switch (what % 14) {
	case 0:
		(void)numbers_push(tx, &d->numbers, at);
		break;
	case 1:
		(void)numbers_insert(tx, &d->numbers, at % 8, at);
		break;
	case 2:
		(void)numbers_remove(tx, &d->numbers, at % 16);
		break;
	case 3:
		(void)numbers_pop(tx, &d->numbers, &out);
		break;
	case 4:
		numbers_resize(tx, &d->numbers, at * at / 4u);
		break;
	case 5:
		(void)numbers_data(tx, &d->numbers, &count);
		break;
	case 6:
		names_push(tx, &d->names, long_text + at % sizeof long_text);
		break;
	case 7:
		(void)names_remove(tx, &d->names, at % 8);
		break;
	case 8:
		STOA_SET(tx, boxes_add(tx, &d->boxes)->n, at);
		break;
	case 9:
		(void)boxes_remove(tx, &d->boxes, at % 8);
		break;
	case 10:
		numbers_push(tx, &labels_add(tx, &z->labels)->values, at);
		break;
	case 11:
		(void)labels_remove(tx, &z->labels, at % 4);
		break;
	case 12:
		names_push(tx, shelf_add(tx, &z->shelf), "a");
		break;
	default:
		shelf_resize(tx, &z->shelf, at % 5);
		break;
	}
}

#define FUZZ_PLAY play
#include "container.h"
