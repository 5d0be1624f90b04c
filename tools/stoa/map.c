/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Where in the heap is what? A picture of equal cells in order of addresses, each one
 * span or a power of two of them; as characters, or as SVG with a text at each cell.
 *
 * A cell is of the kind that most of its bytes have, and as full as its bytes are.
 */
#include "map.h"
#include <inttypes.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "command.h"
#include "heap.h"
#include "heap/span.h"
#include "out.h"

enum {
	COLUMNS = 64,
	CELLS = COLUMNS * 16,
	SVG_COLUMNS = 128,
	SVG_CELLS = SVG_COLUMNS * 64,
	CELL = 8, /* pixels */
	LEVELS = 8,
	KINDS = STOA_HEAP_DAMAGED + 1
};

struct cell {
	uint64_t kind[KINDS]; /* bytes */
	uint64_t held;        /* bytes of blocks that are somebody's */
	uint64_t returned;    /* bytes that the system has back */
	stoa_heap_span last;  /* what lies at its end */
};

struct picture {
	struct cell *cell;
	uint64_t count, spans; /* spans of a cell */
	uint64_t span_size;
};

json_t *
map_rows(stoa_segment *seg)
{
	stoa_heap_span it = stoa_heap_spans(seg);
	json_t *rows = json_array();

	while (stoa_heap_span_next(&it)) {
		json_t *row = out_add(rows);

		out_set_text(row, "kind", heap_kind(it.kind));
		out_set_number(row, "first", it.first);
		out_set_number(row, "count", it.count);
		out_set_number(row, "offset", it.offset);
		out_set_number(row, "bytes", it.bytes);
		if (it.slot != STOA_HEAP_NOBODY)
			out_set_number(row, "slot", it.slot);
		if (it.kind == STOA_HEAP_FREE)
			out_set_bool(row, "returned", it.returned);
		if (!it.blocks)
			continue;
		out_set_number(row, "size", it.size);
		out_set_number(row, "blocks", it.blocks);
		out_set_number(row, "used", it.used);
		out_set_number(row, "transient", it.transient);
	}
	return rows;
}

/* ---- cells ---- */

/* Its part in each cell that the run lies in. */
static void
paint(struct picture *p, const stoa_heap_span *it)
{
	uint64_t held = it->used_bytes + it->transient_bytes;

	for (uint64_t at = it->first, end = at + it->count; at < end;) {
		uint64_t c = at / p->spans;
		uint64_t stop = stoai_min((c + 1) * p->spans, end);
		uint64_t bytes = (stop - at) * p->span_size;

		if (c >= p->count)
			return; /* it grew meanwhile */
		p->cell[c].kind[it->kind] += bytes;
		p->cell[c].held += (uint64_t)((double)held * (double)bytes /
					      (double)it->bytes);
		p->cell[c].returned += it->returned ? bytes : 0;
		p->cell[c].last = *it;
		at = stop;
	}
}

/* At most so many cells. */
static struct picture
picture_make(stoa_segment *seg, uint64_t cells)
{
	uint64_t count = stoai_span_count(seg);
	stoa_heap_span it = stoa_heap_spans(seg);
	struct picture p = {
		.spans = 1, .span_size = UINT64_C(1) << seg->span_shift};

	while (count > cells * p.spans)
		p.spans *= 2;
	p.count = (count + p.spans - 1) / p.spans;
	p.cell = calloc(p.count + 1, sizeof *p.cell);
	if (!p.cell) {
		(void)out_error(STATUS_OPERATION, "out of memory");
		exit(STATUS_OPERATION);
	}
	while (stoa_heap_span_next(&it))
		paint(&p, &it);
	return p;
}

static stoa_heap_kind
cell_kind(const struct cell *c)
{
	stoa_heap_kind kind = STOA_HEAP_FREE;

	if (c->kind[STOA_HEAP_DAMAGED])
		return STOA_HEAP_DAMAGED;
	for (int i = 0; i < KINDS; i++)
		if (c->kind[i] > c->kind[kind])
			kind = (stoa_heap_kind)i;
	return kind;
}

/* 1 to LEVELS; 0: no byte of it is anybody's. */
static unsigned
cell_level(const struct cell *c)
{
	uint64_t all = 0;

	for (int i = 0; i < KINDS; i++)
		all += c->kind[i];
	return all && c->held ? (unsigned)((c->held * LEVELS + all - 1) / all)
			      : 0;
}

/* ---- characters ---- */

static const char *
glyph(const struct cell *c, bool utf8)
{
	static const char *const fine[] = {
		"▁", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const plain[] = {
		"0", "1", "2", "3", "4", "5", "6", "7", "8"};

	switch (cell_kind(c)) {
	case STOA_HEAP_SLAB:
		return (utf8 ? fine : plain)[stoai_min(cell_level(c), LEVELS)];
	case STOA_HEAP_LARGE:
		return utf8 ? "▒" : "L";
	case STOA_HEAP_LENT:
		return "=";
	case STOA_HEAP_DAMAGED:
		return "!";
	case STOA_HEAP_FREE:
	default:
		return c->returned ? "_" : utf8 ? "·" : ".";
	}
}

void
map_text(stoa_segment *seg)
{
	bool utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	struct picture p = picture_make(seg, CELLS);

	out_line("a character is %" PRIu64 " KiB: %s blocks of a size, the "
		 "fuller the higher; %s a large block; = a heap class's; %s "
		 "free; _ free, and "
		 "the system has its pages",
		p.spans * p.span_size >> 10, utf8 ? "▁ to █" : "0 to 8",
		utf8 ? "▒" : "L", utf8 ? "·" : ".");
	for (uint64_t at = 0; at < p.count; at += COLUMNS) {
		char line[COLUMNS * 4 + 1];
		size_t size = 0;

		for (uint64_t i = at; i < stoai_min(at + COLUMNS, p.count);
			i++) {
			const char *text = glyph(&p.cell[i], utf8);

			memcpy(line + size, text, strlen(text) + 1);
			size += strlen(text);
		}
		out_line("%8.2f MiB  %s",
			(double)(at * p.spans * p.span_size) / (1 << 20),
			size ? line : "");
	}
	free(p.cell);
}

/* ---- SVG ---- */

static void
svg_text(FILE *to, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			(void)fputs("&lt;", to);
			break;
		case '&':
			(void)fputs("&amp;", to);
			break;
		default:
			(void)fputc(
				(unsigned char)*text < ' ' ? '?' : *text, to);
		}
}

static void
svg_title(FILE *to, const struct picture *p, uint64_t i)
{
	const struct cell *c = &p->cell[i];
	const stoa_heap_span *it = &c->last;

	(void)fprintf(to,
		"<title>%" PRIu64 " KiB: ", i * p->spans * p->span_size >> 10);
	if (p->spans > 1)
		(void)fprintf(to,
			"free %" PRIu64 " KiB, slabs %" PRIu64
			" KiB, large %" PRIu64 " KiB, in use %" PRIu64 " KiB",
			c->kind[STOA_HEAP_FREE] >> 10,
			c->kind[STOA_HEAP_SLAB] >> 10,
			c->kind[STOA_HEAP_LARGE] >> 10, c->held >> 10);
	else if (it->kind == STOA_HEAP_FREE)
		(void)fprintf(to, "free%s",
			it->returned ? ", the system has its pages" : "");
	else
		(void)fprintf(to,
			"%s, blocks of %" PRIu64 " bytes: %" PRIu64
			" of shared data, %" PRIu64 " of threads, %" PRIu64
			" in all",
			heap_kind(it->kind), it->size, it->used, it->transient,
			it->blocks);
	if (p->spans == 1 && it->slot != STOA_HEAP_NOBODY)
		(void)fprintf(to, "; of slot %" PRIu32, it->slot);
	(void)fputs("</title>", to);
}

static const char *const colours[KINDS] = {[STOA_HEAP_FREE] = "#d8dee9",
	[STOA_HEAP_SLAB] = "#1b6ca8",
	[STOA_HEAP_LARGE] = "#c8553d",
	[STOA_HEAP_LENT] = "#5a8f4f",
	[STOA_HEAP_DAMAGED] = "#ff00ff"};

static void
svg_cell(FILE *to, const struct picture *p, uint64_t i)
{
	const struct cell *c = &p->cell[i];
	stoa_heap_kind kind = cell_kind(c);
	double strong = kind != STOA_HEAP_FREE && kind != STOA_HEAP_DAMAGED
				? 0.25 + 0.75 * cell_level(c) / LEVELS
			: c->returned ? 0.3
				      : 1;

	(void)fprintf(to,
		"<rect x='%" PRIu64 "' y='%" PRIu64
		"' width='%d' height='%d' fill='%s' fill-opacity='%.2f'>",
		i % SVG_COLUMNS * CELL, 40 + i / SVG_COLUMNS * CELL, CELL - 1,
		CELL - 1, colours[kind], strong);
	svg_title(to, p, i);
	(void)fputs("</rect>\n", to);
}

void
map_svg(stoa_segment *seg, const char *name, FILE *to)
{
	static const char *const legend[KINDS] = {"free",
		"blocks of one size, the fuller the darker", "large blocks",
		"a heap class's", "damaged"};
	struct picture p = picture_make(seg, SVG_CELLS);
	uint64_t height = 48 + (p.count / SVG_COLUMNS + 1) * CELL;

	(void)fprintf(to,
		"<svg xmlns='http://www.w3.org/2000/svg' width='%d' "
		"height='%" PRIu64 "' font-family='sans-serif' "
		"font-size='12'>\n<rect width='100%%' height='100%%' "
		"fill='white'/>\n<text x='0' y='14'>",
		SVG_COLUMNS * CELL, height);
	svg_text(to, name);
	(void)fprintf(to, ": a cell is %" PRIu64 " KiB</text>\n",
		p.spans * p.span_size >> 10);
	for (int i = 0; i < STOA_HEAP_DAMAGED; i++)
		(void)fprintf(to,
			"<rect x='%d' y='22' width='10' height='10' "
			"fill='%s'/><text x='%d' y='31'>%s</text>\n",
			i * 260, colours[i], i * 260 + 16, legend[i]);
	for (uint64_t i = 0; i < p.count; i++)
		svg_cell(to, &p, i);
	(void)fputs("</svg>\n", to);
	free(p.cell);
}
