/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Who may open what: modes whatever the umask, owner, group, and other users that
 * really are others. Wants root; says so where it is not.
 */
#include <grp.h>
#include "proc.h"

enum {
	ANN = 61001, /* users and groups that nobody has */
	BOB = 61002,
	STAFF = 61003
};

typedef struct one {
	uint64_t n;
} one;
STOA_TYPE(one, n);

static char path[128];

struct visit { /* one other user's opening, and what it should give */
	uint32_t uid, gid;
	unsigned flags;
	uint32_t trusts; /* .owner */
	int want;
};

static int
visitor(struct peer *me, void *user)
{
	const struct visit *v = user;
	stoa_segment *seg = NULL;
	const one *o = NULL;
	int rc;

	(void)me;
	MUST(!setgroups(0, NULL) && !setresgid(v->gid, v->gid, v->gid) &&
		!setresuid(v->uid, v->uid, v->uid));
	rc = stoa_segment_open(path, STOA_FILE | v->flags,
		STOA_SEGMENT_OPTIONS(.owner = v->trusts), &seg);
	if (rc != v->want)
		fprintf(stderr, "uid %u gid %u flags %x: %d, not %d (%s)\n",
			v->uid, v->gid, v->flags, rc, v->want,
			stoa_error_text());
	MUST(rc == v->want);
	if (!rc && !v->flags) { /* it can be worked with */
		MUST(!stoa_object_open(seg, "one", one, &o));
		MUST(!STOA_DO(tx, seg, STOA_ADD(tx, o->n, 1)));
	}
	if (!rc && v->flags & STOA_RDONLY) {
		STOA_READ(rd, seg);
		MUST(stoa_object_find(rd, "one", one));
		MUST(!stoa_tx_error(rd));
	}
	stoa_segment_close(seg);
	return 0;
}

static void
visits(const struct visit *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct visit mine = v[i];
		struct peer p = peer_start(visitor, &mine);

		peer_join(&p);
	}
}

static stoa_segment *
made(uint32_t mode, uint32_t owner, uint32_t group)
{
	stoa_segment *seg = NULL;
	const one *o = NULL;

	assert_int_equal(
		stoa_segment_open(path, STOA_FILE | STOA_CREATE | STOA_EXCL,
			STOA_SEGMENT_OPTIONS(.mode = mode, .owner = owner,
				.group = group),
			&seg),
		0);
	assert_int_equal(stoa_object_open(seg, "one", one, &o), 0);
	return seg;
}

#define VISITS(...) \
 visits((const struct visit[]){__VA_ARGS__}, \
	 sizeof((const struct visit[]){__VA_ARGS__}) / sizeof(struct visit))

static void
modes(void **state)
{
	stoa_segment *seg;
	struct stat st;

	(void)state;
	umask(077);
	seg = made(0666, 0, 0);
	umask(022);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	VISITS({ANN, ANN, 0, 0, 0}, {ANN, ANN, STOA_RDONLY, 0, 0});
	stoa_segment_close(seg);
	unlink(path);

	seg = made(0644, 0, 0);
	VISITS({ANN, ANN, 0, 0, -EACCES}, {ANN, ANN, STOA_RDONLY, 0, 0},
		{ANN, ANN, STOA_PRIVATE, 0, 0});
	stoa_segment_close(seg);
	unlink(path);

	seg = made(0, 0, 0); /* 0600 */
	VISITS({ANN, ANN, 0, 0, -EACCES}, {ANN, ANN, STOA_RDONLY, 0, -EACCES},
		{ANN, ANN, STOA_PRIVATE, 0, -EACCES});
	stoa_segment_close(seg);
	unlink(path);
}

static void
groups(void **state)
{
	stoa_segment *seg = made(0640, 0, STOA_ID(STAFF));
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_gid, STAFF);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	VISITS({ANN, STAFF, STOA_RDONLY, 0, 0}, {ANN, STAFF, 0, 0, -EACCES},
		{ANN, ANN, STOA_RDONLY, 0, -EACCES});
	stoa_segment_close(seg);
	unlink(path);
	seg = made(0660, 0, STOA_ID(STAFF));
	VISITS({ANN, STAFF, 0, 0, 0}, {BOB, STAFF, 0, 0, 0},
		{BOB, BOB, 0, 0, -EACCES});
	stoa_segment_close(seg);
	unlink(path);
}

/* A file of a user who is neither we nor root is opened only if it is named. */
static void
owners(void **state)
{
	stoa_segment *seg = made(0666, STOA_ID(ANN), 0);
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, ANN);
	VISITS({ANN, ANN, 0, 0, 0}, {BOB, BOB, 0, 0, -EPERM},
		{BOB, BOB, STOA_RDONLY, 0, -EPERM},
		{BOB, BOB, STOA_PRIVATE, 0, -EPERM},
		{BOB, BOB, 0, STOA_ID(BOB), -EPERM},
		{BOB, BOB, 0, STOA_ID(ANN), 0},
		{BOB, BOB, STOA_RDONLY, STOA_ID(ANN), 0},
		{BOB, BOB, 0, STOA_ANYBODY, 0});
	stoa_segment_close(seg);
	unlink(path);
}

/* Who is not root gives nothing away, and leaves nothing behind. */
static int
gives_away(struct peer *me, void *user)
{
	stoa_segment *seg = NULL;
	char mine[160];

	(void)me;
	(void)user;
	snprintf(mine, sizeof mine, "%s.given", path);
	MUST(!setgroups(0, NULL) && !setresgid(ANN, ANN, ANN) &&
		!setresuid(ANN, ANN, ANN));
	MUST(stoa_segment_open(mine, STOA_FILE | STOA_CREATE,
		     STOA_SEGMENT_OPTIONS(.owner = STOA_ID(BOB)),
		     &seg) == -EPERM);
	MUST(strstr(stoa_error_text(), "cannot give"));
	MUST(access(mine, F_OK));
	MUST(!stoa_segment_open(mine, STOA_FILE | STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.owner = STOA_ID(ANN)), &seg));
	stoa_segment_close(seg);
	MUST(!unlink(mine));
	return 0;
}

static void
giving_away(void **state)
{
	struct peer p = peer_start(gives_away, NULL);

	(void)state;
	peer_join(&p);
}

static int
setup(void **state)
{
	if (folder_setup(state))
		return -1;
	snprintf(path, sizeof path, "%s/file", test_folder);
	return chmod(test_folder, 01777);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes),
		cmocka_unit_test(groups),
		cmocka_unit_test(owners),
		cmocka_unit_test(giving_away),
	};

	if (geteuid()) {
		puts("proc/permissions: SKIPPED: not root, so there are no "
		     "other users to be");
		return 0;
	}
	return cmocka_run_group_tests(tests, setup, folder_teardown);
}
