/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A tree whose nodes lie in a pool: side by side, without a word before each, and the
 * memory goes back when they go. Then the same pool for everybody, by name, of which
 * each thread has some nodes at hand.
 */
#include <stdio.h>
#include <stoa/stoa.h>

typedef struct node node;
typedef STOA_REF(node) node_ref;
struct node {
	uint64_t key;
	node_ref left, right;
};
STOA_TYPE(node, key, (left, node, ref), (right, node, ref));

typedef struct tree {
	stoa_pool nodes;
	node_ref root;
} tree;
STOA_TYPE(tree, (nodes, stoa_pool), (root, node, ref));

static void
add(stoa_tx *tx, const tree *t, uint64_t key)
{
	const node_ref *at = &t->root;
	node *n;

	for (const node *p; (p = stoa_get(tx, *at));)
		at = key < p->key ? &p->left : &p->right;
	n = stoa_pool_new(tx, &t->nodes, node);
	n->key = key;
	STOA_LINK(tx, *at, n);
}

static void
show(stoa_segment *seg, const tree *t, const char *when)
{
	stoa_pool_stat s;

	STOA_READ(rd, seg);
	stoa_pool_statistics(rd, &t->nodes, &s);
	printf("%s: %llu nodes of %llu bytes in %llu blocks, %.1f %% beside "
	       "them\n",
		when, (unsigned long long)s.nodes,
		(unsigned long long)s.node_size, (unsigned long long)s.blocks,
		s.overhead_percent);
}

static int
private_pool(stoa_segment *seg)
{
	const tree *t;
	int rc = stoa_object_open(seg, "tree", tree, &t);

	if (rc)
		return rc;
	{
		STOA_TX(tx, seg);
		for (uint64_t i = 0; i < 1000; i++)
			add(tx, t, i * 7919 % 1000);
		rc = stoa_tx_commit(tx);
	}
	show(seg, t, "filled");
	if (!rc) /* all of them at once; nobody walks the tree for it */
		rc = STOA_DO(tx, seg, stoa_pool_clear(tx, &t->nodes),
			STOA_LINK(tx, t->root, NULL));
	show(seg, t, "cleared");
	return rc;
}

static int
shared_pool(stoa_segment *seg)
{
	const stoa_shared_pool *pool;
	stoa_pool_stat s;
	int rc = stoa_shared_pool_open(seg, "nodes",
		STOA_POOL_OPTIONS(.node_size = sizeof(node)), &pool);

	if (rc)
		return rc;
	rc = STOA_DO(tx, seg, stoa_shared_pool_set_cache(tx, pool, 32));
	for (int i = 0; i < 100 && !rc; i++) {
		STOA_TX(tx, seg);
		node *n = stoa_shared_pool_new(tx, pool, node);

		stoa_shared_pool_delete(tx, pool, node, n);
		rc = stoa_tx_commit(tx);
	}
	if (rc)
		return rc;
	{
		STOA_READ(rd, seg);
		stoa_shared_pool_statistics(rd, pool, &s);
		rc = stoa_tx_error(rd);
	}
	printf("shared: %llu nodes at hand of this thread\n",
		(unsigned long long)s.cached);
	return rc;
}

int
main(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	int rc = stoa_segment_open(NULL, STOA_CREATE, NULL, &seg);

	if (!rc)
		rc = private_pool(seg);
	if (!rc)
		rc = shared_pool(seg);
	if (rc)
		fprintf(stderr, "47-pool: %s\n", stoa_error_text());
	return rc ? 1 : 0;
}
