/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What cannot be opened: each reason has its error and its text, in every way of
 * opening, and nothing is changed, crashes or is left open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "segment/geometry.h"
#include "segment_fixture.h"
#include "stoa/stoa.h"

static char path[128], good[128];

enum {
	CUT = -2 /* one page less */
};

static int
group_setup(void **state)
{
	stoa_segment *seg = NULL;

	if (directory_setup(state))
		return 1;
	snprintf(path, sizeof path, "%s/bad", directory);
	snprintf(good, sizeof good, "%s/good", directory);
	if (stoa_segment_open(good, STOA_FILE | STOA_CREATE,
		    STOA_SEGMENT_OPTIONS(.size = 65536, .limit = 1 << 20),
		    &seg))
		return 1;
	stoa_segment_close(seg);
	return 0;
}

/* The good file's bytes at path, with a header that change() has been at. */
static void
write_changed(void (*change)(struct stoai_header *h), off_t length)
{
	static char bytes[4 << 20];
	int from = open(good, O_RDONLY), to;
	ssize_t n = read(from, bytes, sizeof bytes);

	assert_true(n > STOAI_HEADER_SIZE && n < (ssize_t)sizeof bytes);
	close(from);
	if (change)
		change((struct stoai_header *)(void *)bytes);
	to = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(to, bytes, (size_t)n), n);
	if (length == CUT)
		length = n - 4096;
	if (length >= 0)
		assert_int_equal(ftruncate(to, length), 0);
	close(to);
}

static void
sum(struct stoai_header *h)
{
	h->sum = stoai_geometry_sum(h);
}

static void
magic(struct stoai_header *h)
{
	h->magic ^= 1;
	sum(h);
}

static void
byte_order(struct stoai_header *h)
{
	h->byte_order = UINT32_C(0x04030201);
	sum(h);
}

static void
version(struct stoai_header *h)
{
	h->layout_version = 77;
	sum(h);
}

static void
bad_sum(struct stoai_header *h)
{
	h->sum ^= 1;
}

static void
feature(struct stoai_header *h)
{
	h->features_incompat = 1 << 5;
	sum(h);
}

static void
layout(struct stoai_header *h)
{
	h->heap_off += 4096;
	sum(h);
}

static void
page_size(struct stoai_header *h)
{
	struct stoai_wish wish = {.size = 65536, .limit = 1 << 20};

	assert_int_equal(stoai_geometry(&wish, h), 0);
	h->page_size = 16384; /* laid out for pages that we do not have */
	h->lanes_off = 16384;
	h->slots_off = STOAI_HEADER_SIZE;
	h->lane_stride = 16384;
	h->table_off = h->lanes_off + (uint64_t)h->slot_count * 16384;
	h->meta_off =
		(h->table_off + (UINT64_C(1) << 20 >> h->span_shift) * 8 + 63) &
		~UINT64_C(63);
	h->heap_off =
		(h->meta_off +
			(UINT64_C(1) << 20 >> h->span_shift) * h->meta_stride +
			16383) &
		~UINT64_C(16383);
	h->reserve = h->heap_off + (1 << 20);
	h->root_off = h->heap_off + 64;
	sum(h);
}

static void
committed(struct stoai_header *h)
{
	h->committed = h->reserve + 4096;
}

static void
other_boot(struct stoai_header *h)
{
	h->boot_id[3] ^= 1;
	h->clean = 0;
}

static const struct refused {
	const char *what;
	void (*change)(struct stoai_header *h);
	off_t length; /* -1: whole */
	int rc;
	const char *text;
} refused[] = {
	{"magic", magic, -1, -EPROTO, "not a stoa segment: it begins with"},
	{"empty", NULL, 0, -EPROTO, "remove the empty file first"},
	{"a few bytes", NULL, 100, -EPROTO, "only 100 bytes long"},
	{"a header alone", NULL, 1024, -EBADMSG, "1024 bytes long, its header"},
	{"cut", NULL, CUT, -EBADMSG, "bytes long, its header wants"},
	{"byte order", byte_order, -1, -ENOTSUP, "another byte order"},
	{"version", version, -1, -ENOTSUP, "has layout version 77"},
	{"feature", feature, -1, -ENOTSUP, "uses features 0x20"},
	{"pages", page_size, -1, -ENOTSUP, "made for pages of 16384"},
	{"sum", bad_sum, -1, -EBADMSG, "header sum is"},
	{"layout", layout, -1, -EBADMSG, "contradicts itself"},
	{"size", committed, -1, -EBADMSG, "its header wants"},
	{"another boot", other_boot, -1, -ESTALE,
		"move it away and create it anew"},
};

static void
headers(void **state)
{
	static const unsigned ways[] = {
		0, STOA_RDONLY, STOA_PRIVATE, STOA_CREATE, STOA_CHECKED};

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(refused); i++) {
		const struct refused *r = &refused[i];
		int before = scene_fds();

		for (size_t way = 0; way < STOAI_COUNT(ways); way++) {
			stoa_segment *seg = NULL;
			int rc;

			write_changed(r->change, r->length);
			rc = stoa_segment_open(
				path, STOA_FILE | ways[way], NULL, &seg);
			if (rc != r->rc || !strstr(stoa_error_text(), r->text))
				fail_msg("%s: %d (%s)", r->what, rc,
					stoa_error_text());
			assert_null(seg);
			assert_int_equal(
				stoa_segment_resize(path, STOA_FILE, NULL, 0),
				r->rc);
		}
		assert_int_equal(scene_fds(), before);
	}
	unlink(path);
}

/* A buffer that holds no segment is told apart in the same way. */
static void
buffers(void **state)
{
	_Alignas(64) static char buffer[1 << 20];
	stoa_segment *seg = NULL;
	const stoa_segment_options *o =
		STOA_SEGMENT_OPTIONS(.buffer = buffer, .size = sizeof buffer);

	(void)state;
	assert_int_equal(stoa_segment_open(NULL, 0, o, &seg), -EPROTO);
	for (size_t i = 0; i < STOAI_COUNT(refused); i++) {
		struct stoai_header *h = (void *)buffer;

		if (!refused[i].change || refused[i].change == other_boot ||
			refused[i].change == page_size)
			continue;
		assert_int_equal(
			stoa_segment_open(NULL, STOA_CREATE, o, &seg), 0);
		stoa_segment_close(seg);
		seg = NULL;
		refused[i].change(h);
		assert_int_equal(
			stoa_segment_open(NULL, 0, o, &seg), refused[i].rc);
		assert_null(seg);
	}
}

/* What lies under a name and is no file. */
static void
foreign_types(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	stoa_segment *seg = NULL;
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	for (int i = 0; i < 5; i++) {
		static const char *const text[] = {"is a directory",
			"is a symbolic link", "is a fifo", "is a socket",
			"is a device"};
		int rc = i == 0   ? mkdir(path, 0700)
			 : i == 1 ? symlink(good, path)
			 : i == 2 ? mkfifo(path, 0600)
			 : i == 3 ? bind(s, (void *)&at, sizeof at)
				  : 0;
		const char *name = i == 4 ? "/dev/zero" : path;

		assert_int_equal(rc, 0);
		for (unsigned way = 0; way < 3; way++) {
			static const unsigned flags[] = {
				0, STOA_RDONLY, STOA_CREATE};

			assert_int_equal(
				stoa_segment_open(name, STOA_FILE | flags[way],
					NULL, &seg),
				-EPROTO);
			assert_non_null(strstr(stoa_error_text(), text[i]));
		}
		(void)(i ? unlink(path) : rmdir(path));
	}
	close(s);
}

static void
hostile_names(void **state)
{
	static const char *const name[] = {"", ".", "..", ".hidden", "a/b",
		"../x", "a\nb", "\xff\xfe", "a\x7f"};
	stoa_segment *seg = NULL;

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(name); i++) {
		assert_int_equal(
			stoa_segment_open(name[i], STOA_CREATE, NULL, &seg),
			-EINVAL);
		assert_int_equal(
			stoa_segment_resize(name[i], 0, NULL, 0), -EINVAL);
		assert_int_equal(
			stoa_segment_unlink(name[i], 0, NULL), -EINVAL);
	}
	assert_null(seg);
}

/* No descriptor is left: an error, and the one before it works again. */
static void
descriptors_run_out(void **state)
{
	struct rlimit old, few;
	stoa_segment *seg = NULL;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 3; /* what is open stays open */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(
		stoa_segment_open(good, STOA_FILE, NULL, &seg), -EMFILE);
	assert_int_equal(
		stoa_segment_open(good, STOA_FILE | STOA_PRIVATE, NULL, &seg),
		-EMFILE);
	assert_int_equal(
		stoa_segment_resize(good, STOA_FILE, NULL, 0), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(stoa_segment_open(good, STOA_FILE, NULL, &seg), 0);
	stoa_segment_close(seg);
}

/* A real file system of 1 MiB: full is an error of each call, never a signal. */
static void
full_file_system(void **state)
{
	char mount_at[128], name[160], copy[160];
	stoa_segment *seg = NULL, *mine = NULL;
	int rc;

	(void)state;
	snprintf(mount_at, sizeof mount_at, "%s/small", directory);
	assert_int_equal(mkdir(mount_at, 0700), 0);
	if (mount("stoa", mount_at, "tmpfs", 0, "size=1m")) {
		printf("full_file_system: SKIPPED: mount: %s\n",
			strerror(errno));
		return;
	}
	snprintf(name, sizeof name, "%s/seg", mount_at);
	snprintf(copy, sizeof copy, "%s/copy", mount_at);
	assert_int_equal(stoa_segment_open(name, STOA_FILE | STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.size = 4 << 20), &seg),
		-ENOSPC);
	assert_int_equal(access(name, F_OK), -1);
	assert_int_equal(
		stoa_segment_open(name, STOA_FILE | STOA_CREATE,
			STOA_SEGMENT_OPTIONS(.size = 600000, .limit = 8 << 20),
			&seg),
		0);
	rc = stoa_segment_save(seg, copy, STOA_FILE, NULL);
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(access(copy, F_OK), -1);
	/* a private copy needs nothing of it */
	assert_int_equal(
		stoa_segment_open(name, STOA_FILE | STOA_PRIVATE, NULL, &mine),
		0);
	stoa_segment_close(mine);
	stoa_segment_close(seg);
	assert_int_equal(
		stoa_segment_resize(name, STOA_FILE, NULL, 4 << 20), -ENOSPC);
	assert_non_null(strstr(stoa_error_text(), "file system is full"));
	assert_true(stoa_segment_resize(name, STOA_FILE, NULL, 0) > 0);
	assert_int_equal(stoa_segment_open(name, STOA_FILE, NULL, &seg), 0);
	assert_int_equal(stoa_segment_check(seg), 0);
	stoa_segment_close(seg);
	assert_int_equal(umount(mount_at), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(buffers),
		cmocka_unit_test(foreign_types),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(descriptors_run_out),
		cmocka_unit_test(full_file_system),
	};

	return cmocka_run_group_tests(tests, group_setup, directory_teardown);
}
