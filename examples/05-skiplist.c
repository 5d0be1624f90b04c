/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A data structure of one's own: a skip list. It is safe against kills because
 * every link of shared memory is set through the transaction; fresh memory is
 * filled by plain stores. The compiler tells the two apart.
 *	05-skiplist KEY VALUE      puts
 *	05-skiplist KEY            erases
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>

enum {
	LEVELS = 12
};

typedef struct node node;
typedef STOA_REF(node) node_ref;
struct node {
	uint64_t key, val;
	uint32_t height;
	node_ref next[LEVELS];
};
STOA_TYPE(node, key, val, height, (next, node, ref));

typedef struct skiplist {
	node_ref head[LEVELS];
	uint64_t count;
} skiplist;
STOA_TYPE(skiplist, (head, node, ref), count);

/*
 * The node at or after key, and the links that lead there. It reads only, so it
 * serves readers and writers.
 */
static const node *
seek(const stoa_tx *rd, const skiplist *s, uint64_t key,
	const node_ref *link[LEVELS])
{
	const node_ref *links = s->head;
	const node *n = NULL;

	for (int i = LEVELS; i-- > 0;) {
		while ((n = stoa_get(rd, links[i])) && n->key < key)
			links = n->next;
		link[i] = &links[i];
	}
	return n;
}

static void
put(stoa_tx *tx, const skiplist *s, uint64_t key, uint64_t val)
{
	const node_ref *link[LEVELS];
	const node *n = seek(tx, s, key, link);

	if (n && n->key == key) {
		STOA_SET(tx, n->val, val);
		return;
	}
	node *fresh = stoa_new(tx, node); /* fresh memory: plain stores */
	fresh->key = key;
	fresh->val = val;
	fresh->height = 1;
	while (fresh->height < LEVELS && rand() % 4 == 0)
		fresh->height++;
	for (uint32_t i = 0; i < fresh->height; i++) {
		fresh->next[i] = *link[i];
		STOA_LINK(tx, *link[i], fresh);
	}
	STOA_ADD(tx, s->count, 1);
}

static void
erase(stoa_tx *tx, const skiplist *s, uint64_t key)
{
	const node_ref *link[LEVELS];
	const node *n = seek(tx, s, key, link);

	if (!n || n->key != key)
		return;
	for (uint32_t i = 0; i < n->height && i < LEVELS; i++)
		STOA_SET(tx, *link[i], n->next[i]);
	STOA_ADD(tx, s->count, -1);
	stoa_delete(tx, node, n); /* at commit */
}

static int
show(stoa_segment *seg, const skiplist *s)
{
	STOA_READ(rd, seg);
	printf("%" PRIu64 ":", s->count);
	for (const node *n = stoa_get(rd, s->head[0]); n;
		n = stoa_get(rd, n->next[0]))
		printf(" %" PRIu64 "=%" PRIu64, n->key, n->val);
	puts("");
	return stoa_tx_error(rd);
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const skiplist *s = NULL;
	uint64_t key = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	int rc = stoa_segment_open("skip", STOA_CREATE, NULL, &seg);

	if (!rc)
		rc = stoa_object_open(seg, "skip", skiplist, &s);
	if (!rc && argc == 3)
		rc = STOA_DO(
			tx, seg, put(tx, s, key, strtoull(argv[2], NULL, 0)));
	if (!rc && argc == 2)
		rc = STOA_DO(tx, seg, erase(tx, s, key));
	if (!rc)
		rc = show(seg, s);
	if (rc)
		fprintf(stderr, "skip: %s\n", stoa_error_text());
	return rc != 0;
}
