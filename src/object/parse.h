/* SPDX-License-Identifier: BSL-1.0 */
/* From canonical text back to a description. See parse.c. */
#ifndef STOAI_OBJECT_PARSE_H
#define STOAI_OBJECT_PARSE_H
#include "object/closure.h"

enum {
	STOAI_PARSE_TEXT = 1 << 16
}; /* bytes of a canonical text, at most */

/* One block of memory: freed with free(). */
struct stoai_parsed {
	stoa_type type;
	uint32_t target_count;
	/* where the targets go, in the order of the text; NULL: nowhere */
	const stoa_type **target[STOAI_TYPE_FIELDS + 2];
	char name[STOAI_TYPE_NAME +
		  1]; /* of a container, made when it is linked */
	stoa_field field[];
};

/*
 * Reads a text that nobody vouches for. 0, -EBADMSG with a text, -ENOMEM. The
 * targets are NULL until they are set; only then can the type be checked.
 */
int stoai_parse(const char *text, size_t size, struct stoai_parsed **ret);
/* The targets are set: the name of a container. 0, -EBADMSG: too deep, -ENOMEM. */
int stoai_parsed_name(struct stoai_parsed *p);

#endif
