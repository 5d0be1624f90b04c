/* SPDX-License-Identifier: BSL-1.0 */
/* copying a struct that owns memory into a container */
/* says: it_owns_memory_so_fill_it_in_place */
#include "mistake.h"

typedef struct person {
	uint64_t id;
	stoa_str name;
} person;
STOA_TYPE(person, id, name);

#define STOA_NAME people
#define STOA_VAL  person
#include <stoa/template/vec.h>

void f(stoa_tx *tx, const people *p, const person *x);

void
f(stoa_tx *tx, const people *p, const person *x)
{
#ifdef MISTAKE
	people_push(tx, p, *x);
#else
	people_add(tx, p)->id = x->id;
#endif
}
