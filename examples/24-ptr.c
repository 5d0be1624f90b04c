/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Pointers in plain shared memory: a list that one program links and another walks,
 * wherever each has it mapped.
 *	24-ptr make | show
 */
#include <stdio.h>
#include <stoa/ptr.h>
#include <stoa/region.h>
#include <string.h>

typedef struct node node;
struct node {
	int value;
	STOA_PTR(node) next;
};

typedef struct list {
	STOA_PTR(node) head; /* zero bytes: empty */
	node pool[100];
} list;

static int
make(void)
{
	STOA_CLEANUP(stoa_region) r = NULL;
	int rc = stoa_region_open("list", STOA_CREATE | STOA_EXCL,
		STOA_REGION_OPTIONS(.size = sizeof(list)), &r);
	list *l;

	if (rc)
		return rc;
	l = stoa_region_data(r);
	for (int i = 0; i < 100; i++) {
		node *n = &l->pool[i * 37 % 100];

		n->value = i;
		stoa_ptr_copy(n->next, l->head);
		stoa_ptr_set(l->head, n);
	}
	return 0;
}

static int
show(void)
{
	STOA_CLEANUP(stoa_region) first = NULL;
	STOA_CLEANUP(stoa_region) second = NULL; /* never where the other is */
	int rc = stoa_region_open("list", STOA_RDONLY, NULL, &first);
	const list *l;
	int count = 0, sum = 0;

	if (!rc)
		rc = stoa_region_open("list", STOA_RDONLY, NULL, &second);
	if (rc)
		return rc;
	l = stoa_region_data(second);
	for (const node *n = stoa_ptr_get(l->head); n;
		n = stoa_ptr_get(n->next)) {
		count++;
		sum += n->value;
	}
	printf("%d nodes, their sum is %d, the first is %d\n", count, sum,
		stoa_ptr_get(l->head)->value);
	return stoa_region_unlink("list", 0, NULL);
}

int
main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";
	int rc = !strcmp(what, "make")   ? make()
		 : !strcmp(what, "show") ? show()
					 : -1;

	if (rc == -1)
		fprintf(stderr, "usage: 24-ptr make|show\n");
	else if (rc)
		fprintf(stderr, "list: %s\n", stoa_error_text());
	return rc != 0;
}
