/* SPDX-License-Identifier: BSL-1.0 */
/* Indexes other than the hash. See classes.c. */
#ifndef STOAI_OBJECT_CLASSES_H
#define STOAI_OBJECT_CLASSES_H
#include "object/entry.h"
#include "stoa/index.h"

/* A fresh segment: its class's name and state. 0, or a negative error. */
int stoai_class_format(stoa_segment *seg);
/* An entry with a name that the root or the header leads to; NULL: none, damaged. */
const struct stoai_entry *stoai_class_record(stoa_segment *seg, uint64_t off);
/* Name and state's type of one that was given. 0, -EINVAL. what: "options.heap" */
int stoai_class_name_check(const char *what, const char *name);
/* Its name and zeroed state as an entry that no name finds; NULL: tx has failed. */
struct stoai_entry *
stoai_class_entry_new(stoa_tx *tx, const char *name, const stoa_type *state);
/* Is that entry's state of that type? 0, or -EPROTOTYPE. what: "heap" */
int stoai_class_state_check(const stoa_segment *seg, const char *what,
	const struct stoai_entry *e, const stoa_type *state);

/* Which class has it? 0, -ENOTSUP: one that nobody has brought; -EPROTOTYPE. */
int stoai_class_open(stoa_segment *seg, const stoa_index_class *given);

/* Name and state; NULL: it has the hash (or is damaged, and rd has failed). */
const struct stoai_entry *
stoai_class_entry(const stoa_tx *rd, const struct stoai_root *root);

/* As stoai_index_*, of which they are the other half; root->index is not 0. */
const struct stoai_entry *stoai_class_find(const stoa_tx *rd,
	const struct stoai_root *root, const char *name, size_t size);
bool stoai_class_each(const stoa_tx *rd, const struct stoai_root *root,
	bool (*f)(void *user, uint64_t off, const struct stoai_entry *e),
	void *user);
bool
stoai_class_insert(stoa_tx *tx, const struct stoai_root *root, uint64_t off);
bool
stoai_class_remove(stoa_tx *tx, const struct stoai_root *root, uint64_t off);
bool
stoai_class_reserve(stoa_tx *tx, const struct stoai_root *root, uint64_t count);
bool stoai_class_shrink(stoa_tx *tx, const struct stoai_root *root);
/* Whatever its index is: what its class has to say of its state. */
bool stoai_class_check(const stoa_tx *rd);

#endif
