/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Where has the memory gone? A shop is filled until there is no room, with one block
 * that nobody leads to: by type, by what was refused, and by who allocated it.
 */
#include <stdio.h>
#include <string.h>
#include <stoa/stoa.h>

typedef struct item {
	uint64_t price;
	stoa_str name;
} item;
STOA_TYPE(item, price, (name, stoa_str));

#define STOA_NAME item_map
#define STOA_KEY  uint64_t
#define STOA_VAL  item
#include <stoa/template/hashmap.h>

static int
fill(stoa_segment *seg, const item_map *items)
{
	int rc = 0;

	for (uint64_t n = 0; !rc; n++) {
		STOA_TX(tx, seg);
		item *i = item_map_ensure(tx, items, n);
		char name[64];

		(void)snprintf(name, sizeof name,
			"a thing that many people want to have, number %llu",
			(unsigned long long)n);
		stoa_str_set(tx, &i->name, name);
		rc = stoa_tx_commit(tx);
	}
	return rc;
}

static int
show(stoa_segment *seg)
{
	stoa_heap_type_stat type[8];
	stoa_heap_leak leak;
	stoa_heap_stat s;
	int64_t types = stoa_heap_types(seg, type, 8);
	int64_t leaks = stoa_heap_leaks(seg, &leak, 1);

	if (types < 0 || leaks < 0)
		return -1;
	for (int64_t i = 0; i < types; i++)
		printf("%-24s %s\n", type[i].type,
			type[i].bytes > (64 << 10) ? "much" : "little");
	stoa_heap_statistics(seg, &s);
	printf("the last refusal: %s\n",
		s.last.reason == STOA_LIMIT_PIECES
			? "enough is free, but not in one piece"
		: s.last.reason == STOA_LIMIT_SEGMENT ? "nothing is left"
						      : "something else");
	printf("leaked: %lld, of %llu bytes\n", (long long)leaks,
		(unsigned long long)leak.bytes);
	return 0;
}

/* `flamegraph.pl`, `pprof` and their like draw this. */
static int
show_profile(stoa_segment *seg)
{
	char line[4096] = "";
	FILE *out = tmpfile();
	int rc;

	if (!out)
		return -1;
	rc = stoa_heap_profile_write(seg, STOA_PROFILE_LIVE, out);
	rewind(out);
	printf("the profile has stacks: %s\n",
		fgets(line, sizeof line, out) && strchr(line, ';') ? "yes"
								   : "no");
	(void)fclose(out);
	return rc;
}

int
main(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const item_map *items;
	int rc = stoa_segment_open(NULL, STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.size = 1 << 20, .limit = 1 << 20), &seg);

	if (!rc)
		rc = stoa_object_open(seg, "items", item_map, &items);
	if (!rc)
		rc = stoa_heap_profile_start(seg, 4096);
	if (!rc) /* linked nowhere */
		rc = STOA_DO(tx, seg, (void)stoa_alloc(tx, 500, 0));
	if (!rc)
		rc = fill(seg, items) == -ENOSPC ? 0 : -1;
	if (!rc)
		rc = show(seg);
	if (!rc)
		rc = show_profile(seg);
	if (rc)
		fprintf(stderr, "49-heap: %s\n", stoa_error_text());
	return rc ? 1 : 0;
}
