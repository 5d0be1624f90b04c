/* SPDX-License-Identifier: BSL-1.0 */
/* Directories, descriptors and children of a test; see scene.h. */
#include "scene.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CHILD_SECONDS = 20,
	PATHS = 8,
	PATH_SIZE = 8192,
	MUST_FAILED = 99,
	ASLEEP_LOOKS = 50000,
	ASLEEP_US = 100
};

void
scene_must_failed(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: child %d: not so: %s\n", file, line,
		(int)getpid(), what);
	_exit(MUST_FAILED);
}

char *
scene_directory(bool ondisk)
{
	char *path = strdup(ondisk ? "/var/tmp/stoa-test-XXXXXX"
				   : "/dev/shm/stoa-test-XXXXXX");

	if (!path || !mkdtemp(path)) {
		perror("a directory for the test");
		exit(1);
	}
	return path;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	(void)remove(path);
	return 0;
}

void
scene_remove(char *directory)
{
	(void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(directory);
}

const char *
scene_path(const char *directory, const char *name)
{
	static char paths[PATHS][PATH_SIZE];
	static unsigned used;
	char *path = paths[used++ % PATHS];

	(void)snprintf(path, PATH_SIZE, "%s/%s", directory, name);
	return path;
}

int
scene_entries(const char *directory)
{
	DIR *stream = opendir(directory);
	const struct dirent *entry;
	int n = 0;

	if (!stream)
		return -1;
	while ((entry = readdir(stream)))
		n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	(void)closedir(stream);
	return n;
}

int
scene_fds(void)
{
	return scene_entries("/proc/self/fd") - 1; /* its own */
}

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGABRT};

int
scene_fork(int (*f)(void *arg), void *arg)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0) {
		/* cmocka's handlers would run the parent's tests here */
		for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
			(void)signal(fatal[i], SIG_DFL);
		(void)alarm(CHILD_SECONDS);
		_exit(f(arg));
	}
	return (int)pid;
}

int
scene_wait(int pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid) {
		perror("waitpid");
		exit(1);
	}
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int
scene_child(int (*f)(void *arg), void *arg)
{
	return scene_wait(scene_fork(f, arg));
}

static char
state_of(int tid)
{
	char path[64], text[256], *after = NULL;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof text - 1);

		text[n > 0 ? n : 0] = '\0';
		after = strrchr(text, ')');
		(void)close(fd);
	}
	return after && after[1] ? after[2] : '?';
}

void
scene_until_asleep(const int *tid)
{
	for (int i = 0; i < ASLEEP_LOOKS; i++) {
		int now = __atomic_load_n(tid, __ATOMIC_ACQUIRE);

		if (now && state_of(now) == 'S')
			return;
		(void)usleep(ASLEEP_US);
	}
}

bool
scene_filter(long number, int argument, unsigned above, int error)
{
	unsigned verdict = error ? SECCOMP_RET_ERRNO | (unsigned)error
				 : SECCOMP_RET_KILL_PROCESS;
	/* the low half of the argument: little endian */
	unsigned at = (unsigned)offsetof(struct seccomp_data, args) +
		      (argument > 0 ? (unsigned)argument * 8 : 0);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, above, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, verdict),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = sizeof code / sizeof code[0], .filter = code};

	if (argument == SCENE_EVERY) /* no comparison */
		code[3] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 0, 0, 0);
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static bool
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t size = strlen(text);
	bool done = fd >= 0 && write(fd, text, size) == (ssize_t)size;

	if (fd >= 0)
		(void)close(fd);
	return done;
}

bool
scene_own_mounts(void)
{
	unsigned uid = (unsigned)geteuid(), gid = (unsigned)getegid();
	char uids[64], gids[64];

	(void)snprintf(uids, sizeof uids, "%u %u 1", uid, uid);
	(void)snprintf(gids, sizeof gids, "%u %u 1", gid, gid);
	if (unshare(CLONE_NEWNS) &&
		(unshare(CLONE_NEWUSER | CLONE_NEWNS) ||
			!write_text("/proc/self/setgroups", "deny") ||
			!write_text("/proc/self/uid_map", uids) ||
			!write_text("/proc/self/gid_map", gids)))
		return false;
	return !mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL);
}

void
scene_skipped(const char *test, const char *why)
{
	(void)fprintf(stderr, "\n******** SKIPPED: %s\n******** because %s\n\n",
		test, why);
}

bool
scene_valgrind_cannot(const char *test, const char *why)
{
	if (!getenv("STOA_VALGRIND"))
		return false;
	scene_skipped(test, why);
	return true;
}
