/* SPDX-License-Identifier: BSL-1.0 */
/* A description with all that it leads to, checked, and its canonical form. */
#ifndef STOAI_OBJECT_CLOSURE_H
#define STOAI_OBJECT_CLOSURE_H
#include "object/kind.h"
#include "object/text.h"

enum {
	STOAI_TYPE_FIELDS = 64,    /* of a struct */
	STOAI_TYPE_NAME = 255,     /* bytes of a name in a description */
	STOAI_TYPE_ALIGN = 4096,   /* at most */
	STOAI_TYPE_SIZE = 1 << 29, /* at most; scratch memory holds any type */
	STOAI_TYPE_DEPTH = 16,     /* structs in structs */
	STOAI_CLOSURE_MAX = 256    /* types that one type leads to */
};

/* Does the text of this field name a described type (a word is none)? */
bool stoai_field_names_type(const stoa_field *f);
/*
 * The described types that a type names, in the order of its text: typed fields,
 * then key and value. NULL behind the last one.
 */
const stoa_type *stoai_type_target(const stoa_type *type, uint32_t n);

struct stoai_member {
	const stoa_type *type;
	char *text; /* canonical, of this type alone */
	size_t text_size;
	uint32_t target_count;
	uint32_t depth; /* of structs inside it */
	uint16_t
		targets[STOAI_TYPE_FIELDS]; /* members; STOAI_BUILTIN: a word */
};

enum {
	STOAI_BUILTIN = UINT16_MAX
};

/* What a type leads to, itself first, in the order in which it leads there. */
struct stoai_closure {
	uint32_t count, room;
	struct stoai_member *member;
};

/* Checks every member. 0, -EINVAL with a text, -ENOMEM. Always fini. */
int stoai_closure_init(struct stoai_closure *c, const stoa_type *type);
void stoai_closure_fini(struct stoai_closure *c);
/* The id of the first member; -ENOMEM. */
int stoai_closure_id(const struct stoai_closure *c, uint64_t *ret);

#endif
