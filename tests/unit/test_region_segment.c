/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A managed segment inside a region: of XSI memory, of an object of shm_open, at one
 * address for all. The region has the bytes, and the owner bytes (who is alive) lie
 * on a file: the region's own, or, of XSI memory, another: a region filled with the
 * number of the first before it can be found.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h> /* wants the ones above */
#include <stoa/stoa.h>

#include "region_fixture.h"

typedef struct account {
	uint64_t a, b;
} account;
STOA_TYPE(account, a, b);

enum {
	SIZE = 256 << 10,
	TOTAL = 1000
};

struct place { /* one managed segment in a region */
	stoa_region *memory, *owners;
	stoa_segment *seg;
	const account *account;
};

static int
segment_in(struct place *p, unsigned flags)
{
	int rc = stoa_segment_open(NULL, flags,
		STOA_SEGMENT_OPTIONS(.buffer = stoa_region_data(p->memory),
			.size = stoa_region_size(p->memory),
			.fd = stoa_region_fd(p->owners)),
		&p->seg);

	return rc ? rc
		  : stoa_object_open(p->seg, "account", account, &p->account);
}

static void
place_close(struct place *p)
{
	p->seg = stoa_segment_close(p->seg);
	p->memory = stoa_region_close(p->memory);
	p->owners = stoa_region_close(p->owners);
}

/* What the file of owners says: which XSI memory it is for. */
static int
owners_fill(void *data, size_t size, void *user)
{
	(void)size;
	memcpy(data, user, sizeof(int));
	return 0;
}

static void
xsi_make(struct place *p)
{
	int id;

	assert_int_equal(stoa_region_open(NULL, STOA_XSI | STOA_CREATE,
				 STOA_REGION_OPTIONS(.size = SIZE), &p->memory),
		0);
	id = stoa_region_xsi_id(p->memory);
	assert_int_equal(stoa_region_open("managed", STOA_CREATE | STOA_EXCL,
				 STOA_REGION_OPTIONS(.size = 4096,
					 .fill = owners_fill, .user = &id),
				 &p->owners),
		0);
	assert_int_equal(segment_in(p, STOA_CREATE), 0);
}

static int
xsi_find(struct place *p)
{
	int id, rc = stoa_region_open("managed", 0, NULL, &p->owners);

	if (rc)
		return rc;
	memcpy(&id, stoa_region_data(p->owners), sizeof id);
	rc = stoa_region_open(
		NULL, STOA_XSI, STOA_REGION_OPTIONS(.xsi_id = id), &p->memory);
	return rc ? rc : segment_in(p, 0);
}

/* Takes from one and is killed before it gives to the other. */
static int
dies_in_the_middle(void *user)
{
	struct place p = {.memory = NULL};

	(void)user;
	must(!xsi_find(&p));
	must(!STOA_DO(tx, p.seg, STOA_ADD(tx, p.account->a, -10),
		STOA_ADD(tx, p.account->b, 10)));
	STOA_TX(tx, p.seg);
	STOA_ADD(tx, p.account->a, -500);
	(void)kill(getpid(), SIGKILL);
	return stoa_tx_commit(tx);
}

static void
managed_in_xsi_memory(void **state)
{
	struct place p = {.memory = NULL};
	int id;

	(void)state;
	xsi_make(&p);
	id = stoa_region_xsi_id(p.memory);
	assert_int_equal(
		STOA_DO(tx, p.seg, STOA_SET(tx, p.account->a, TOTAL)), 0);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(
			scene_child(dies_in_the_middle, NULL), -SIGKILL);
		/* undone, and its lock is free */
		assert_int_equal(
			STOA_DO(tx, p.seg, STOA_ADD(tx, p.account->b, 0)), 0);
		assert_int_equal(p.account->b, 10 * i);
		assert_int_equal(p.account->a + p.account->b, TOTAL);
	}
	assert_int_equal(stoa_segment_check(p.seg), 0);
	assert_int_equal(stoa_segment_leaked(p.seg), 0);
	place_close(&p);
	/* it is all there for who comes later */
	assert_int_equal(xsi_find(&p), 0);
	assert_int_equal(p.account->a + p.account->b, TOTAL);
	place_close(&p);
	assert_int_equal(stoa_region_unlink(NULL, STOA_XSI,
				 STOA_REGION_OPTIONS(.xsi_id = id)),
		0);
	assert_int_equal(stoa_region_unlink("managed", 0, NULL), 0);
	assert_int_equal(xsi_find(&p), -ENOENT);
}

static int
adds_to_posix(void *user)
{
	STOA_CLEANUP(stoa_region) r = NULL;
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const account *a = NULL;

	must(!stoa_region_open(user, STOA_POSIX, NULL, &r));
	must(!stoa_segment_open(
		NULL, 0, STOA_SEGMENT_OPTIONS(.fd = stoa_region_fd(r)), &seg));
	must(!stoa_object_open(seg, "account", account, &a));
	for (int i = 0; i < 100; i++)
		must(!STOA_DO(tx, seg, STOA_ADD(tx, a->a, 1)));
	return 0;
}

/* An object of shm_open has a descriptor: the segment grows as any other. */
static void
managed_in_an_object_of_shm_open(void **state)
{
	char name[64];
	stoa_segment *seg = NULL;
	const account *a = NULL;
	int child[2], fd;

	(void)state;
	(void)snprintf(name, sizeof name, "/stoa-managed-%d", (int)getpid());
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(stoa_segment_open(NULL, STOA_CREATE,
				 STOA_SEGMENT_OPTIONS(.fd = fd), &seg),
		0);
	(void)close(fd);
	assert_int_equal(stoa_object_open(seg, "account", account, &a), 0);
	for (int i = 0; i < 2; i++)
		child[i] = scene_fork(adds_to_posix, name);
	for (int i = 0; i < 2; i++)
		assert_int_equal(scene_wait(child[i]), 0);
	assert_int_equal(a->a, 200);
	assert_int_equal(stoa_segment_check(seg), 0);
	seg = stoa_segment_close(seg);
	assert_int_equal(stoa_region_unlink(name, STOA_POSIX, NULL), 0);
}

/* ---- at one address for all ---- */

typedef struct raw {
	const uint64_t
		*to; /* means the same to all, since all are at one address */
} raw;
STOA_TYPE_OPAQUE(raw);

static int
fixed_open(struct place *p, unsigned flags, void *address)
{
	int rc = stoa_region_open("fixed", flags,
		STOA_REGION_OPTIONS(.size = flags ? SIZE : 0u,
			.address = address),
		&p->memory);

	if (!rc) /* this memory has a descriptor: its own tells who is alive */
		rc = stoa_region_open("fixed", 0, NULL, &p->owners);
	return rc ? rc : segment_in(p, flags & STOA_CREATE);
}

/* Another mapping, where the first one is in the other process. */
static int
follows_a_raw_pointer(void *user)
{
	struct place *p = user;
	void *address = stoa_region_data(p->memory);
	const raw *r = NULL;

	place_close(p); /* what came with the fork */
	must(!fixed_open(p, 0, address));
	must(stoa_region_data(p->memory) == address);
	must(!stoa_object_open(p->seg, "raw", raw, &r));
	must(r->to == &p->account->b && *r->to == 77);
	must(!STOA_DO(tx, p->seg, STOA_ADD(tx, p->account->b, 1),
		STOA_SET(tx, r->to, &p->account->a)));
	place_close(p);
	return 0;
}

static void
managed_at_one_address(void **state)
{
	struct place p = {.memory = NULL}, again = {.memory = NULL};
	stoa_region *r = NULL;
	const raw *pointer = NULL;
	void *address;

	(void)state;
	/* an address that is free */
	assert_int_equal(stoa_region_open(NULL, STOA_CREATE | STOA_LOCAL,
				 STOA_REGION_OPTIONS(.size = 4 * SIZE), &r),
		0);
	address = (char *)stoa_region_data(r) + SIZE;
	r = stoa_region_close(r);
	assert_int_equal(fixed_open(&p, STOA_CREATE | STOA_EXCL, address), 0);
	assert_ptr_equal(stoa_region_data(p.memory), address);
	assert_int_equal(stoa_object_open(p.seg, "raw", raw, &pointer), 0);
	assert_int_equal(STOA_DO(tx, p.seg, STOA_SET(tx, p.account->b, 77),
				 STOA_SET(tx, pointer->to, &p.account->b)),
		0);
	assert_int_equal(fixed_open(&again, 0, address), -EBUSY);
	assert_int_equal(scene_child(follows_a_raw_pointer, &p), 0);
	assert_ptr_equal(pointer->to, &p.account->a);
	assert_int_equal(p.account->b, 78);
	assert_int_equal(stoa_segment_check(p.seg), 0);
	place_close(&p);
	assert_int_equal(stoa_region_unlink("fixed", 0, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(managed_in_xsi_memory),
		TEST(managed_in_an_object_of_shm_open),
		TEST(managed_at_one_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
