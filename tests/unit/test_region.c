/* SPDX-License-Identifier: BSL-1.0 */
/*
 * region: each kind is made, found, mapped in each mode at each offset, and removed
 * as region.h says.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* wants the ones above */
#include <stoa/region.h>

#include "region_fixture.h"

/* ---- names ---- */

static void
made_found_removed(unsigned flags, const char *name)
{
	stoa_region *a = NULL, *b = NULL;
	uint64_t size = 0;
	struct stat st;

	assert_int_equal(stoa_region_open(name, flags, NULL, &a), -ENOENT);
	assert_int_equal(
		stoa_region_open(name, flags | STOA_CREATE, NULL, &a), -EINVAL);
	assert_true(text_has("options.size"));
	assert_int_equal(stoa_region_open(name, flags | STOA_CREATE | STOA_EXCL,
				 STOA_REGION_OPTIONS(.size = 10000), &a),
		0);
	assert_int_equal(stoa_region_size(a), 10000);
	assert_string_equal(stoa_region_name(a), name);
	assert_int_equal(stoa_region_mode(a), 0600);
	assert_int_equal(stoa_region_backing_size(a, &size), 0);
	assert_int_equal(size, 10000);
	if (!(flags &
		    STOA_XSI)) { /* every page is there, before a look at it makes it */
		assert_int_equal(fstat(stoa_region_fd(a), &st), 0);
		assert_true(st.st_blocks * 512 >= 10000);
		assert_int_equal(fcntl(stoa_region_fd(a), F_GETFD), FD_CLOEXEC);
	}
	assert_true(is_zero(a));
	/* there already */
	assert_int_equal(stoa_region_open(name, flags | STOA_CREATE | STOA_EXCL,
				 STOA_REGION_OPTIONS(.size = 10000), &b),
		-EEXIST);
	assert_int_equal(stoa_region_open(name, flags | STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 10000), &b),
		0);
	fill(a, 1);
	assert_true(same_bytes(a, b));
	assert_ptr_not_equal(stoa_region_data(a), stoa_region_data(b));
	assert_null(stoa_region_close(b));
	/* larger than it is */
	assert_int_equal(stoa_region_open(name, flags,
				 STOA_REGION_OPTIONS(.size = 10001), &b),
		-EINVAL);
	assert_true(text_has("10000"));
	/* removed, and used by those who have it */
	assert_int_equal(stoa_region_unlink(name, flags, NULL), 0);
	assert_int_equal(stoa_region_unlink(name, flags, NULL), -ENOENT);
	assert_int_equal(stoa_region_open(name, flags, NULL, &b), -ENOENT);
	fill(a, 2);
	assert_int_equal(stoa_region_open(name, flags | STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 5000), &b),
		0);
	assert_true(is_zero(b));
	assert_int_equal(stoa_region_unlink(name, flags, NULL), 0);
	assert_null(stoa_region_close(a));
	assert_null(stoa_region_close(b));
}

static void
each_name(void **state)
{
	char posix[64];

	(void)state;
	made_found_removed(0, "some name");
	made_found_removed(STOA_FILE, in_room("a file"));
	(void)snprintf(posix, sizeof posix, "/stoa-test-%d", (int)getpid());
	made_found_removed(STOA_POSIX, posix);
	made_found_removed(STOA_XSI, room);
	assert_int_equal(scene_entries(in_room("default")), 0);
}

static void
an_object_of_shm_open_is_the_same_one(void **state)
{
	stoa_region *r = NULL;
	char name[64];
	char *theirs;
	int fd;

	(void)state;
	(void)snprintf(name, sizeof name, "/stoa-theirs-%d", (int)getpid());
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(stoa_region_open(name, STOA_POSIX, NULL, &r), -EINVAL);
	assert_true(text_has("empty"));
	assert_int_equal(ftruncate(fd, 300), 0);
	theirs = mmap(NULL, 300, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(theirs, MAP_FAILED);
	assert_int_equal(stoa_region_open(name + 1, STOA_POSIX, NULL, &r), 0);
	assert_int_equal(stoa_region_size(r), 300);
	theirs[299] = 'x';
	assert_int_equal(((char *)stoa_region_data(r))[299], 'x');
	assert_null(stoa_region_close(r));
	assert_int_equal(stoa_region_unlink(name, STOA_POSIX, NULL), 0);
	assert_int_equal(shm_open(name, O_RDWR, 0), -1);
	assert_int_equal(
		stoa_region_open("/a/b", STOA_POSIX, NULL, &r), -EINVAL);
	assert_int_equal(
		stoa_region_open("/..", STOA_POSIX, NULL, &r), -EINVAL);
	(void)munmap(theirs, 300);
	(void)close(fd);
}

static void
xsi_by_key_by_id_and_private(void **state)
{
	stoa_region *a = NULL, *b = NULL;
	const int32_t key = ftok(room, 7);
	int id;

	(void)state;
	assert_int_equal(
		stoa_region_open(room, STOA_XSI | STOA_CREATE | STOA_EXCL,
			STOA_REGION_OPTIONS(.size = 5000, .xsi_project = 7,
				.mode = 0640),
			&a),
		0);
	id = stoa_region_xsi_id(a);
	assert_int_equal(shmget(key, 0, 0), id);
	assert_int_equal(stoa_region_mode(a), 0640);
	fill(a, 3);
	assert_int_equal(stoa_region_open(NULL, STOA_XSI,
				 STOA_REGION_OPTIONS(.xsi_key = key), &b),
		0);
	assert_true(same_bytes(a, b));
	assert_null(stoa_region_close(b));
	assert_int_equal(
		stoa_region_open(NULL, STOA_XSI | STOA_RDONLY,
			STOA_REGION_OPTIONS(.xsi_id = id, .offset = 4096), &b),
		0);
	assert_int_equal(stoa_region_size(b), 5000 - 4096);
	assert_memory_equal(stoa_region_data(b),
		(char *)stoa_region_data(a) + 4096, 5000 - 4096);
	assert_int_equal(stoa_region_shrink_back(b, 1), -ENOTSUP);
	assert_int_equal(stoa_region_resize(a, 6000), -ENOTSUP);
	assert_int_equal(stoa_region_flush(a, 0, 0), 0);
	assert_int_equal(stoa_region_export(a, 0), -ENOTSUP);
	assert_int_equal(stoa_region_shrink_back(b, stoa_region_size(b)), 0);
	assert_null(stoa_region_data(b));
	assert_null(stoa_region_close(b));
	assert_int_equal(stoa_region_open(NULL, STOA_XSI | STOA_PRIVATE,
				 STOA_REGION_OPTIONS(.xsi_id = id), &b),
		-ENOTSUP);
	assert_int_equal(stoa_region_unlink(NULL, STOA_XSI,
				 STOA_REGION_OPTIONS(.xsi_id = id)),
		0);
	assert_int_equal(shmget(key, 0, 0), -1);
	assert_null(stoa_region_close(a));
	assert_int_equal(stoa_region_unlink(NULL, STOA_XSI,
				 STOA_REGION_OPTIONS(.xsi_id = id)),
		-ENOENT);
	/* private: by its id alone, and it is there until it is removed */
	assert_int_equal(stoa_region_open(NULL, STOA_XSI | STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 10), &a),
		0);
	id = stoa_region_xsi_id(a);
	assert_null(stoa_region_close(a));
	assert_int_equal(stoa_region_open(NULL, STOA_XSI,
				 STOA_REGION_OPTIONS(.xsi_id = id), &a),
		0);
	assert_null(stoa_region_close(a));
	assert_int_equal(stoa_region_unlink(NULL, STOA_XSI,
				 STOA_REGION_OPTIONS(.xsi_id = id)),
		0);
	assert_int_equal(
		stoa_region_open(in_room("nothing"), STOA_XSI, NULL, &a),
		-ENOENT);
	assert_true(text_has("must be there"));
}

/* What could not be mapped was not made either. */
static void
a_failed_creation_leaves_nothing(void **state)
{
	stoa_region *r = NULL;
	int before = shm_count();

	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		const unsigned flags =
			STOA_CREATE | (kind ? STOA_XSI : STOA_FILE);
		const char *name = kind ? room : in_room("f");

		fault_start();
		fault_always(
			kind ? STOAI_OS_XSI : STOAI_OS_MAP, kind ? 0 : -ENOMEM);
		if (kind) /* get, key; then attach */
			fault_fail(STOAI_OS_XSI, 4, -ENOMEM);
		assert_int_equal(stoa_region_open(name, flags,
					 STOA_REGION_OPTIONS(.size = 4096), &r),
			-ENOMEM);
		fault_stop();
	}
	assert_int_equal(scene_entries(room), 0);
	assert_int_equal(shm_count(), before);
}

static int
counted_child(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		stoa_region *r = NULL;
		int rc = stoa_region_open("race", STOA_CREATE,
			STOA_REGION_OPTIONS(.size = 4096), &r);

		must(!rc);
		must(stoa_region_size(r) == 4096);
		r = stoa_region_close(r);
		rc = stoa_region_unlink("race", 0, NULL);
		must(!rc || rc == -ENOENT);
	}
	return 0;
}

static void
racing_makers_all_get_one(void **state)
{
	int child[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		child[i] = scene_fork(counted_child, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(scene_wait(child[i]), 0);
	assert_int_equal(scene_entries(in_room("default")), 0);
}

static int
fills(void *data, size_t size, void *user)
{
	stoa_region *r = NULL;

	/* nobody can see it yet; where others make it too, they may */
	if (*(int *)user > 0 &&
		stoa_region_open("filled", 0, NULL, &r) != -ENOENT)
		return -ELOOP;
	memset(data, *(int *)user, size);
	return *(int *)user == 99 ? -EDOM : 0;
}

static int
maker_that_fills(void *arg)
{
	int mine = -*(int *)arg;
	stoa_region *r = NULL;
	const char *p;

	must(!stoa_region_open("filled", STOA_CREATE,
		STOA_REGION_OPTIONS(.size = 100000, .fill = fills,
			.user = &mine),
		&r));
	p = stoa_region_data(r);
	must(p[0] != 0);
	for (size_t i = 1; i < stoa_region_size(r); i++)
		must(p[i] == p[0]);
	return p[0] == (char)mine;
}

static void
filled_before_it_is_seen(void **state)
{
	stoa_region *r = NULL;
	int user = 7, child[4], makers = 0;

	(void)state;
	assert_int_equal(stoa_region_open("filled", STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 9, .fill = fills,
					 .user = &user),
				 &r),
		0);
	assert_int_equal(*(char *)stoa_region_data(r), 7);
	user = 8; /* it is there: not filled again */
	r = stoa_region_close(r);
	assert_int_equal(stoa_region_open("filled", STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 9, .fill = fills,
					 .user = &user),
				 &r),
		0);
	assert_int_equal(*(char *)stoa_region_data(r), 7);
	r = stoa_region_close(r);
	assert_int_equal(stoa_region_unlink("filled", 0, NULL), 0);
	user = 99;
	assert_int_equal(stoa_region_open("filled", STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 9, .fill = fills,
					 .user = &user),
				 &r),
		-EDOM);
	assert_true(text_has("fill"));
	assert_int_equal(stoa_region_open("filled", 0, NULL, &r), -ENOENT);
	assert_int_equal(stoa_region_open(room, STOA_CREATE | STOA_XSI,
				 STOA_REGION_OPTIONS(.size = 9, .fill = fills,
					 .user = &user),
				 &r),
		-EINVAL);
	for (int i = 0; i < 4; i++) {
		user = i + 1;
		child[i] = scene_fork(maker_that_fills, &user);
	}
	for (int i = 0; i < 4; i++) {
		int rc = scene_wait(child[i]);

		assert_true(rc == 0 || rc == 1);
		makers += rc;
	}
	assert_int_equal(makers, 1);
}

/* ---- windows and modes ---- */

static void
any_offset_and_size(void **state)
{
	stoa_region *whole = NULL, *part = NULL;
	const size_t page = stoa_region_page(NULL), all = 3 * page + 77;

	(void)state;
	assert_int_equal(stoa_region_open("w", STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = all), &whole),
		0);
	fill(whole, 5);
	for (size_t offset = 0; offset < all; offset += 61) {
		const size_t sizes[] = {
			0, 1, (all - offset + 1) / 2, all - offset};

		for (size_t i = 0; i < 4; i++) {
			const size_t size = sizes[i] ? sizes[i] : all - offset;

			assert_int_equal(
				stoa_region_open("w", STOA_RDONLY,
					STOA_REGION_OPTIONS(.offset = offset,
						.size = sizes[i]),
					&part),
				0);
			assert_int_equal(stoa_region_size(part), size);
			assert_int_equal(stoa_region_offset(part), offset);
			assert_int_equal(
				(uintptr_t)stoa_region_data(part) % page,
				offset % page);
			assert_memory_equal(stoa_region_data(part),
				(char *)stoa_region_data(whole) + offset, size);
			part = stoa_region_close(part);
		}
	}
	assert_int_equal(stoa_region_open("w", 0,
				 STOA_REGION_OPTIONS(.offset = all), &part),
		-EINVAL);
	assert_int_equal(
		stoa_region_open("w", 0,
			STOA_REGION_OPTIONS(.offset = UINT64_MAX, .size = 2),
			&part),
		-EFBIG);
	assert_null(part);
	whole = stoa_region_close(whole);
	assert_int_equal(stoa_region_unlink("w", 0, NULL), 0);
}

static int
write_to(void *region)
{
	*(char *)stoa_region_data(region) = 1;
	return 0;
}

static void
each_mode(void **state)
{
	static const unsigned modes[] = {
		0, STOA_RDONLY, STOA_PRIVATE, STOA_PRIVATE | STOA_RDONLY};
	stoa_region *r = NULL, *shared = NULL;
	char *data;

	(void)state;
	assert_int_equal(stoa_region_open(in_room("m"), STOA_FILE | STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 4096), &shared),
		0);
	for (int i = 0; i < 4; i++) {
		char before = *(char *)stoa_region_data(shared);

		assert_int_equal(stoa_region_open(in_room("m"),
					 STOA_FILE | modes[i], NULL, &r),
			0);
		assert_int_equal(stoa_region_flags(r), STOA_FILE | modes[i]);
		data = stoa_region_data(r);
		if (modes[i] & STOA_RDONLY) {
			assert_int_equal(scene_child(write_to, r), -SIGSEGV);
			if (!(modes[i] & STOA_PRIVATE))
				assert_int_equal(
					mprotect((void *)data, 4096,
						PROT_READ | PROT_WRITE),
					-1); /* by the kernel */
		} else {
			*data = (char)(before + 1);
			assert_int_equal(*(char *)stoa_region_data(shared),
				before + (modes[i] & STOA_PRIVATE ? 0 : 1));
		}
		if (modes[i]) {
			assert_int_equal(stoa_region_resize(r, 8192), -EROFS);
			assert_true(text_has("read-only or private"));
		}
		assert_int_equal(stoa_region_flush(r, 0, 0),
			modes[i] & STOA_PRIVATE ? -EROFS : 0);
		r = stoa_region_close(r);
	}
	/* a file that may not be written can be copied on write */
	assert_int_equal(chmod(in_room("m"), 0400), 0);
	assert_int_equal(stoa_region_open(in_room("m"),
				 STOA_FILE | STOA_PRIVATE, NULL, &r),
		0);
	*(char *)stoa_region_data(r) = 99;
	r = stoa_region_close(r);
	shared = stoa_region_close(shared);
}

static void
a_fixed_address_is_had_or_refused(void **state)
{
	stoa_region *a = NULL, *b = NULL;
	const size_t page = stoa_region_page(NULL);
	char *there;

	(void)state;
	assert_int_equal(stoa_region_open("x", STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 2 * page), &a),
		0);
	there = stoa_region_data(a);
	fill(a, 9);
	assert_int_equal(stoa_region_open("x", 0,
				 STOA_REGION_OPTIONS(.address = there), &b),
		-EBUSY);
	assert_true(text_has("taken"));
	assert_int_equal(there[0], 9); /* nothing was replaced */
	/* half over it */
	assert_int_equal(
		stoa_region_open("x", 0,
			STOA_REGION_OPTIONS(.address = there + page), &b),
		-EBUSY);
	assert_int_equal(stoa_region_open("x", 0,
				 STOA_REGION_OPTIONS(.address = there + 1), &b),
		-EINVAL);
	assert_true(text_has("multiple"));
	a = stoa_region_close(a);
	assert_int_equal(stoa_region_open("x", 0,
				 STOA_REGION_OPTIONS(.address = there), &b),
		0);
	assert_ptr_equal(stoa_region_data(b), there);
	b = stoa_region_close(b);
	assert_int_equal(stoa_region_open("x", 0,
				 STOA_REGION_OPTIONS(.address = there + 100,
					 .offset = 100),
				 &b),
		0);
	assert_ptr_equal(stoa_region_data(b), there + 100);
	b = stoa_region_close(b);
	assert_int_equal(
		stoa_region_open("x", 0,
			STOA_REGION_OPTIONS(.map_flags = MAP_FIXED), &b),
		-EINVAL);
	assert_int_equal(
		stoa_region_open("x", 0,
			STOA_REGION_OPTIONS(.map_flags = MAP_POPULATE), &b),
		0);
	b = stoa_region_close(b);
	assert_int_equal(stoa_region_unlink("x", 0, NULL), 0);
}

/* ---- no name ---- */

static int
child_writes(void *region)
{
	fill(region, 42);
	return 0;
}

static void
anonymous_is_for_fork(void **state)
{
	stoa_region *r = NULL;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const unsigned flags =
			STOA_LOCAL | STOA_CREATE | (i ? STOA_PRIVATE : 0u);

		assert_int_equal(stoa_region_open(NULL, flags,
					 STOA_REGION_OPTIONS(.size = 9999), &r),
			0);
		assert_true(is_zero(r));
		assert_int_equal(stoa_region_fd(r), -1);
		assert_null(stoa_region_name(r));
		assert_int_equal(scene_child(child_writes, r), 0);
		assert_int_equal(
			((char *)stoa_region_data(r))[9998], i ? 0 : 42);
		assert_int_equal(stoa_region_resize(r, 20000), -ENOTSUP);
		r = stoa_region_close(r);
	}
	assert_int_equal(stoa_region_open("name", STOA_LOCAL | STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 1), &r),
		-EINVAL);
}

static void
given_descriptors(void **state)
{
	stoa_region *a = NULL, *b = NULL;
	int fd;

	(void)state;
	assert_int_equal(stoa_region_open(NULL, STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = 5000), &a),
		0);
	assert_int_equal(stoa_region_open(NULL, 0,
				 STOA_REGION_OPTIONS(.fd = stoa_region_fd(a),
					 .offset = 10),
				 &b),
		0);
	a = stoa_region_close(a); /* the other outlives it */
	fill(b, 8);
	assert_int_equal(stoa_region_size(b), 4990);
	b = stoa_region_close(b);
	fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	assert_int_equal(stoa_region_open(NULL, STOA_PRIVATE,
				 STOA_REGION_OPTIONS(.fd = fd), &a),
		-EINVAL);
	assert_true(text_has("options.size"));
	assert_int_equal(
		stoa_region_open(NULL, STOA_PRIVATE,
			STOA_REGION_OPTIONS(.fd = fd, .size = 100), &a),
		0);
	assert_true(is_zero(a));
	a = stoa_region_close(a);
	(void)close(fd);
	assert_int_equal(
		stoa_region_open(NULL, 0, STOA_REGION_OPTIONS(.fd = 987), &a),
		-EBADF);
	assert_int_equal(
		stoa_region_open(in_room(""), STOA_FILE, NULL, &a), -EINVAL);
	assert_int_equal(stoa_region_open(room, STOA_FILE, NULL, &a), -EPROTO);
}

/* ---- a backing of the caller's own ---- */

struct own {
	char *memory;
	size_t size;
	int maps, unmaps, closes, flushes;
};

static int
own_size(void *user, uint64_t *ret)
{
	*ret = ((struct own *)user)->size;
	return 0;
}

static int
own_map(void *user, const stoa_region_want *want, void **ret)
{
	struct own *o = user;

	if (want->address || want->flags)
		return -ENOTSUP;
	o->maps++;
	*ret = o->memory + want->offset;
	return 0;
}

static int
own_unmap(void *user, void *at, size_t size)
{
	(void)at;
	(void)size;
	((struct own *)user)->unmaps++;
	return 0;
}

static int
own_flush(void *user, void *at, size_t size, uint64_t offset, bool wait)
{
	struct own *o = user;

	(void)wait;
	o->flushes++;
	return (char *)at == o->memory + offset && size ? 0 : -EIO;
}

static void
own_close(void *user)
{
	((struct own *)user)->closes++;
}

static void
a_backing_of_ones_own(void **state)
{
	const size_t page = stoa_region_page(NULL);
	struct own own = {
		.memory = aligned_alloc(page, 4 * page), .size = 4 * page};
	stoa_region_backing b = {.struct_size = sizeof b,
		.size = own_size,
		.map = own_map,
		.unmap = own_unmap,
		.flush = own_flush,
		.close = own_close};
	stoa_region *r = NULL;

	(void)state;
	assert_non_null(own.memory);
	assert_int_equal(stoa_region_open(NULL, 0,
				 STOA_REGION_OPTIONS(.backing = &b,
					 .user = &own, .offset = page + 5),
				 &r),
		0);
	memset(&b, 0, sizeof b); /* it was copied */
	assert_ptr_equal(stoa_region_data(r), own.memory + page + 5);
	assert_int_equal(stoa_region_size(r), 3 * page - 5);
	assert_int_equal(stoa_region_fd(r), -1);
	assert_int_equal(stoa_region_flush(r, 3, 4), 0);
	assert_int_equal(own.flushes, 1);
	assert_int_equal(stoa_region_resize(r, page), -ENOTSUP);
	r = stoa_region_close(r);
	assert_int_equal(own.maps + own.unmaps + own.closes, 3);
	b = (stoa_region_backing){.struct_size = sizeof b, .size = own_size};
	assert_int_equal(
		stoa_region_open(NULL, 0,
			STOA_REGION_OPTIONS(.backing = &b, .user = &own), &r),
		-EINVAL);
	b.map = own_map;
	b.unmap = own_unmap;
	b.close = own_close;
	assert_int_equal(
		stoa_region_open(NULL, STOA_PRIVATE,
			STOA_REGION_OPTIONS(.backing = &b, .user = &own), &r),
		-ENOTSUP);
	assert_int_equal(own.closes, 1); /* was not opened */
	free(own.memory);
}

static void
wrong_use_is_refused(void **state)
{
	static const unsigned wrong[] = {1u << 20, STOA_CHECKED,
		STOA_CREATE | STOA_RDONLY, STOA_CREATE | STOA_PRIVATE,
		STOA_FILE | STOA_XSI, STOA_POSIX | STOA_FILE, STOA_LOCAL};
	stoa_region_options bad = {.struct_size = 3};
	stoa_region *r = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(stoa_region_open("n", wrong[i],
					 STOA_REGION_OPTIONS(.size = 10), &r),
			-EINVAL);
	assert_int_equal(stoa_region_open("n", STOA_CREATE, &bad, &r), -EINVAL);
	assert_int_equal(stoa_region_open(NULL, 0, NULL, &r), -EINVAL);
	assert_int_equal(
		stoa_region_open("n", STOA_CREATE,
			STOA_REGION_OPTIONS(.size = 1, .mode = 0777), &r),
		-EINVAL);
	assert_int_equal(
		stoa_region_open(room, STOA_CREATE | STOA_XSI,
			STOA_REGION_OPTIONS(.size = 1, .mode = 0777), &r),
		-EINVAL);
	assert_int_equal(stoa_region_unlink(NULL, 0, NULL), -EINVAL);
	assert_null(stoa_region_close(NULL));
	assert_null(r);
}

/* At the end of the block, however it is left; and not when told otherwise. */
static void
guards_remove_names(void **state)
{
	const char *const name[] = {"n", in_room("file")};
	stoa_region *r = NULL;

	(void)state;
	for (unsigned file = 0; file < 2; file++) {
		const unsigned flags = file ? STOA_FILE : 0u;

		for (int kept = 1; kept >= 0; kept--) {
			{
				STOA_REGION_UNLINK(guard, name[file], flags);
				assert_int_equal(
					stoa_region_open(name[file],
						flags | STOA_CREATE,
						STOA_REGION_OPTIONS(.size = 1),
						&r),
					0);
				if (kept)
					guard.name = NULL;
			}
			*(char *)stoa_region_data(r) = 1; /* its user has it */
			r = stoa_region_close(r);
			assert_int_equal(
				stoa_region_open(name[file], flags, NULL, &r),
				kept ? 0 : -ENOENT);
			r = stoa_region_close(r);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_name),
		TEST(an_object_of_shm_open_is_the_same_one),
		TEST(xsi_by_key_by_id_and_private),
		TEST(a_failed_creation_leaves_nothing),
		TEST(racing_makers_all_get_one),
		TEST(filled_before_it_is_seen),
		TEST(any_offset_and_size),
		TEST(each_mode),
		TEST(a_fixed_address_is_had_or_refused),
		TEST(anonymous_is_for_fork),
		TEST(given_descriptors),
		TEST(a_backing_of_ones_own),
		TEST(wrong_use_is_refused),
		TEST(guards_remove_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
