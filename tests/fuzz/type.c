/* SPDX-License-Identifier: BSL-1.0 */
/* The canonical text of a type, which comes from a segment: any bytes. */
#include "fuzz.h"
#include "object/object.h"
#include "object/parse.h"
#include "stoa/stoa.h"
#include <stdlib.h>

static const stoa_type *const targets[] = {&stoa_type_uint64_t,
	&stoa_type_stoa_str, &stoa_type_bool, &stoa_type_double};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stoai_parsed *p = NULL;

	if (stoai_parse((const char *)data, size, &p))
		return 0;
	for (uint32_t i = 0; i < p->target_count; i++)
		if (p->target[i])
			*p->target[i] = targets[(size + i) % 4];
	if (stoai_parsed_name(p) && !stoa_type_check(&p->type)) {
		char text[512];

		stoai_type_text(&p->type, text, sizeof text);
		if (!stoai_type_id(&p->type))
			abort(); /* it was checked */
	}
	free(p);
	return 0;
}
