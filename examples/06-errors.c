/* SPDX-License-Identifier: BSL-1.0 */
/* What goes wrong, and what one is told. */
#include <stdio.h>
#include <stdlib.h>
#include <stoa/stoa.h>
#include <string.h>
#include <unistd.h>

typedef struct quote {
	int64_t bid, ask;
} quote;
STOA_TYPE(quote, bid, ask);

typedef struct quote_new {
	int64_t bid, ask;
	char venue[8];
} quote_new;
STOA_TYPE(quote_new, bid, ask, venue);

#define STOA_NAME quotes
#define STOA_KEY  uint64_t
#define STOA_VAL  quote
#include <stoa/template/hashmap.h>

#define STOA_NAME quotes_new
#define STOA_KEY  uint64_t
#define STOA_VAL  quote_new
#include <stoa/template/hashmap.h>

static void
tell(const char *what, int rc)
{
	if (rc)
		printf("%s: %s\n  %s\n", what, stoa_strerror(rc),
			stoa_error_text());
	else
		printf("%s: fine\n", what);
}

/*
 * Out of memory in the middle. Nothing is checked before the end, and nothing
 * has to be: after the failure the stores go to scratch memory.
 */
static int
fill(stoa_segment *seg, const quotes *q)
{
	STOA_TX(tx, seg);
	for (uint64_t i = 0; i < 200 * 1000; i++) {
		quote *slot = quotes_put(tx, q, i, (quote){.bid = 1});

		slot->ask = 2; /* never NULL */
	}
	return stoa_tx_commit(tx);
}

static void
out_of_memory(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const quotes *q = NULL;

	if (stoa_segment_open(NULL, STOA_CREATE,
		    STOA_SEGMENT_OPTIONS(.size = 1 << 20, .limit = 1 << 20),
		    &seg) ||
		stoa_object_open(seg, "quotes", quotes, &q))
		return;
	tell("200000 quotes in 1 MiB", fill(seg, q));

	STOA_READ(rd, seg);
	printf("  %zu are there: all undone\n", quotes_count(rd, q));
}

/* An error of one's own in the middle: leave, and nothing has happened. */
static int
transfer(stoa_segment *seg, const quotes *q, uint64_t from, uint64_t to,
	int64_t n)
{
	STOA_TX(tx, seg);
	quote *a = quotes_edit(tx, q, from), *b = quotes_edit(tx, q, to);

	if (!a || !b)
		return stoa_tx_fail(tx, -ENOENT);
	a->bid -= n;
	b->bid += n;
	if (a->bid < 0)
		return stoa_tx_fail(tx, -ERANGE); /* both stores are undone */
	return stoa_tx_commit(tx);
}

static int
put_two(stoa_segment *seg, const quotes *q)
{
	return STOA_DO(tx, seg, quotes_put(tx, q, 1, (quote){.bid = 50}),
		quotes_put(tx, q, 2, (quote){.bid = 10}));
}

static int
bid(stoa_segment *seg, const quotes *q, uint64_t id, int64_t *ret)
{
	STOA_READ(rd, seg);
	const quote *now = quotes_get(rd, q, id);

	if (!now)
		return stoa_tx_fail(rd, -ENOENT); /* -EBADMSG if that is why */
	*ret = now->bid;
	return stoa_tx_error(rd);
}

static void
own_error(stoa_segment *seg, const quotes *q)
{
	int64_t now = 0;

	tell("2 quotes", put_two(seg, q));
	tell("move 40", transfer(seg, q, 1, 2, 40));
	tell("move 40", transfer(seg, q, 1, 2, 40));
	if (!bid(seg, q, 1, &now))
		printf("  10 stayed: %lld\n", (long long)now);
}

/* The program was built against another struct. */
static void
wrong_type(stoa_segment *seg)
{
	const quotes_new *q = NULL;

	tell("open as quotes_new",
		stoa_object_open(seg, "quotes", quotes_new, &q));
}

/* Somebody wrote over the file. No call crashes, none hangs. */
static void
write_at(const char *path, long at, const char *text, int times)
{
	FILE *f = fopen(path, at ? "r+b" : "wb");

	if (!f || fseek(f, at, SEEK_SET)) {
		perror(path);
		exit(1);
	}
	while (times--)
		fputs(text, f);
	fclose(f);
}

static int
try_open(const char *path, unsigned flags)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;

	return stoa_segment_open(path, STOA_FILE | flags, NULL, &seg);
}

static void
files(void)
{
	const char *path = "errors.stoa";

	tell("open what is not there", try_open(path, 0));
	write_at(path, 0, "SQLite format 3, and more of it\n", 100);
	tell("open what is no segment", try_open(path, 0));
	unlink(path);
	tell("create", try_open(path, STOA_CREATE));
	write_at(path, 96, "overwritten", 1);
	tell("open what is damaged", try_open(path, 0));
	unlink(path);
}

int
main(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const quotes *q = NULL;

	out_of_memory();
	if (stoa_segment_open("errors", STOA_CREATE, NULL, &seg) ||
		stoa_object_open(seg, "quotes", quotes, &q)) {
		puts(stoa_error_text());
		return 1;
	}
	own_error(seg, q);
	wrong_type(seg);
	files();
	tell("check", stoa_segment_check(seg));
	return 0;
}
