/* SPDX-License-Identifier: BSL-1.0 */
/* Strings: inline, in blocks, appended to themselves. */
#include "damage/world.h"
#include "fuzz.h"

static void
play(stoa_tx *tx, const data *d, const zoo *z, struct input *in)
{
	unsigned what = input_byte(in), at = input_byte(in);
	const stoa_str *s = at & 1 ? &d->text : &z->texts[at >> 1 & 1];

	switch (what % 6) {
	case 0:
		stoa_str_set(tx, s, long_text + at % sizeof long_text);
		break;
	case 1:
		stoa_str_setn(tx, s, long_text, at % sizeof long_text);
		break;
	case 2:
		stoa_str_append(tx, s, stoa_str_get(tx, s));
		break;
	case 3:
		stoa_str_printf(tx, s, "%u %s", at, stoa_str_get(tx, &d->text));
		break;
	case 4:
		(void)strlen(stoa_str_get(tx, s));
		break;
	default:
		stoa_str_set(tx, s, "");
		break;
	}
}

#define FUZZ_PLAY play
#include "container.h"
