/* SPDX-License-Identifier: BSL-1.0 */
/* The same from C++, whose types and descriptions look otherwise to a debugger. */
#include <cstdio>
#include <stoa/stoa.h>

struct node;
typedef STOA_REF(node) node_ref;
struct node {
	uint64_t n;
	node_ref next;
};
STOA_TYPE(node, n, (next, node, own));

#define STOA_NAME lines
#define STOA_VAL  stoa_str
#include <stoa/template/vec.h>
#define STOA_NAME flags
#define STOA_KEY  bool
#define STOA_VAL  uint32_t
#include <stoa/template/hashmap.h>

struct page {
	stoa_mutex lock;
	stoa_owner owner;
	lines l;
	flags f;
	node_ref first;
};
STOA_TYPE(page, lock, owner, (l, lines), (f, flags), (first, node, own));

__attribute__((noinline)) static void
all(const page *p, stoa_segment *handle)
{
	__asm__ volatile("" : : "r"(p), "r"(handle) : "memory");
}

static int
fill(stoa_segment *seg, const page *p)
{
	STOA_TX(tx, seg);
	node *n = stoa_new(tx, node);

	n->n = 4;
	STOA_LINK(tx, p->first, n);
	lines_push(tx, &p->l, "one");
	flags_put(tx, &p->f, true, 3);
	return stoa_tx_commit(tx);
}

int
main()
{
	stoa_segment *seg = nullptr;
	const page *p = nullptr;

	if (stoa_segment_open(nullptr, STOA_CREATE, nullptr, &seg) ||
		stoa_object_open(seg, "page", page, &p) || fill(seg, p)) {
		std::fprintf(stderr, "scene: %s\n", stoa_error_text());
		return 1;
	}
	all(p, seg);
	stoa_segment_close(seg);
	return 0;
}
