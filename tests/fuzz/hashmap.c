/* SPDX-License-Identifier: BSL-1.0 */
/* Hash maps: keys of every class, boxed values, values that own memory. */
#include "damage/world.h"
#include "fuzz.h"

static void
iterate(stoa_tx *tx, const data *d, unsigned remove)
{
	for (ids_iter i = ids_begin(tx, &d->ids); ids_next(&i);)
		if (i.key % 4 == remove)
			ids_remove_at(tx, &i);
	for (tallies_iter i = tallies_begin(tx, &d->tallies); tallies_next(&i);)
		(void)strlen(i.key);
}

static void
play(stoa_tx *tx, const data *d, const zoo *z, struct input *in)
{
	unsigned what = input_byte(in), at = input_byte(in);
	const char *text = long_text + at % sizeof long_text;
	point p = {.x = at % 8, .layer = 1, .y = -(int64_t)(at % 8)};

	switch (what % 16) {
	case 0:
		(void)counts_put(tx, &d->counts, text, at);
		break;
	case 1:
		(void)counts_remove(tx, &d->counts, at & 1 ? text : "1");
		break;
	case 2:
		(void)ids_put(tx, &d->ids, at, (pair){at, 1});
		break;
	case 3:
		(void)ids_remove(tx, &d->ids, at % 8 * 7);
		break;
	case 4:
		notes_put(tx, &d->notes, at, text);
		break;
	case 5:
		(void)notes_remove(tx, &d->notes, at % 8);
		break;
	case 6:
		marks_put(tx, &d->marks, at);
		break;
	case 7:
		marks_clear(tx, &d->marks);
		break;
	case 8:
		(void)tallies_ensure(tx, &d->tallies, text);
		break;
	case 9:
		(void)tallies_remove(tx, &d->tallies, at & 1 ? text : "1");
		break;
	case 10:
		ids_reserve(tx, &d->ids, at * 4u);
		break;
	case 11:
		iterate(tx, d, at % 5);
		break;
	case 12:
		numbers_push(tx, &atlas_ensure(tx, &z->atlas, p)->values, at);
		break;
	case 13:
		(void)atlas_remove(tx, &z->atlas, p);
		break;
	case 14:
		names_push(tx, bytes_ensure(tx, &z->bytes, (uint8_t)at), "b");
		break;
	default:
		bytes_clear(tx, &z->bytes);
		break;
	}
}

#define FUZZ_PLAY play
#include "container.h"
