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
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
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
	STOAI_OS_CHOWN,
	STOAI_OS_ADVISE,
	STOAI_OS_RESIDE, /* lock in memory */
	STOAI_OS_MBIND,
	STOAI_OS_XSI,
	STOAI_OS_SEND,
	STOAI_OS_RECEIVE,
	STOAI_OS_POLL,
	STOAI_OS_EVENT,
	STOAI_OS_THREAD,
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
/* of huge pages of the default size; -ENOSYS, -ENOENT, -EINVAL where there are none */
int stoai_os_memfd_huge(const char *name);
int stoai_os_memfd_seal_shrink(int fd);
int stoai_os_seal(int fd, unsigned seals); /* F_SEAL_*; -EINVAL: no memfd */
/* the same description under another number */
int stoai_os_duplicate(int fd);
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
/* UINT32_MAX: as it is */
int stoai_os_chown_fd(int fd, uint32_t uid, uint32_t gid);
/* of a huge page, if the file is made of them; else 0 */
size_t stoai_os_huge_page(int fd);
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
	STOAI_MAP_FIXED = 1 << 2, /* replace what is at `at` */
	STOAI_MAP_THERE = 1 << 3, /* at `at` or -EEXIST: replaces nothing */
	STOAI_MAP_COPY = 1 << 4   /* what is written stays in this process */
};
size_t stoai_os_page_size(void);
/* shared mapping of fd; not dumped in a core file */
int stoai_os_map(int fd, uint64_t from, size_t size, unsigned prot, void *at,
	void **ret);
/* zeroed, of this process alone, no swap reserved */
int stoai_os_map_private(size_t size, unsigned prot, void *at, void **ret);
/*
 * For a region: fd -1 is memory without a file, shared with fork children unless
 * STOAI_MAP_COPY; more: further flags of mmap(2). Memory is accounted where it can be.
 */
int stoai_os_map_region(int fd, uint64_t from, size_t size, unsigned prot,
	int more, void *at, void **ret);
/* zero in a fork child, even after a raw clone() */
int stoai_os_wipe_on_fork(void *at, size_t size);
void stoai_os_unmap(void *at, size_t size);
int stoai_os_protect(void *at, size_t size, unsigned prot);
int stoai_os_sync(void *at, size_t size);
/* begin to write, and do not wait */
int stoai_os_sync_start(int fd, uint64_t from, uint64_t size);
int stoai_os_advise(void *at, size_t size, int advice); /* MADV_* */
/* pages for all of it, now; -EFAULT: there is none for some; never a signal */
int stoai_os_populate(void *at, size_t size, bool write);
int stoai_os_reside(void *at, size_t size, bool locked); /* mlock, munlock */
/* MPOL_*; nodes: a bit each */
int stoai_os_mbind(void *at, size_t size, int policy, uint64_t nodes);
int stoai_os_policy(void *at, int *policy, uint64_t *nodes);

struct stoai_facts { /* bytes; of the mappings in a span, as the kernel counts */
	uint64_t page, resident, huge, locked;
};
/* -ENOTSUP: no /proc */
int stoai_os_facts(const void *at, size_t size, struct stoai_facts *ret);

/* ---- XSI shared memory ---- */
struct stoai_xsi_stat {
	uint64_t size;
	uint32_t mode, uid, gid;
};
int stoai_os_xsi_key(const char *path, int project, int32_t *ret); /* ftok */
/* returns the id; create: must not be there; size 0 otherwise */
int stoai_os_xsi_get(int32_t key, size_t size, bool create, uint32_t mode);
int stoai_os_xsi_attach(int id, bool readonly, void *at, void **ret);
int stoai_os_xsi_detach(void *at);
int stoai_os_xsi_stat(int id, struct stoai_xsi_stat *ret);
int stoai_os_xsi_set(int id, uint32_t mode, uint32_t uid, uint32_t gid);
int stoai_os_xsi_remove(int id);

/* ---- descriptors through a socket ---- */
int stoai_os_send_fd(int socket, int fd);
/* a descriptor, close-on-exec; -ENODATA: the other side has closed; -EBADMSG: a
 * message without one */
int stoai_os_receive_fd(int socket);

/* ---- owner bytes: open-file-description locks, one byte a slot ---- */
enum stoai_os_lock {
	STOAI_LOCK_NONE,
	STOAI_LOCK_SHARED,
	STOAI_LOCK_EXCLUSIVE
};
/* never waits; -EAGAIN: somebody else has it; -ENOTSUP: no such locks here */
int stoai_os_lock_byte(int fd, uint64_t byte, enum stoai_os_lock kind);
/* size bytes, 0: all from there on; wait: for as long as it takes, across signals */
int stoai_os_lock_span(int fd, uint64_t from, uint64_t size,
	enum stoai_os_lock kind, bool wait);
/* whose lock stands in the way of an exclusive one: STOAI_LOCK_*; or < 0 */
int stoai_os_probe_byte(int fd, uint64_t byte);

/* ---- waiting ---- */
/* 0: woken, or the word has another value; -ETIMEDOUT; deadline absolute CLOCK_MONOTONIC ns */
int
stoai_os_futex_wait(const uint32_t *word, uint32_t value, uint64_t deadline);
struct stoai_os_word {
	const uint32_t *word;
	uint32_t value;
};
enum {
	STOAI_OS_WORDS_MAX = 32
};
/* on all of them; returns the index of one that was woken, 0 when a value differs;
 * -ENOSYS when the kernel or a filter has no futex_waitv */
int stoai_os_futex_wait_any(
	const struct stoai_os_word *on, unsigned n, uint64_t deadline);
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

/* ---- descriptors that are waited for ---- */
/* how many are ready; 0: the deadline passed, which may be 0 */
int stoai_os_poll(struct pollfd *fds, unsigned n, uint64_t deadline);
int stoai_os_event(void); /* an eventfd, close-on-exec, that never blocks */
void stoai_os_event_set(int fd);
void stoai_os_event_clear(int fd);
/* one that takes no signals; join it */
int stoai_os_thread(pthread_t *ret, void *(*run)(void *), void *arg);

/* ---- identity ---- */
uint32_t stoai_os_pid(void);
/* differs from its ancestors' by fork, also where the pids do not (two namespaces) */
uint64_t stoai_os_process(void);
uint32_t stoai_os_tid(void); /* cached per thread; right again after fork */
uint64_t stoai_os_pid_namespace(void);
int stoai_os_random(void *to, size_t size);
/* -ENODATA: all zeros; -EBADMSG: no id */
int stoai_os_boot_id(uint8_t ret[16]);
const char *stoai_os_environment(const char *name);

/* ---- who called ---- */
/* Return addresses, the innermost first; how many. -ENOTSUP */
int stoai_os_stack(void **ret, int room);
/* "function" or "file+0x12", without blanks and ';' */
void stoai_os_frame_text(const void *at, char *buf, size_t size);
/* Which files are mapped where, as the kernel writes it. */
int stoai_os_maps(FILE *out);

/* ---- libc's robust list of this thread ---- */
struct stoai_robust_head { /* the kernel's layout: list, futex_offset, pending */
	void *next;
	long futex_offset;
	void *pending;
};
int stoai_os_robust_list(struct stoai_robust_head **ret);

#endif
