/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Described types and named objects, as the container layer sees them.
 *
 * A description is local (stoa_type, constant data of a program) or stored (a
 * canonical copy in the segment, found by its id). Containers and objects name
 * their types by id, so a program that never saw a type can still walk it.
 */
#ifndef STOAI_OBJECT_OBJECT_H
#define STOAI_OBJECT_OBJECT_H
#include "object/format.h"
#include "tx/tx.h"
#include "stoa/object.h"
#include "stoa/type.h"

/*
 * The id of a description, the same in every process that means the same layout:
 * a hash of its canonical text (never 0). Checks it at its first use. 0: it is
 * wrong (text set, -EINVAL). Cheap after the first time (cached per process).
 */
uint64_t stoai_type_id(const stoa_type *type);
/* The same, with the reason as a code: 0, -EINVAL, -ENOMEM. */
int stoai_type_identify(const stoa_type *type, uint64_t *ret);
/* What it is, for errors: "order (24 bytes: id, note)", "hashmap of ...". */
void stoai_type_text(const stoa_type *type, char *buf, size_t size);
/* Make sure that the segment holds a stored copy; tx fails if it cannot. */
bool stoai_type_store(stoa_tx *tx, const stoa_type *type);
/*
 * The stored description of an id, as local data, good until the segment is
 * closed; NULL: none stored (or damaged: rd fails).
 */
const stoa_type *stoai_type_find(const stoa_tx *rd, uint64_t id);

/*
 * How a kind owns memory. One constant table, declared here and defined in
 * container/kinds.c, so that deleting, checking and dumping need no upward include.
 */
struct stoai_visitor {
	/* a block that the value owns */
	bool (*block)(void *user, uint64_t off);
	/* a value inside it, of that type: walk it too (the visitor calls back) */
	bool (*value)(void *user, const stoa_type *type, const void *p);
	void *user;
};
struct stoai_kind_class {
	/* everything that the value at p owns; bounded by checked counts; false: stop or damage */
	bool (*visit)(const stoa_tx *rd, const stoa_type *type, const void *p,
		const struct stoai_visitor *v);
	/* as JSON */
	bool (*dump)(const stoa_tx *rd, const stoa_type *type, const void *p,
		FILE *out);
	/* -EBADMSG with a text when an invariant is broken */
	int (*check)(const stoa_tx *rd, const stoa_type *type, const void *p);
};
enum {
	STOAI_KINDS = STOA_KIND_BARRIER + 1
};
extern const struct stoai_kind_class stoai_kind_class[STOAI_KINDS];

/*
 * Does a value of this type own memory or hold a lock? False: a container need
 * not visit its elements.
 */
bool stoai_type_is_plain(const stoa_type *type);
/*
 * Walk a described value: fields, arrays, containers, owned references. Tells
 * every block that the value owns and every value inside such a block, each
 * once; a block owned twice is damage. Iterative over owned references, and the
 * nesting of containers in containers is bounded.
 */
bool stoai_type_visit(const stoa_tx *rd, const stoa_type *type, const void *p,
	const struct stoai_visitor *v);
/*
 * Free, at commit, everything that a value of this type owns; not the value
 * itself, whose memory the caller gives up: locks in it, as in all that it owns,
 * must be free, else the transaction fails with -EBUSY.
 */
bool stoai_type_clear(stoa_tx *tx, const stoa_type *type, const void *p);
/* The same for so many, one behind the other. */
bool stoai_type_clear_array(
	stoa_tx *tx, const stoa_type *type, const void *p, uint64_t count);
/* JSON of one value of any kind (dump.c). */
bool stoai_type_dump_value(
	const stoa_tx *rd, const stoa_type *type, const void *p, FILE *out);

/* A value, or an array of several that are there together. */
bool stoai_type_dump_array(const stoa_tx *rd, const stoa_type *type,
	const void *p, uint64_t count, FILE *out);

/* Text as a JSON string in quotes; bytes that are not UTF-8 become U+FFFD. */
bool stoai_json_text(FILE *out, const char *text, size_t size);
/* A key as the name of a JSON member: strings as they are, all else quoted. */
bool stoai_json_key(
	const stoa_tx *rd, const stoa_type *type, const void *p, FILE *out);

/* The mapping goes: what the local handle knows of its types. */
void stoai_object_segment_end(stoa_segment *seg);
/* A fresh segment's root, before it has a name; sets header.root_off. */
int stoai_object_format(stoa_segment *seg);
/*
 * The index's invariants, the stored types, every object by its description, each
 * under its own locks where they can be had. 0, or -EBADMSG with a text.
 */
int stoai_object_check(stoa_segment *seg);

#endif
