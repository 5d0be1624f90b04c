/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The only place with system calls. Every function returns 0 (or a useful
 * value) or a negative errno, and sets no error text: the caller knows what it
 * wanted. Interrupted calls are repeated here. The test double in
 * tests/harness replaces any of them to fail on the Nth call.
 */
#ifndef STOAI_OS_OS_H
#define STOAI_OS_OS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* what a test can make fail; tests/harness/fault.c names them */
enum stoai_os_call {
	STOAI_OS_OPEN,
	STOAI_OS_UNNAMED, /* open with STOAI_OPEN_UNNAMED */
	STOAI_OS_SEAL,
	STOAI_OS_CLOSE, /* closes all the same */
	STOAI_OS_LINK,
	STOAI_OS_UNLINK,
	STOAI_OS_MKDIR,
	STOAI_OS_LIST,
	STOAI_OS_STAT,
	STOAI_OS_CHMOD,
	STOAI_OS_TRUNCATE,
	STOAI_OS_ALLOCATE,
	STOAI_OS_PUNCH,
	STOAI_OS_MAP,
	STOAI_OS_SYNC,
	STOAI_OS_LOCK,
	STOAI_OS_FUTEX_WAIT,
	STOAI_OS_FUTEX_WAITV,
	STOAI_OS_FUTEX_WAKE,
	STOAI_OS_ROBUST_LIST,
	STOAI_OS_RANDOM,
	STOAI_OS_PREAD,
	STOAI_OS_CALLS
};

/*
 * Asked before each call: 0 to go on, or a negative errno to return instead.
 * NULL (always, outside tests): no question is asked.
 */
extern int (*stoai_os_fault)(enum stoai_os_call call);
/*
 * Told of each sleep and yield: who pauses like that waits for another thread to go
 * on. NULL (always, outside the step explorer): nobody is told.
 */
extern void (*stoai_os_idle)(void);

/* ---- files ---- */
enum {
	STOAI_OPEN_WRITE = 1 << 0,
	STOAI_OPEN_CREATE = 1 << 1, /* with EXCL semantics: -EEXIST if there */
	STOAI_OPEN_UNNAMED = 1 << 2 /* in the directory `path` */
};
/*
 * close-on-exec; no symlink followed in the last component; never a tty, never a
 * standard stream, no wait for a fifo's other end. Unnamed: -EOPNOTSUPP where the
 * file system has no such files, or no /proc could name them.
 */
int stoai_os_open(const char *path, unsigned flags, uint32_t mode);
int stoai_os_memfd(const char *name);
int stoai_os_memfd_seal_shrink(int fd);
/* same file, own description; -ENOTSUP: no /proc */
int stoai_os_reopen(int fd, bool write);
/* fd's number for `with`, which is closed, also after a failure */
int stoai_os_replace(int fd, int with);
int stoai_os_close(int fd);
int stoai_os_link_fd(int fd, const char *path); /* names an unnamed file */
int stoai_os_link(const char *from, const char *to);
int stoai_os_unlink(const char *path);
int stoai_os_mkdir(const char *path, uint32_t mode);
int stoai_os_stat_fd(int fd, struct stat *ret);
int stoai_os_stat(const char *path, struct stat *ret); /* of a symlink itself */
int stoai_os_chmod_fd(int fd, uint32_t mode);
/* even one that we cannot read */
int stoai_os_chmod_directory(const char *path, uint32_t mode);
int stoai_os_truncate(int fd, uint64_t size);
int stoai_os_allocate(int fd, uint64_t from, uint64_t size); /* fallocate(2) */
int stoai_os_punch(int fd, uint64_t from, uint64_t size);
/* bytes read; fewer only at the end of the file */
int stoai_os_pread(int fd, void *to, size_t size, uint64_t from);
uint32_t stoai_os_euid(void);
/* the next name of a directory; calls f for each; stops when f returns != 0 */
int stoai_os_list(
	const char *dir, int (*f)(const char *name, void *user), void *user);

/* ---- memory ---- */
enum {
	STOAI_MAP_READ = 1 << 0,
	STOAI_MAP_WRITE = 1 << 1,
	STOAI_MAP_FIXED = 1 << 2 /* replace what is at `at` */
};
size_t stoai_os_page_size(void);
/* shared mapping of fd; not dumped in a core file */
int stoai_os_map(int fd, uint64_t from, size_t size, unsigned prot, void *at,
	void **ret);
/* zeroed, of this process alone, no swap reserved */
int stoai_os_map_private(size_t size, unsigned prot, void *at, void **ret);
/* zero in a fork child, even after a raw clone() */
int stoai_os_wipe_on_fork(void *at, size_t size);
void stoai_os_unmap(void *at, size_t size);
int stoai_os_protect(void *at, size_t size, unsigned prot);
int stoai_os_sync(void *at, size_t size);

/* ---- owner bytes: open-file-description locks, one byte a slot ---- */
enum stoai_os_lock {
	STOAI_LOCK_NONE,
	STOAI_LOCK_SHARED,
	STOAI_LOCK_EXCLUSIVE
};
/* never waits; -EAGAIN: somebody else has it; -ENOTSUP: no such locks here */
int stoai_os_lock_byte(int fd, uint64_t byte, enum stoai_os_lock kind);
/* whose lock stands in the way of an exclusive one: STOAI_LOCK_*; or < 0 */
int stoai_os_probe_byte(int fd, uint64_t byte);

/* ---- waiting ---- */
/* 0: woken, or the word has another value; -ETIMEDOUT; deadline absolute CLOCK_MONOTONIC ns */
int
stoai_os_futex_wait(const uint32_t *word, uint32_t value, uint64_t deadline);
/* on both words; returns the index of the one that was woken, 0 when a value differs;
 * -ENOSYS when the kernel or a filter has no futex_waitv */
int stoai_os_futex_wait2(const uint32_t *word, uint32_t value,
	const uint32_t *word2, uint32_t value2, uint64_t deadline);
/* Behave as if there were none: a test, or a caller's wish. */
extern uint32_t stoai_os_without_waitv; /* an a32_ word */
int stoai_os_futex_wake(const uint32_t *word, uint32_t count);
uint64_t stoai_os_now(void); /* CLOCK_MONOTONIC, ns */
uint64_t stoai_os_now_coarse(void);
uint64_t stoai_os_realtime(void); /* ns since 1970 */
void stoai_os_sleep(uint64_t ns); /* at most; a signal ends it */
void stoai_os_yield(void);

/* ---- identity ---- */
uint32_t stoai_os_pid(void);
uint32_t stoai_os_tid(void); /* cached per thread; right again after fork */
uint64_t stoai_os_pid_namespace(void);
int stoai_os_random(void *to, size_t size);
/* -ENODATA: all zeros; -EBADMSG: no id */
int stoai_os_boot_id(uint8_t ret[16]);
const char *stoai_os_environment(const char *name);

/* ---- libc's robust list of this thread ---- */
struct stoai_robust_head { /* the kernel's layout: list, futex_offset, pending */
	void *next;
	long futex_offset;
	void *pending;
};
int stoai_os_robust_list(struct stoai_robust_head **ret);

#endif
