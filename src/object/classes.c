/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Which index has this segment, if it is not the hash?
 *
 *	root.index -> entry: name of the class, state
 *
 * The class is a struct of functions that each process brings by itself; the
 * segment holds its name, and its state as an object that no name finds. So
 * check, leak count and the descriptions treat the state like any object.
 *
 * What a class answers is not believed: what it finds must have the name, and it
 * shows no more entries than there are. The count is not the class's to keep.
 *
 * Invariants:
 *  C1 root.index is 0, or an entry with the name of a class
 *  C2 the state is of the type that the class says
 */
#include <string.h>
#include "base/base.h"
#include "object/classes.h"
#include "object/index.h"
#include "segment/seat.h"

static const stoa_index_class *const built_in[] = {
	&stoa_index_ordered, &stoa_index_sorted, &stoa_index_none};

/* ---- the hash, as a name ---- */

/* Never called: the hash is asked directly (index.c). */
const stoa_index_class stoa_index_hash = {.name = "hash"};

/* ---- none ---- */

static stoa_ref
none_find(const stoa_tx *rd, const void *state, const char *key, size_t size)
{
	const stoa_ref null = {0};

	(void)rd;
	(void)state;
	(void)key;
	(void)size;
	return null;
}

static void
none_insert(stoa_tx *tx, const void *state, stoa_ref entry)
{
	(void)state;
	(void)entry;
	(void)stoai_tx_fail(tx,
		stoai_error(-EOPNOTSUPP,
			"'%s' was made without an index: its objects have no "
			"names, only stoa_new makes some",
			stoai_name(tx->seg)));
}

static void
none_remove(stoa_tx *tx, const void *state, stoa_ref entry)
{
	none_insert(tx, state, entry);
}

static bool
none_each(const stoa_tx *rd, const void *state,
	bool (*f)(void *user, stoa_ref entry), void *user)
{
	(void)rd;
	(void)state;
	(void)f;
	(void)user;
	return true;
}

const stoa_index_class stoa_index_none = {.name = "none",
	.find = none_find,
	.insert = none_insert,
	.remove = none_remove,
	.each = none_each};

/* ---- which class ---- */

static const stoa_type *
state_type(const stoa_index_class *c)
{
	return c->state ? c->state : &stoa_type_uint64_t;
}

int
stoai_class_name_check(const char *what, const char *name)
{
	size_t size = 0;
	int rc = stoai_object_name_check(name, &size);

	if (!rc && size >= STOAI_UNIQUE_MAX)
		rc = stoai_error(-EINVAL,
			"%s: its name has %zu bytes, 255 at most", what, size);
	return rc;
}

struct stoai_entry *
stoai_class_entry_new(stoa_tx *tx, const char *name, const stoa_type *state)
{
	return stoai_names_lock(tx)
		       ? stoai_entry_new(tx, name, strlen(name), state, 1)
		       : NULL;
}

static int
class_check(const stoa_index_class *c)
{
	uint64_t id;
	int rc;

	if (!c->name || !c->find || !c->insert || !c->remove || !c->each)
		return stoai_error(-EINVAL,
			"options.index: name, find, insert, remove and each "
			"are needed");
	rc = stoai_class_name_check("options.index", c->name);
	return rc ? rc : stoai_type_identify(state_type(c), &id);
}

int
stoai_class_format(stoa_segment *seg)
{
	const stoa_index_class *c = seg->index;
	const struct stoai_root *root;
	struct stoai_entry *e;
	int rc;

	if (!c || c == &stoa_index_hash) {
		seg->index = NULL;
		return 0;
	}
	rc = class_check(c);
	if (rc)
		return rc;
	STOA_TX(tx, seg);
	e = stoai_class_entry_new(tx, c->name, state_type(c));
	root = e ? stoai_root(tx) : NULL;
	if (root)
		(void)stoai_set_word(tx, &root->index, stoai_off(seg, e));
	return stoa_tx_commit(tx);
}

/* Nobody changes it once the segment has a name, so no scope is needed. */
const struct stoai_entry *
stoai_class_record(stoa_segment *seg, uint64_t off)
{
	const struct stoai_entry *e = NULL;
	uint32_t size = 0;

	if (off && off % 8 == 0 && stoai_in_heap(seg, off, sizeof *e)) {
		e = stoai_at(seg, off);
		size = a32_load_relaxed(&e->name_size);
	}
	return size && size < STOAI_UNIQUE_MAX &&
			       stoai_in_heap(seg, off, sizeof *e + size + 1) &&
			       e->name[size] == '\0'
		       ? e
		       : NULL;
}

static const struct stoai_entry *
index_record(stoa_segment *seg)
{
	uint64_t root = stoai_header(seg)->root_off, off = 0;

	if (root % 8 == 0 &&
		stoai_in_heap(seg, root, sizeof(struct stoai_root)))
		off = a64_load_relaxed(
			&((struct stoai_root *)stoai_at(seg, root))->index);
	return stoai_class_record(seg, off);
}

int
stoai_class_state_check(const stoa_segment *seg, const char *what,
	const struct stoai_entry *e, const stoa_type *state)
{
	char text[STOAI_NAME_TEXT];
	uint64_t id;
	int rc = stoai_type_identify(state, &id);

	if (rc || id == a64_load_relaxed(&e->type_id))
		return rc;
	return stoai_error(-EPROTOTYPE,
		"%s: the state of its %s '%s' is not the %s of this program",
		seg->name, what, stoai_name_text(e->name, e->name_size, text),
		state->name);
}

int
stoai_class_open(stoa_segment *seg, const stoa_index_class *given)
{
	const struct stoai_entry *e = index_record(seg);
	const stoa_index_class *c = NULL;
	char text[STOAI_NAME_TEXT];
	int rc;

	if (!e) /* the hash; or damaged, which the first use tells */
		return 0;
	for (size_t i = 0; i < STOAI_COUNT(built_in); i++)
		if (!strcmp(e->name, built_in[i]->name))
			c = built_in[i];
	if (!c && given && given->name && !strcmp(e->name, given->name))
		c = given;
	if (!c && seg->index && !strcmp(e->name, seg->index->name))
		return 0; /* brought when it was opened before */
	if (!c)
		return stoai_error(-ENOTSUP,
			"%s: its objects are found by an index of its program, "
			"'%s': open it with STOA_SEGMENT_OPTIONS(.index = "
			"&...) of that name%s%s",
			seg->name, stoai_name_text(e->name, e->name_size, text),
			given ? "; given was " : "", given ? given->name : "");
	rc = class_check(c);
	if (!rc)
		rc = stoai_class_state_check(seg, "index", e, state_type(c));
	if (!rc && seg->index != c) /* others may be using it */
		seg->index = c;
	return rc;
}

/* ---- asking it ---- */

const struct stoai_entry *
stoai_class_entry(const stoa_tx *rd, const struct stoai_root *root)
{
	uint64_t off = a64_load_relaxed(&root->index);

	return off ? stoai_entry_at(rd, off) : NULL;
}

struct class_question {
	const stoa_index_class *class;
	const void *state;
};

/* C1, C2. false: rd has failed. */
static bool
class_ask(const stoa_tx *rd, const struct stoai_root *root,
	struct class_question *ret)
{
	const struct stoai_entry *e = stoai_class_entry(rd, root);

	ret->class = rd->seg->index;
	ret->state = NULL;
	if (e && !ret->class)
		(void)stoai_tx_damaged(rd, "object C1: it had the hash index");
	else if (e)
		ret->state =
			stoai_entry_data(rd, e, state_type(ret->class), NULL);
	return ret->state != NULL;
}

const struct stoai_entry *
stoai_class_find(const stoa_tx *rd, const struct stoai_root *root,
	const char *name, size_t size)
{
	const struct stoai_entry *e;
	struct class_question a;
	stoa_ref ref;

	if (!class_ask(rd, root, &a))
		return NULL;
	ref = a.class->find(rd, a.state, name, size);
	if (!ref.off || stoa_tx_error(rd))
		return NULL;
	e = stoai_entry_at(rd, ref.off);
	if (e && (a32_load_relaxed(&e->name_size) != size ||
			 memcmp(e->name, name, size) != 0)) {
		(void)stoai_tx_damaged(rd,
			"object I2: the index '%s' found another name",
			a.class->name);
		e = NULL;
	}
	return e;
}

struct showing {
	const stoa_tx *rd;
	const stoa_index_class *class;
	uint64_t seen, count;
	bool stopped; /* by who asked, not by the class */
	bool (*f)(void *user, uint64_t off, const struct stoai_entry *e);
	void *user;
};

static bool
show(void *user, stoa_ref entry)
{
	struct showing *s = user;
	const struct stoai_entry *e = stoai_entry_at(s->rd, entry.off);

	if (e && s->seen++ < s->count) {
		s->stopped = !s->f(s->user, entry.off, e);
		return !s->stopped;
	}
	if (e)
		(void)stoai_tx_damaged(s->rd,
			"object I3: the index '%s' has more than %llu objects",
			s->class->name, (unsigned long long)s->count);
	return false;
}

bool
stoai_class_each(const stoa_tx *rd, const struct stoai_root *root,
	bool (*f)(void *user, uint64_t off, const struct stoai_entry *e),
	void *user)
{
	struct showing s = {.rd = rd, .f = f, .user = user};
	struct class_question a;

	if (!stoai_object_count(rd, root, &s.count) || !class_ask(rd, root, &a))
		return false;
	s.class = a.class;
	if (a.class->each(rd, a.state, show, &s))
		return !stoa_tx_error(rd);
	if (!s.stopped && !stoa_tx_error(rd))
		(void)stoai_tx_damaged(rd,
			"object I2: the index '%s' does not show its objects",
			a.class->name);
	return false;
}

bool
stoai_class_insert(stoa_tx *tx, const struct stoai_root *root, uint64_t off)
{
	const stoa_ref entry = {off};
	struct class_question a;

	if (!class_ask(tx, root, &a))
		return false;
	a.class->insert(tx, a.state, entry);
	return !stoa_tx_error(tx);
}

bool
stoai_class_remove(stoa_tx *tx, const struct stoai_root *root, uint64_t off)
{
	const stoa_ref entry = {off};
	struct class_question a;

	if (!class_ask(tx, root, &a))
		return false;
	a.class->remove(tx, a.state, entry);
	return !stoa_tx_error(tx);
}

bool
stoai_class_reserve(stoa_tx *tx, const struct stoai_root *root, uint64_t count)
{
	struct class_question a;

	if (!class_ask(tx, root, &a))
		return false;
	if (a.class->reserve)
		a.class->reserve(tx, a.state, count);
	return !stoa_tx_error(tx);
}

bool
stoai_class_shrink(stoa_tx *tx, const struct stoai_root *root)
{
	struct class_question a;

	if (!class_ask(tx, root, &a))
		return false;
	if (a.class->shrink)
		a.class->shrink(tx, a.state);
	return !stoa_tx_error(tx);
}

/* C1, to the byte: opening compares the names as texts. */
static void
check_class_name(const stoa_tx *rd, const struct stoai_root *root,
	const stoa_index_class *class)
{
	const struct stoai_entry *e = stoai_class_entry(rd, root);
	size_t size = strlen(class->name);

	if (e && (e->name_size != size ||
			 memcmp(e->name, class->name, size) != 0))
		(void)stoai_tx_damaged(rd,
			"object C1: the name of its index is not '%s'",
			class->name);
}

bool
stoai_class_check(const stoa_tx *rd)
{
	const struct stoai_root *root = stoai_root(rd);
	struct class_question a;
	int rc = 0;

	if (!root || !a64_load_relaxed(&root->index))
		return root != NULL;
	if (!class_ask(rd, root, &a))
		return false;
	check_class_name(rd, root, a.class);
	if (a.class->check && !stoa_tx_error(rd))
		rc = a.class->check(rd, a.state);
	if (rc)
		(void)stoai_tx_fail(rd, rc);
	return !stoa_tx_error(rd);
}

/* ---- what a class is given ---- */

const char *
stoa_index_key(const stoa_tx *rd, stoa_ref entry, size_t *ret_size)
{
	const struct stoai_entry *e =
		stoai_tx_reads(rd) ? stoai_entry_at(rd, entry.off) : NULL;

	if (ret_size)
		*ret_size = e ? a32_load_relaxed(&e->name_size) : 0;
	return e ? e->name : NULL;
}

const uint64_t *
stoa_index_words(const stoa_tx *rd, stoa_ref entry)
{
	const struct stoai_entry *e =
		stoai_tx_reads(rd) ? stoai_entry_at(rd, entry.off) : NULL;

	return e ? &e->next : NULL;
}
