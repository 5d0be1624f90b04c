/* SPDX-License-Identifier: BSL-1.0 */
/* What the mistakes of this folder are made with. */
#ifndef MISTAKE_H
#define MISTAKE_H
#include <stoa/stoa.h>

typedef struct quote {
	int64_t bid, ask;
} quote;
STOA_TYPE(quote, bid, ask);

typedef struct other {
	double x;
} other;
STOA_TYPE(other, x);

#define STOA_NAME quotes
#define STOA_KEY  uint64_t
#define STOA_VAL  quote
#include <stoa/template/hashmap.h>

#define STOA_NAME others
#define STOA_VAL  other
#include <stoa/template/vec.h>

#define STOA_NAME words
#define STOA_KEY  stoa_str
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

typedef struct node node;
typedef STOA_REF(node) node_ref;
typedef STOA_REF(other) other_ref;
struct node {
	node_ref next;
	other_ref o;
	uint64_t key;
	uint16_t small;
	char name[8];
	stoa_mutex m;
};
STOA_TYPE(node, (next, node, ref), (o, other, ref), key, small, name, m);

extern stoa_segment *seg;
extern const quotes *q;
extern const others *os;
extern const node *n;
extern const words *w;

#endif
