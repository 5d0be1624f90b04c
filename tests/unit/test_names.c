/* SPDX-License-Identifier: BSL-1.0 */
/* region: which names there are, what path they have, in which directories. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h> /* wants the ones above */

#include "base/base.h"
#include "fault.h"
#include "os/os.h"
#include "region/backing.h"
#include "scene.h"

enum {
	SECONDS = 55,
	SOMEBODY = 54321,
	NOBODY = 65534
};

static char *room;
static char path[STOAI_PATH_MAX];
static int fds_before;

static int
room_open(void **state)
{
	(void)state;
	room = scene_directory(false);
	fds_before = scene_fds();
	(void)unsetenv("STOA_DIRECTORY");
	(void)unsetenv("STOA_DOMAIN");
	return 0;
}

static int
room_close(void **state)
{
	int fds = scene_fds();

	(void)state;
	fault_stop();
	scene_remove(room);
	return fds == fds_before ? 0 : -1;
}

static uint32_t
mode_of(const char *of)
{
	struct stat st;

	return stat(of, &st) ? 0 : st.st_mode & 07777;
}

static bool
text_has(const char *words)
{
	if (strstr(stoa_error_text(), words))
		return true;
	(void)fprintf(
		stderr, "'%s' is not in '%s'\n", words, stoa_error_text());
	return false;
}

/* ---- what a name may be ---- */

#define TEN     "0123456789"
#define FIFTY   TEN TEN TEN TEN TEN
#define HUNDRED FIFTY FIFTY

static const char *const good_names[] = {
	"a",
	"prices",
	"a b",
	"x.y",
	"x..",
	"-rf",
	"~",
	"$HOME",
	"\xc3\xa4\xc3\xb6\xe2\x82\xac\xf0\x9f\x8e\x89",
	"\xef\xbf\xbf",     /* U+FFFF */
	"\xf4\x8f\xbf\xbf", /* U+10FFFF */
	"\xed\x9f\xbf",     /* U+D7FF */
	"\xc2\xa0",         /* U+00A0, the first after the controls */
	HUNDRED HUNDRED,
};

static const struct {
	const char *name;
	int rc;
	const char *text;
} bad_names[] = {
	{NULL, -EINVAL, "empty"},
	{"", -EINVAL, "empty"},
	{".", -EINVAL, "dot"},
	{"..", -EINVAL, "dot"},
	{".hidden", -EINVAL, "dot"},
	{".x.0123456789abcdef.stoa-new", -EINVAL, "dot"},
	{"/", -EINVAL, "'/' at its byte 0"},
	{"/prices", -EINVAL, "'/' at its byte 0"},
	{"a/b", -EINVAL, "'/' at its byte 1"},
	{"a/", -EINVAL, "'/' at its byte 1"},
	{"x/../../etc/passwd", -EINVAL, "'/' at its byte 1"},
	{HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED, -ENAMETOOLONG, "more than"},
	{"\n", -EINVAL, "U+000A"},
	{"ab\x1b[2J", -EINVAL, "(U+001B) at its byte 2"},
	{"a\x7f", -EINVAL, "U+007F"},
	{"\xc2\x80", -EINVAL, "U+0080"},
	{"\xc2\x9b", -EINVAL, "U+009B"},
	{"\x80", -EINVAL, "not UTF-8 at its byte 0 (0x80)"},
	{"a\xff", -EINVAL, "not UTF-8 at its byte 1 (0xff)"},
	{"\xc0\xaf", -EINVAL, "not UTF-8"},         /* '/' in two bytes */
	{"\xe0\x80\xaf", -EINVAL, "not UTF-8"},     /* in three */
	{"\xf0\x80\x80\xaf", -EINVAL, "not UTF-8"}, /* in four */
	{"\xc3", -EINVAL, "not UTF-8"},             /* cut off */
	{"\xe2\x82", -EINVAL, "not UTF-8"},
	{"\xf0\x9f\x8e", -EINVAL, "not UTF-8"},
	{"\xc3g", -EINVAL, "not UTF-8"},
	{"\xed\xa0\x80", -EINVAL, "not UTF-8"},     /* U+D800 */
	{"\xed\xbf\xbf", -EINVAL, "not UTF-8"},     /* U+DFFF */
	{"\xf4\x90\x80\x80", -EINVAL, "not UTF-8"}, /* U+110000 */
	{"\xf8\x88\x80\x80\x80", -EINVAL, "not UTF-8"},
};

static void
test_good_names(void **state)
{
	char expected[STOAI_PATH_MAX];

	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(good_names); i++) {
		const char *name = good_names[i];

		assert_int_equal(
			stoai_backing_path(name, room, "d", false, path), 0);
		(void)snprintf(
			expected, sizeof expected, "%s/d/%s", room, name);
		assert_string_equal(path, expected);
		assert_int_equal(
			stoai_backing_path("n", room, name, false, path), 0);
	}
	assert_int_equal(scene_entries(room), 0);
}

static void
test_bad_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < STOAI_COUNT(bad_names); i++) {
		const char *name = bad_names[i].name;

		(void)strcpy(path, "rubbish");
		assert_int_equal(
			stoai_backing_path(name, room, "d", true, path),
			bad_names[i].rc);
		assert_true(text_has(bad_names[i].text) && text_has("name"));
		assert_string_equal(path, "");
		if (!name)
			continue; /* the default domain */
		assert_int_equal(
			stoai_backing_path("n", room, name, true, path),
			bad_names[i].rc);
		assert_true(text_has(bad_names[i].text) && text_has("domain"));
	}
	assert_int_equal(scene_entries(room), 0);
}

/* ---- which path ---- */

static void
test_settings(void **state)
{
	char expected[STOAI_PATH_MAX];

	(void)state;
	/* nothing said; only looked at, never made here */
	assert_int_equal(stoai_backing_path("n", NULL, NULL, false, path), 0);
	(void)snprintf(expected, sizeof expected, "/dev/shm/stoa-%u/default/n",
		(unsigned)geteuid());
	assert_string_equal(path, expected);
	/* the environment */
	(void)setenv("STOA_DIRECTORY", room, 1);
	(void)setenv("STOA_DOMAIN", "env", 1);
	assert_int_equal(stoai_backing_path("n", NULL, NULL, false, path), 0);
	(void)snprintf(expected, sizeof expected, "%s/env/n", room);
	assert_string_equal(path, expected);
	/* the argument over it, slashes at the end or not */
	(void)setenv("STOA_DIRECTORY", "/nowhere", 1);
	(void)snprintf(expected, sizeof expected, "%s///", room);
	assert_int_equal(
		stoai_backing_path("n", expected, "arg", false, path), 0);
	(void)snprintf(expected, sizeof expected, "%s/arg/n", room);
	assert_string_equal(path, expected);
	/* an empty variable is an unset one; an empty argument is a mistake */
	(void)setenv("STOA_DOMAIN", "", 1);
	assert_int_equal(stoai_backing_path("n", room, NULL, false, path), 0);
	(void)snprintf(expected, sizeof expected, "%s/default/n", room);
	assert_string_equal(path, expected);
	assert_int_equal(
		stoai_backing_path("n", room, "", false, path), -EINVAL);
	assert_int_equal(
		stoai_backing_path("n", "", "d", false, path), -EINVAL);
	/* a variable is not trusted more */
	(void)setenv("STOA_DOMAIN", "../x", 1);
	assert_int_equal(
		stoai_backing_path("n", room, NULL, false, path), -EINVAL);
	(void)setenv("STOA_DIRECTORY", "here", 1);
	assert_int_equal(
		stoai_backing_path("n", NULL, "d", false, path), -EINVAL);
	assert_true(text_has("absolute"));
	/* the root directory */
	assert_int_equal(stoai_backing_path("n", "/", "d", false, path), 0);
	assert_string_equal(path, "/d/n");
}

static void
test_long_directory(void **state)
{
	static char directory[2 * STOAI_PATH_MAX];

	(void)state;
	memset(directory, '/', sizeof directory - 1);
	assert_int_equal(
		stoai_backing_path("n", directory, "d", false, path), 0);
	assert_string_equal(path, "/d/n");
	directory[1] = 'x';
	directory[sizeof directory - 2] = 'y';
	assert_int_equal(stoai_backing_path("n", directory, "d", false, path),
		-ENAMETOOLONG);
	memset(directory, 'x', sizeof directory - 1);
	directory[0] = '/';
	assert_int_equal(stoai_backing_path("n", directory, "d", false, path),
		-ENAMETOOLONG);
	/* the longest that fits: 4095 bytes; no such directory, which is fine
	 * as long as its own components are short */
	for (size_t i = 0; i < STOAI_PATH_MAX; i += 100)
		directory[i] = '/';
	directory[STOAI_PATH_MAX - 5] = '\0';
	assert_int_equal(
		stoai_backing_path("n", directory, "d", false, path), 0);
	assert_int_equal(strlen(path), STOAI_PATH_MAX - 1);
	directory[STOAI_PATH_MAX - 5] = 'x';
	directory[STOAI_PATH_MAX - 4] = '\0';
	assert_int_equal(stoai_backing_path("n", directory, "d", false, path),
		-ENAMETOOLONG);
	assert_string_equal(path, "");
}

/* ---- which directories ---- */

static void
test_made(void **state)
{
	const char *directory = scene_path(room, "dir");
	mode_t mask = umask(0077);

	(void)state;
	assert_int_equal(
		stoai_backing_path("n", directory, "d", false, path), 0);
	assert_int_equal(scene_entries(room), 0);
	assert_int_equal(
		stoai_backing_path("n", directory, "d", true, path), 0);
	assert_int_equal(mode_of(directory), 0700);
	assert_int_equal(mode_of(scene_path(directory, "d")), 0700);
	assert_int_equal(scene_entries(scene_path(directory, "d")), 0);
	/* a domain is as open as its directory, whatever the umask */
	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(
		stoai_backing_path("n", directory, "e", true, path), 0);
	assert_int_equal(mode_of(scene_path(directory, "e")), 0755);
	assert_int_equal(chmod(directory, 02770), 0);
	assert_int_equal(
		stoai_backing_path("n", directory, "f", true, path), 0);
	assert_int_equal(mode_of(scene_path(directory, "f")), 02770);
	/* what is there stays as it is */
	assert_int_equal(
		stoai_backing_path("n", directory, "e", true, path), 0);
	assert_int_equal(mode_of(scene_path(directory, "e")), 0755);
	/* a directory for everybody: domains of one owner */
	assert_int_equal(chmod(directory, 01777), 0);
	assert_int_equal(
		stoai_backing_path("n", directory, "g", true, path), 0);
	assert_int_equal(mode_of(scene_path(directory, "g")), 0700);
	(void)umask(mask);
	/* only one level is made above the domain */
	assert_int_equal(stoai_backing_path(
				 "n", scene_path(room, "x/y"), "d", true, path),
		-ENOENT);
	assert_true(text_has("x/y"));
}

static void
test_half_made(void **state)
{
	const char *domain = scene_path(room, "d");

	(void)state;
	assert_int_equal(chmod(room, 0750), 0);
	/* what a maker leaves that died between its two steps */
	assert_int_equal(mkdir(domain, 0700), 0);
	assert_int_equal(chmod(domain, 01500), 0);
	assert_int_equal(stoai_backing_path("n", room, "d", false, path), 0);
	assert_int_equal(mode_of(domain), 01500);
	assert_int_equal(stoai_backing_path("n", room, "d", true, path), 0);
	assert_int_equal(mode_of(domain), 0750);
	/* but a wish is a wish */
	assert_int_equal(chmod(domain, 01770), 0);
	assert_int_equal(stoai_backing_path("n", room, "d", true, path), 0);
	assert_int_equal(mode_of(domain), 01770);
	assert_int_equal(chmod(domain, 0700), 0);
	assert_int_equal(stoai_backing_path("n", room, "d", true, path), 0);
	assert_int_equal(mode_of(domain), 0700);
}

static void
refused(const char *directory, const char *domain, const char *text)
{
	assert_int_equal(
		stoai_backing_path("n", directory, domain, false, path),
		-EPERM);
	assert_true(text_has(text));
	assert_int_equal(
		stoai_backing_path("n", directory, domain, true, path), -EPERM);
	assert_true(text_has(text));
	assert_string_equal(path, "");
}

static void
test_not_directories(void **state)
{
	const char *link = scene_path(room, "link");
	const char *file = scene_path(room, "file");
	int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(close(fd), 0);
	refused(room, "file", "not a directory");
	assert_int_equal(
		stoai_backing_path("n", file, "d", true, path), -ENOTDIR);
	/* a symlink: not as a domain, but where the user has said so */
	assert_int_equal(mkdir(scene_path(room, "real"), 0700), 0);
	assert_int_equal(symlink("real", link), 0);
	refused(room, "link", "symbolic link");
	assert_int_equal(stoai_backing_path("n", link, "d", true, path), 0);
	assert_int_equal(
		mode_of(scene_path(scene_path(room, "real"), "d")), 0700);
	/* one that leads nowhere is not made */
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("nowhere", link), 0);
	refused(room, "link", "symbolic link");
	assert_true(stoai_backing_path("n", link, "d", true, path) < 0);
	assert_int_equal(access(scene_path(room, "nowhere"), F_OK), -1);
}

static void
test_open_to_all(void **state)
{
	(void)state;
	assert_int_equal(mkdir(scene_path(room, "d"), 0700), 0);
	assert_int_equal(chmod(room, 0777), 0);
	refused(room, "d", "everybody may replace");
	assert_int_equal(chmod(room, 01777), 0);
	assert_int_equal(stoai_backing_path("n", room, "d", true, path), 0);
	assert_int_equal(chmod(scene_path(room, "d"), 0777), 0);
	refused(room, "d", "everybody may replace");
	assert_int_equal(chmod(scene_path(room, "d"), 01777), 0);
	assert_int_equal(stoai_backing_path("n", room, "d", true, path), 0);
}

static void
test_directories_of_others(void **state)
{
	const char *domain = scene_path(room, "d");

	(void)state;
	if (geteuid() != 0) {
		scene_skipped("directories of others", "this is not root");
		skip();
	}
	assert_int_equal(mkdir(domain, 0700), 0);
	assert_int_equal(chown(domain, SOMEBODY, SOMEBODY), 0);
	refused(room, "d", "uid 54321");
	assert_int_equal(chown(domain, 0, 0), 0);
	assert_int_equal(chown(room, SOMEBODY, SOMEBODY), 0);
	refused(room, "d", "uid 54321");
}

static int
look_at_roots(void *arg)
{
	(void)arg;
	must(!setgid(SOMEBODY) && !setuid(SOMEBODY));
	must(!stoai_backing_path("n", room, "open", true, path));
	must(!stoai_backing_path("n", room, "half", true, path));
	must(stoai_backing_path("n", room, "none", true, path) == -EACCES);
	return 0;
}

/* What is root's is trusted, and left to root to finish. */
static void
test_directories_of_root(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		scene_skipped("directories of root", "this is not root");
		skip();
	}
	assert_int_equal(chmod(room, 0755), 0);
	assert_int_equal(mkdir(scene_path(room, "open"), 0755), 0);
	assert_int_equal(mkdir(scene_path(room, "half"), 01700), 0);
	assert_int_equal(scene_child(look_at_roots, NULL), 0);
	assert_int_equal(mode_of(scene_path(room, "half")), 01700);
}

/* The default directory, in the place where others can make it first. */
struct somebody {
	uid_t uid;
	char directory[64], domain[96];
};

static int
default_squatted(void *arg)
{
	const struct somebody *s = arg;

	must(!mkdir(s->directory, 0777));
	must(!chown(s->directory, NOBODY, NOBODY));
	must(!setgid(s->uid) && !setuid(s->uid));
	must(stoai_backing_path("n", NULL, NULL, true, path) == -EPERM);
	must(strstr(stoa_error_text(), "uid 65534"));
	return 0;
}

static int
default_made(void *arg)
{
	const struct somebody *s = arg;

	must(!setgid(s->uid) && !setuid(s->uid));
	must(!symlink("/tmp", s->directory));
	must(stoai_backing_path("n", NULL, NULL, true, path) == -EPERM);
	must(!unlink(s->directory));
	(void)umask(0777); /* the worst */
	must(!stoai_backing_path("n", NULL, NULL, true, path));
	must(mode_of(s->directory) == 0700 && mode_of(s->domain) == 0700);
	return 0;
}

static void
test_default_directory(void **state)
{
	struct somebody s = {.uid = 0x10000u + (uid_t)getpid()};
	int squatted, made;

	(void)state;
	if (geteuid() != 0) {
		scene_skipped("the default directory, made first by others",
			"this is not root");
		skip();
	}
	(void)snprintf(s.directory, sizeof s.directory, "/dev/shm/stoa-%u",
		(unsigned)s.uid);
	(void)snprintf(s.domain, sizeof s.domain, "%s/default", s.directory);
	squatted = scene_child(default_squatted, &s);
	(void)rmdir(s.directory);
	made = scene_child(default_made, &s);
	(void)unlink(s.directory);
	(void)rmdir(s.domain);
	(void)rmdir(s.directory);
	assert_int_equal(squatted, 0);
	assert_int_equal(made, 0);
}

/* ---- failing and dying in the middle ---- */

static int
make_path(void *arg)
{
	(void)arg;
	return stoai_backing_path(
		"n", scene_path(room, "dir"), "d", true, path);
}

static void
test_each_call_fails(void **state)
{
	static const int errors[] = {-EIO, -EACCES, -ENOSPC, -EMFILE};

	(void)state;
	for (size_t e = 0; e < STOAI_COUNT(errors); e++)
		for (unsigned n = 1;; n++) {
			int rc;

			fault_start();
			fault_fail(FAULT_ANY, n, errors[e]);
			stoai_error_clear();
			rc = make_path(NULL);
			fault_stop();
			if (!fault_hit()) {
				assert_int_equal(rc, 0);
				assert_true(n > 5);
				break;
			}
			assert_int_equal(rc, errors[e]);
			assert_true(text_has("dir"));
			assert_string_equal(path, "");
			/* and nothing stands in the way of the next */
			assert_int_equal(make_path(NULL), 0);
			assert_int_equal(
				mode_of(scene_path(room, "dir")), 0700);
			assert_int_equal(
				mode_of(scene_path(room, "dir/d")), 0700);
			(void)rmdir(scene_path(room, "dir/d"));
			(void)rmdir(scene_path(room, "dir"));
		}
}

static int
make_and_die(void *arg)
{
	fault_start();
	fault_kill(FAULT_ANY, *(unsigned *)arg);
	(void)umask(0077);
	return make_path(NULL) ? 1 : 0;
}

static void
test_killed_at_each_call(void **state)
{
	int rc;

	(void)state;
	assert_int_equal(chmod(room, 0755), 0);
	for (unsigned n = 1;; n++) {
		rc = scene_child(make_and_die, &n);
		if (rc == 0) {
			assert_true(n > 5);
			break;
		}
		assert_int_equal(rc, -SIGKILL);
		assert_int_equal(make_path(NULL), 0);
		assert_int_equal(mode_of(scene_path(room, "dir")), 0700);
		assert_int_equal(mode_of(scene_path(room, "dir/d")), 0700);
		(void)rmdir(scene_path(room, "dir/d"));
		(void)rmdir(scene_path(room, "dir"));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, room_open, room_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_good_names),
		TEST(test_bad_names),
		TEST(test_settings),
		TEST(test_long_directory),
		TEST(test_made),
		TEST(test_half_made),
		TEST(test_not_directories),
		TEST(test_open_to_all),
		TEST(test_directories_of_others),
		TEST(test_directories_of_root),
		TEST(test_default_directory),
		TEST(test_each_call_fails),
		TEST(test_killed_at_each_call),
	};

	(void)alarm(SECONDS);
	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
