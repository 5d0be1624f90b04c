/* SPDX-License-Identifier: BSL-1.0 */
/*
 * region: backings are made, named, opened and refused as backing.h says, whatever
 * stands in the way.
 */
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "backing_fixture.h"

/* ---- the good way ---- */

static void
create_and_publish(void)
{
	struct stoai_backing b, other;
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s", in_room("n"));
	assert_int_equal(
		stoai_backing_create(STOAI_BACKING_NAMED, path, &b), 0);
	assert_true(b.fd > 2 && !b.readonly && b.kind == STOAI_BACKING_NAMED);
	assert_int_equal(fcntl(b.fd, F_GETFD), FD_CLOEXEC);
	assert_string_equal(b.path, path);
	assert_int_equal(b.size, 0);
	assert_int_equal(scene_entries(room), no_unnamed ? 1 : 0);
	assert_true((b.temporary[0] != 0) == no_unnamed);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(stoai_backing_current(&b), -ESTALE);
	assert_int_equal(stoai_backing_allocate(&b, 0, MIB), 0);
	assert_int_equal(stoai_backing_publish(&b, 0604, 0, 0), 0);
	assert_string_equal(b.temporary, "");
	assert_int_equal(scene_entries(room), 1);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0604);
	assert_true(st.st_nlink == 1 && st.st_size == MIB);
	assert_true(st.st_ino == b.inode && st.st_dev == b.device);
	assert_int_equal(stoai_backing_current(&b), 0);

	assert_int_equal(
		stoai_backing_open(STOAI_BACKING_NAMED, path, false, &other),
		0);
	assert_true(other.fd > 2 && other.fd != b.fd && !other.readonly);
	assert_true(other.inode == b.inode && other.device == b.device);
	assert_int_equal(other.size, MIB);
	assert_string_equal(other.path, path);
	assert_int_equal(fcntl(other.fd, F_GETFL) & O_ACCMODE, O_RDWR);
	stoai_backing_close(&other);
	assert_int_equal(other.fd, -1);
	assert_int_equal(
		stoai_backing_open(STOAI_BACKING_NAMED, path, true, &other), 0);
	assert_true(other.readonly);
	assert_int_equal(fcntl(other.fd, F_GETFL) & O_ACCMODE, O_RDONLY);

	/* the name goes; who has it open keeps it */
	assert_int_equal(stoai_backing_unlink(path), 0);
	assert_int_equal(stoai_backing_current(&other), -ESTALE);
	assert_true(text_has("open it again"));
	assert_int_equal(stoai_backing_unlink(path), -ENOENT);
	assert_int_equal(make_named(path, 0600), 0);
	assert_int_equal(stoai_backing_current(&other), -ESTALE);
	assert_int_equal(stoai_backing_unlink(path), 0);
	stoai_backing_close(&other);
	stoai_backing_close(&b);
	assert_int_equal(scene_entries(room), 0);
}

static void
test_create(void **state)
{
	(void)state;
	both_ways(create_and_publish);
}

static void
never_published(void)
{
	struct stoai_backing b;

	assert_int_equal(
		stoai_backing_create(STOAI_BACKING_NAMED, in_room("n"), &b), 0);
	stoai_backing_close(&b);
	assert_int_equal(b.fd, -1);
	assert_int_equal(scene_entries(room), 0);
	stoai_backing_close(&b); /* again: nothing */
}

static void
test_never_published(void **state)
{
	(void)state;
	both_ways(never_published);
}

static void
modes_are_exact(void)
{
	static const uint32_t modes[] = {0600, 0666, 0640, 0444, 0};
	static const mode_t masks[] = {0, 022, 0077, 0777};
	mode_t before = umask(0);
	struct stoai_backing b;
	struct stat st;

	for (size_t m = 0; m < STOAI_COUNT(masks); m++)
		for (size_t i = 0; i < STOAI_COUNT(modes); i++) {
			(void)umask(masks[m]);
			assert_int_equal(make_named(in_room("n"), modes[i]), 0);
			assert_int_equal(lstat(in_room("n"), &st), 0);
			assert_int_equal(st.st_mode & 07777, modes[i]);
			assert_int_equal(unlink(in_room("n")), 0);
		}
	/* also before: the maker may want to open it once more */
	assert_int_equal(
		stoai_backing_create(STOAI_BACKING_FILE, in_room("n"), &b), 0);
	assert_int_equal(fstat(b.fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	stoai_backing_close(&b);
	(void)umask(before);
	assert_int_equal(
		stoai_backing_create(STOAI_BACKING_MEMFD, NULL, &b), 0);
	assert_int_equal(fstat(b.fd, &st), 0);
	assert_int_equal(st.st_mode & 0666, 0600);
	stoai_backing_close(&b);
	assert_int_equal(make_named(in_room("n"), 0700), -EINVAL);
	assert_true(text_has("0700"));
	assert_int_equal(make_named(in_room("n"), 04600), -EINVAL);
	assert_int_equal(scene_entries(room), 0);
}

static void
test_modes(void **state)
{
	(void)state;
	both_ways(modes_are_exact);
}

static void
paths_of_all_kinds(void)
{
	static const char *const bad[] = {"", "x/", "/"};
	char *deep = calloc(1, 2 * STOAI_PATH_MAX), here[512];
	struct stoai_backing b;
	size_t size;

	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(room), 0);
	assert_int_equal(make_named("relative", 0600), 0);
	assert_int_equal(make_named("./dotted", 0600), 0);
	assert_true(is_whole(in_room("relative"), 0600));
	assert_true(is_whole(in_room("dotted"), 0600));
	assert_int_equal(scene_entries(room), 2);
	assert_int_equal(unlink("relative"), 0);
	assert_int_equal(unlink("dotted"), 0);
	/* a name as long as one can be, and longer */
	memset(deep, 'n', 256);
	assert_int_equal(make_named(deep, 0600), -ENAMETOOLONG);
	deep[255] = '\0';
	assert_int_equal(make_named(deep, 0600), 0);
	assert_int_equal(unlink(deep), 0);
	/* a path as long as one can be: 4095 bytes; only the temporary name may
	 * have no room */
	for (size = 0; size + 2 < STOAI_PATH_MAX - 2; size += 2)
		(void)memcpy(deep + size, "./", 2);
	(void)memset(deep + size, 'n', STOAI_PATH_MAX - 1 - size);
	deep[STOAI_PATH_MAX - 1] = '\0';
	assert_int_equal(
		make_named(deep, 0600), no_unnamed ? -ENAMETOOLONG : 0);
	(void)unlink(deep);
	deep[STOAI_PATH_MAX - 1] = 'n';
	assert_int_equal(make_named(deep, 0600), -ENAMETOOLONG);
	assert_int_equal(stoai_backing_open(STOAI_BACKING_FILE, deep, true, &b),
		-ENAMETOOLONG);
	assert_int_equal(chdir(here), 0);
	free(deep);
	for (size_t i = 0; i < STOAI_COUNT(bad); i++) {
		assert_int_equal(make_named(bad[i], 0600), -EINVAL);
		assert_int_equal(stoai_backing_open(
					 STOAI_BACKING_FILE, bad[i], false, &b),
			-EINVAL);
		assert_int_equal(stoai_backing_unlink(bad[i]), -EINVAL);
	}
	assert_int_equal(make_named(NULL, 0600), -EINVAL);
	assert_int_equal(make_named(in_room("no/n"), 0600), -ENOENT);
	assert_true(text_has("no/n"));
	assert_int_equal(scene_entries(room), 0);
}

static void
test_paths(void **state)
{
	(void)state;
	both_ways(paths_of_all_kinds);
}

static void
test_no_name(void **state)
{
	struct stoai_backing b, given;
	int socket_fd, before = scene_fds();

	(void)state;
	assert_int_equal(
		stoai_backing_create(STOAI_BACKING_MEMFD, NULL, &b), 0);
	assert_true(b.fd > 2 && b.inode && !b.path[0]);
	assert_int_equal(stoai_backing_allocate(&b, 0, MIB), 0);
	assert_int_equal(stoai_backing_publish(&b, 0640, 0, 0), 0);
	assert_int_equal(stoai_backing_current(&b), 0);
	/* given: the same file, a description of our own, and his stays his */
	assert_int_equal(stoai_backing_given(b.fd, false, &given), 0);
	assert_true(given.kind == STOAI_BACKING_GIVEN && given.fd != b.fd);
	assert_true(given.inode == b.inode && given.size == MIB);
	assert_int_equal(stoai_os_lock_byte(b.fd, 1, STOAI_LOCK_EXCLUSIVE), 0);
	assert_int_equal(
		stoai_os_lock_byte(given.fd, 1, STOAI_LOCK_EXCLUSIVE), -EAGAIN);
	assert_int_equal(stoai_backing_publish(&given, 0600, 0, 0), 0);
	{
		struct stat st;

		assert_int_equal(fstat(b.fd, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0640);
	}
	stoai_backing_close(&given);
	assert_int_equal(stoai_backing_given(b.fd, true, &given), 0);
	assert_true(given.readonly);
	assert_int_equal(fcntl(given.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	stoai_backing_close(&given);
	/* owner bytes of a buffer */
	assert_int_equal(stoai_backing_owners(b.fd, &given), 0);
	assert_true(given.kind == STOAI_BACKING_BUFFER && given.fd != b.fd);
	stoai_backing_close(&given);
	assert_int_equal(stoai_backing_owners(0, &given), 0);
	assert_true(given.kind == STOAI_BACKING_BUFFER && given.fd >= 0);
	stoai_backing_close(&given);
	stoai_backing_close(&b);
	/* not descriptors of files */
	assert_int_equal(stoai_backing_given(-1, false, &given), -EBADF);
	assert_int_equal(given.fd, -1);
	assert_int_equal(stoai_backing_given(9999, false, &given), -EBADF);
	assert_true(text_has("9999"));
	socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		stoai_backing_given(socket_fd, false, &given), -EINVAL);
	assert_true(text_has("a socket"));
	assert_int_equal(close(socket_fd), 0);
	/* of this process alone */
	assert_int_equal(
		stoai_backing_create(STOAI_BACKING_LOCAL, NULL, &b), 0);
	assert_int_equal(b.fd, -1);
	assert_int_equal(stoai_backing_allocate(&b, 0, MIB), 0);
	assert_int_equal(stoai_backing_publish(&b, 0600, 0, 0), 0);
	assert_int_equal(stoai_backing_current(&b), 0);
	stoai_backing_close(&b);
	assert_int_equal(scene_fds(), before);
}

/* ---- what may stand in the way ---- */

static void
refuse(const char *name, int rc, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof path, "%s", in_room(name));
	for (int readonly = 0; readonly < 2; readonly++) {
		struct stoai_backing b = {.fd = 77};

		assert_int_equal(stoai_backing_open(STOAI_BACKING_NAMED, path,
					 readonly, &b),
			rc);
		assert_true(text_has(text) && text_has(name));
		assert_int_equal(b.fd, -1);
		stoai_backing_close(&b);
	}
	if (rc == -ENOENT)
		return;
	/* nor is it replaced */
	assert_int_equal(make_named(path, 0600), -EEXIST);
	assert_true(text_has(name));
}

static void
hostile_names(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int count = scene_entries(room), fd;

	refuse("nothing", -ENOENT, "No such file");
	refuse("directory", -EPROTO, "a directory");
	refuse("link", -EPROTO, "a symbolic link");
	refuse("dangling", -EPROTO, "a symbolic link");
	refuse("fifo", -EPROTO, "a fifo");
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s",
		in_room("socket"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		bind(fd, (void *)&address, (socklen_t)sizeof address), 0);
	refuse("socket", -EPROTO, "a socket");
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(in_room("socket")), 0);
	/* nothing came of it, and what was there is as it was */
	assert_int_equal(scene_entries(room), count);
	assert_true(is_whole(in_room("file"), 0600));
	assert_int_equal(stoai_backing_unlink(in_room("directory")), -EISDIR);
	assert_int_equal(stoai_backing_unlink(in_room("link/")), -EINVAL);
}

static void
test_hostile_names(void **state)
{
	(void)state;
	assert_int_equal(make_named(in_room("file"), 0600), 0);
	assert_int_equal(mkdir(in_room("directory"), 0700), 0);
	assert_int_equal(symlink("file", in_room("link")), 0);
	assert_int_equal(symlink("nowhere", in_room("dangling")), 0);
	assert_int_equal(mkfifo(in_room("fifo"), 0600), 0);
	both_ways(hostile_names);
}

static int
open_as_somebody(void *arg)
{
	struct stoai_backing b;

	(void)arg;
	must(!setgid(SOMEBODY) && !setuid(SOMEBODY));
	/* root's: allowed as far as its mode goes */
	must(!stoai_backing_open(
		STOAI_BACKING_NAMED, in_room("roots"), false, &b));
	stoai_backing_close(&b);
	must(!stoai_backing_open(
		STOAI_BACKING_NAMED, in_room("read"), true, &b));
	stoai_backing_close(&b);
	must(stoai_backing_open(STOAI_BACKING_NAMED, in_room("read"), false,
		     &b) == -EACCES);
	must(b.fd == -1);
	must(text_has("for writing"));
	/* somebody else's: not even if it is open to all */
	must(stoai_backing_open(STOAI_BACKING_NAMED, in_room("theirs"), true,
		     &b) == -EPERM);
	must(text_has("uid 54322"));
	must(!stoai_backing_open(
		STOAI_BACKING_NAMED, in_room("ours"), false, &b));
	stoai_backing_close(&b);
	return 0;
}

static void
test_owners(void **state)
{
	struct stoai_backing b;

	(void)state;
	if (geteuid() != 0) {
		scene_skipped("files of other owners", "this is not root");
		skip();
	}
	assert_int_equal(make_named(in_room("roots"), 0666), 0);
	assert_int_equal(make_named(in_room("read"), 0644), 0);
	assert_int_equal(make_named(in_room("theirs"), 0666), 0);
	assert_int_equal(make_named(in_room("ours"), 0600), 0);
	assert_int_equal(
		chown(in_room("theirs"), SOMEBODY + 1, SOMEBODY + 1), 0);
	assert_int_equal(chown(in_room("ours"), SOMEBODY, SOMEBODY), 0);
	assert_int_equal(chmod(room, 0755), 0);
	assert_int_equal(scene_child(open_as_somebody, NULL), 0);
	/* root is careful too */
	assert_int_equal(stoai_backing_open(STOAI_BACKING_NAMED,
				 in_room("theirs"), true, &b),
		-EPERM);
	assert_true(text_has("uid 54322"));
}

/* A descriptor that came from another user: the mode of its file counts. */
static int
given_by_root(void *arg)
{
	struct stoai_backing b;

	must(!setgid(SOMEBODY) && !setuid(SOMEBODY));
	must(stoai_backing_given(*(int *)arg, false, &b) == -EACCES);
	must(text_has("mode 0644, uid 0") && b.fd == -1);
	must(!stoai_backing_given(*(int *)arg, true, &b));
	stoai_backing_close(&b);
	return 0;
}

static void
test_given_by_others(void **state)
{
	struct stoai_backing b;

	(void)state;
	if (geteuid() != 0) {
		scene_skipped("descriptors of others", "this is not root");
		skip();
	}
	assert_int_equal(
		stoai_backing_create(STOAI_BACKING_MEMFD, NULL, &b), 0);
	assert_int_equal(stoai_backing_publish(&b, 0644, 0, 0), 0);
	assert_int_equal(scene_child(given_by_root, &b.fd), 0);
	stoai_backing_close(&b);
}

/* Control characters of a path do not reach a terminal by an error text. */
static void
test_texts(void **state)
{
	struct stoai_backing b;
	char path[1024];

	(void)state;
	assert_int_equal(stoai_backing_open(STOAI_BACKING_FILE,
				 in_room("\x1b]0;x\x07\n\x7f"), true, &b),
		-ENOENT);
	assert_true(text_has("?]0;x???"));
	assert_null(strpbrk(stoa_error_text(), "\x1b\x07\n\x7f"));
	memset(path, 'x', sizeof path);
	for (size_t i = 0; i < sizeof path; i += 100)
		path[i] = '/';
	(void)strcpy(path + sizeof path - 5, "/end");
	assert_int_equal(stoai_backing_open(STOAI_BACKING_FILE, path, true, &b),
		-ENOENT);
	assert_true(text_has("'...") && text_has("/end': No such file"));
}

/* ---- a full file system ---- */

static int
fill_tmpfs(void *arg)
{
	struct stoai_backing b;
	char byte = 1;

	(void)arg;
	if (!scene_own_mounts() ||
		mount("small", room, "tmpfs", 0, "size=1m,mode=0700"))
		return 1;
	start();
	must(!stoai_backing_create(STOAI_BACKING_NAMED, in_room("n"), &b));
	must(!stoai_backing_allocate(&b, 0, 512 * KIB));
	must(stoai_backing_allocate(&b, 512 * KIB, MIB) == -ENOSPC);
	must(text_has("1.0 MiB") && text_has("0x80000"));
	/* what was got stays ours, and can be written to the end */
	for (off_t i = 0; i < 512 * KIB; i += 4 * KIB)
		must(pwrite(b.fd, &byte, 1, i) == 1);
	must(!stoai_backing_allocate(&b, 0, 768 * KIB));
	must(!stoai_backing_publish(&b, 0600, 0, 0));
	/* and the next one gets an error, not half a file */
	must(make_named(in_room("m"), 0600) == 0);
	must(stoai_backing_allocate(&b, 0, 1020 * KIB) == 0);
	must(make_named(in_room("o"), 0600) == -ENOSPC);
	must(scene_entries(room) == 2);
	stoai_backing_close(&b);
	must(!stoai_backing_unlink(in_room("n")));
	must(make_named(in_room("o"), 0600) == 0);
	fault_stop();
	return 0;
}

static void
test_full_tmpfs(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		int rc;

		no_unnamed = i == 1;
		rc = scene_child(fill_tmpfs, NULL);
		if (rc == 1) {
			scene_skipped("a full tmpfs",
				"no file system can be mounted here");
			skip();
		}
		assert_int_equal(rc, 0);
	}
}

/* No inodes, no names: what a directory quota looks like. */
static int
fill_inodes(void *arg)
{
	(void)arg;
	if (!scene_own_mounts() ||
		mount("few", room, "tmpfs", 0, "nr_inodes=4,mode=0700"))
		return 1;
	start();
	for (int i = 0; i < 10; i++) {
		char name[2] = {(char)('a' + i), 0};
		int rc = make_named(in_room(name), 0600);

		must(rc == 0 || rc == -ENOSPC);
		must(scene_entries(room) <= 4);
		if (rc == -ENOSPC)
			return text_has("No space left") ? 0 : 2;
	}
	return 3;
}

static void
test_no_inodes(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		int rc;

		no_unnamed = i == 1;
		rc = scene_child(fill_inodes, NULL);
		if (rc == 1) {
			scene_skipped("a tmpfs without inodes",
				"no file system can be mounted here");
			skip();
		}
		assert_int_equal(rc, 0);
	}
}

/* On a disk: other numbers, other file system, the same promises. */
static void
test_on_disk(void **state)
{
	char *tmpfs = room;

	(void)state;
	room = scene_directory(true);
	both_ways(create_and_publish);
	both_ways(modes_are_exact);
	scene_remove(room);
	room = tmpfs;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create),
		TEST(test_never_published),
		TEST(test_modes),
		TEST(test_paths),
		TEST(test_no_name),
		TEST(test_hostile_names),
		TEST(test_owners),
		TEST(test_given_by_others),
		TEST(test_texts),
		TEST(test_full_tmpfs),
		TEST(test_no_inodes),
		TEST(test_on_disk),
	};

	(void)alarm(SECONDS);
	return cmocka_run_group_tests_name("backing", tests, NULL, NULL);
}
