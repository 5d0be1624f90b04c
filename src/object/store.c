/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Where do descriptions live that every program can read?
 *
 * In a list under the root block, one block a type: its canonical text and the
 * ids of the types that it names. A type is stored together with all that it
 * leads to, before the first object or container of it; so whoever meets an id
 * finds the whole layout. Nothing is ever changed or removed, only undone with
 * the transaction that added it.
 *
 * Reading a type collects records until every id is there, links them, and then
 * checks each as if a program had brought it: description, text, id (parse.c).
 * What was read stays with the mapping (cache.c).
 *
 * That an id is stored is remembered only if it was seen while the transaction
 * held no exclusive lock on the names before: then nothing seen can be undone.
 */
#include <stdlib.h>
#include <string.h>
#include "object/builtin.h"
#include "object/cache.h"
#include "object/index.h"
#include "object/parse.h"
#include "sync/lock.h"

enum {
	TARGETS_MAX = STOAI_TYPE_FIELDS + 2
};

/* ---- finding a record ---- */

struct record_search {
	uint64_t id, off;
};

static bool
record_is_other(void *user, uint64_t off, const struct stoai_stored_type *s)
{
	struct record_search *search = user;

	if (a64_load_relaxed(&s->id) != search->id)
		return true;
	search->off = off;
	return false;
}

/* 0: there is none, or rd has failed. */
static uint64_t
record_find(const stoa_tx *rd, uint64_t id)
{
	struct record_search search = {id, 0};

	(void)stoai_stored_each(rd, record_is_other, &search);
	return search.off;
}

/* ---- storing ---- */

static bool
record_add(stoa_tx *tx, const struct stoai_closure *c,
	const struct stoai_member *m, const uint64_t *ids)
{
	const struct stoai_root *root = stoai_root(tx);
	uint64_t head = sizeof(struct stoai_stored_type) +
			8 * (uint64_t)m->target_count;
	uint64_t count = root ? a64_load_relaxed(&root->type_count) : 0;
	struct stoai_stored_type *s;

	if (root && count >= STOAI_STORED_MAX) {
		(void)stoai_tx_fail(
			tx, stoai_error(-ENOSPC,
				    "%s: it describes %d types already, no "
				    "more fit",
				    stoai_name(tx->seg), STOAI_STORED_MAX));
		return false;
	}
	s = root ? stoai_tx_alloc(tx, head + m->text_size + 1, 16) : NULL;
	if (!s)
		return false;
	s->next = a64_load_relaxed(&root->types);
	s->id = ids[m - c->member];
	s->text_size = (uint32_t)m->text_size;
	s->target_count = m->target_count;
	for (uint32_t n = 0; n < m->target_count; n++) {
		const stoa_type *target = stoai_type_target(m->type, n);

		s->targets[n] = m->targets[n] == STOAI_BUILTIN
					? stoai_builtin_id(target)
					: ids[m->targets[n]];
	}
	memcpy((char *)s + head, m->text, m->text_size + 1);
	return stoai_set_word(tx, &root->types, stoai_off(tx->seg, s)) &&
	       stoai_set_word(tx, &root->type_count, count + 1);
}

/* The ids of all members; NULL: out of memory. */
static uint64_t *
closure_ids(const struct stoai_closure *c)
{
	uint64_t *ids = calloc(c->count, sizeof *ids);

	for (uint32_t i = 0; ids && i < c->count; i++)
		if (stoai_type_identify(c->member[i].type, &ids[i])) {
			free(ids);
			return NULL;
		}
	return ids;
}

static bool
closure_store(stoa_tx *tx, const struct stoai_closure *c, const uint64_t *ids,
	bool may_be_undone)
{
	for (uint32_t i = 0; i < c->count; i++) {
		uint64_t off = record_find(tx, ids[i]);

		if (stoa_tx_error(tx))
			return false;
		if (!off && !record_add(tx, c, &c->member[i], ids))
			return false;
		if (off && !may_be_undone)
			stoai_known_stored_add(tx->seg, ids[i]);
	}
	return true;
}

bool
stoai_type_store(stoa_tx *tx, const stoa_type *type)
{
	struct stoai_closure c;
	bool may_be_undone, ok;
	uint64_t id, *ids;
	int rc;

	if (!stoai_tx_writes(tx))
		return false;
	rc = stoai_type_identify(type, &id);
	if (rc) {
		(void)stoai_tx_fail(tx, rc);
		return false;
	}
	if (id < STOAI_BUILTIN_IDS || stoai_known_stored(tx->seg, id))
		return true;
	may_be_undone =
		stoai_lock_held(tx->seat, &stoai_header(tx->seg)->names) != 0;
	if (!stoai_names_lock(tx))
		return false;
	rc = stoai_closure_init(&c, type);
	ids = rc ? NULL : closure_ids(&c);
	ok = ids && closure_store(tx, &c, ids, may_be_undone);
	if (!ids)
		(void)stoai_tx_fail(
			tx, rc ? rc : stoai_error(-ENOMEM, "out of memory"));
	free(ids);
	stoai_closure_fini(&c);
	return ok;
}

/* ---- reading ---- */

struct load_item {
	uint64_t id;
	struct stoai_parsed *parsed;
	uint64_t targets[TARGETS_MAX];
};

struct load {
	const stoa_tx *rd;
	uint32_t count;
	struct load_item item[STOAI_CLOSURE_MAX];
};

static int
load_failed(const struct load *l, uint64_t id, int rc)
{
	rc = stoai_error_in(rc, "%s: stored type %llx", stoai_name(l->rd->seg),
		(unsigned long long)id);
	return stoai_tx_fail(l->rd, rc);
}

/* A private copy of the record, parsed. */
static int
load_record(struct load *l, struct load_item *item)
{
	const stoa_tx *rd = l->rd;
	uint64_t off = record_find(rd, item->id), size;
	const struct stoai_stored_type *s;
	uint32_t text_size, n;
	char *text;
	int rc;

	if (!off)
		return stoa_tx_error(rd) ? stoa_tx_error(rd) : -ENOENT;
	s = stoai_words_at(rd, off, sizeof *s);
	if (!s)
		return stoa_tx_error(rd);
	text_size = a32_load_relaxed(&s->text_size);
	n = a32_load_relaxed(&s->target_count);
	if (text_size > STOAI_PARSE_TEXT || n > TARGETS_MAX)
		return load_failed(l, item->id,
			stoai_error(-EBADMSG, "it has %u bytes, %u targets",
				text_size, n));
	size = sizeof *s + 8 * (uint64_t)n + text_size;
	s = stoai_words_at(rd, off, size);
	text = s ? malloc((size_t)text_size + 1) : NULL;
	if (!text)
		return s ? load_failed(l, item->id,
				   stoai_error(-ENOMEM, "out of memory"))
			 : stoa_tx_error(rd);
	memcpy(item->targets, s->targets, 8 * (size_t)n);
	memcpy(text, (const char *)s + sizeof *s + 8 * (size_t)n, text_size);
	text[text_size] = '\0';
	rc = stoai_parse(text, text_size, &item->parsed);
	free(text);
	if (!rc && item->parsed->target_count != n) {
		rc = stoai_error(-EBADMSG, "it names %u types, %u are given",
			item->parsed->target_count, n);
		free(item->parsed); /* no item yet, so nobody else does */
		item->parsed = NULL;
	}
	return rc ? load_failed(l, item->id, rc) : 0;
}

/* The type of that id: built in, read before, or read now (an item of this load). */
static int
load_target(struct load *l, uint64_t id, const stoa_type **ret)
{
	if (id < STOAI_BUILTIN_IDS) {
		*ret = stoai_builtin_of_id(id);
		return *ret ? 0
			    : load_failed(l, id,
				      stoai_error(-EBADMSG, "no such word"));
	}
	*ret = stoai_known_type(l->rd->seg, id);
	if (*ret)
		return 0;
	for (uint32_t i = 0; i < l->count; i++)
		if (l->item[i].id == id) {
			*ret = &l->item[i].parsed->type;
			return 0;
		}
	if (l->count == STOAI_CLOSURE_MAX)
		return load_failed(l, id,
			stoai_error(-EBADMSG, "it leads to too many types"));

	struct load_item *item = &l->item[l->count];
	int rc;

	item->id = id;
	item->parsed = NULL;
	rc = load_record(l, item);
	if (rc == -ENOENT)
		rc = l->count
			     ? load_failed(l, id,
				       stoai_error(-EBADMSG, "it is not there"))
			     : rc;
	if (rc)
		return rc;
	l->count++;
	*ret = &item->parsed->type;
	return 0;
}

/* Is what was read what its id says? */
static int
load_verify(const struct load *l, const struct load_item *item)
{
	const struct stoai_parsed *p = item->parsed;
	struct stoai_closure c;
	uint64_t id = 0;
	int rc = stoai_closure_init(&c, &p->type);

	if (!rc)
		rc = stoai_closure_id(&c, &id);
	if (!rc && id != item->id)
		rc = stoai_error(-EBADMSG, "its text does not have this id");
	stoai_closure_fini(&c);
	return rc ? load_failed(l, item->id, rc == -EINVAL ? -EBADMSG : rc) : 0;
}

static int
load_all(struct load *l, uint64_t id, const stoa_type **ret)
{
	/* another thread may have read it meanwhile: then nothing is loaded */
	int rc = load_target(l, id, ret);

	for (uint32_t i = 0; i < l->count && !rc; i++) {
		struct stoai_parsed *p = l->item[i].parsed;

		STOA_ASSERT(p);
		for (uint32_t n = 0; n < p->target_count && !rc; n++)
			rc = load_target(
				l, l->item[i].targets[n], p->target[n]);
	}
	for (uint32_t i = 0; i < l->count && !rc; i++) {
		rc = stoai_parsed_name(l->item[i].parsed);
		if (rc)
			rc = load_failed(l, l->item[i].id, rc);
	}
	for (uint32_t i = 0; i < l->count && !rc; i++)
		rc = load_verify(l, &l->item[i]);
	return rc;
}

/* All of them stay, or none. */
static void
load_keep(struct load *l)
{
	for (uint32_t i = 0; i < l->count; i++) {
		struct load_item *item = &l->item[i];

		stoai_ids_add(&item->parsed->type, item->id);
		/* without memory for that it is kept all the same: others
		 * point to it */
		(void)stoai_known_type_add(l->rd->seg, item->id,
			&item->parsed->type, item->parsed);
	}
}

const stoa_type *
stoai_type_find(const stoa_tx *rd, uint64_t id)
{
	const stoa_type *type;
	struct load *l;
	int rc;

	if (id < STOAI_BUILTIN_IDS)
		return stoai_builtin_of_id(id);
	if (!stoai_tx_reads(rd))
		return NULL;
	type = stoai_known_type(rd->seg, id);
	if (type)
		return type;
	if (!stoai_names_lock(rd))
		return NULL;
	l = malloc(sizeof *l); /* large, and items are filled one by one */
	if (!l) {
		(void)stoai_tx_fail(rd, stoai_error(-ENOMEM, "out of memory"));
		return NULL;
	}
	l->rd = rd;
	l->count = 0;
	rc = load_all(l, id, &type);
	if (rc)
		type = NULL;
	else
		load_keep(l);
	for (uint32_t i = 0; rc && i < l->count; i++)
		free(l->item[i].parsed);
	free(l);
	return type;
}
