/* SPDX-License-Identifier: BSL-1.0 */
/* A segment as reading commands see it. See view.c. */
#ifndef TOOLS_STOA_VIEW_H
#define TOOLS_STOA_VIEW_H
#include "command.h"
#include "segment/seat.h"

struct view {
	stoa_segment *seg; /* read-only, but with --attach */
	bool settled;      /* a private picture: see view_settle */
	uint64_t mark;     /* of the segment when the picture was made */
};

/* Of commands whose view may be attached. */
#define VIEW_ATTACH_OPTION \
 { \
  "attach", 'A', NULL, 0, \
	  "Take a slot and locks, as every program does: for segments " \
	  "that others change without a pause. Changes the segment", \
	  0 \
 }

enum {
	VIEW_WAIT_MS = 500 /* for a lock, before the private picture is taken */
};

/* Reads nothing but the header. 0, or an error with its text. */
int view_open(const struct call *c, const char *name, struct view *v);
void view_close(struct view *v);
/*
 * Reads: f on a private picture of the segment, in which everybody died at one
 * moment and was recovered, and which held still; if there is none, since others
 * change the segment all the time, f on the segment as it lives. f may be called
 * any number of times. Returns what it did, or -EAGAIN.
 */
int view_read(struct view *v, int (*f)(struct view *v, void *user), void *user);
/* The picture alone, with patience. 0, -EAGAIN, or a failure. */
int view_settle(struct view *v);
/* "recovered": as it would be after recovery; "live"; "attached" */
const char *view_picture(const struct view *v);

/* The file of a name; "" and an error with text when it cannot have one. */
int view_path(const struct call *c, const char *name, char *path);
/*
 * What programs call the segment: a name too long for a file is whole in the segment
 * alone. `name`, which it was opened by, where that is another one or a copy's.
 */
const char *view_name(const struct call *c, const struct view *v,
	const char *name, char buf[STOAI_NAME_SIZE]);
/* One word for why a segment could not be opened. */
const char *view_state_of_error(int rc);
/* Is it the segment's fault: are its bytes not what they must be? */
bool view_is_damage(int rc);
/* Tells of it, with what to do; returns the status. */
int view_error(const char *name, int rc);

#endif
