/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Identity: who am I, on which boot, in whose namespace, with which robust list?
 *
 * The tid is asked for on hot paths and costs a system call, so each thread
 * remembers it. A fork child copies what its parent's thread remembered, which
 * is wrong there. It must find out without a handler (a raw clone() runs none):
 *
 *	epoch page   one per process, wiped in a fork child:  word = epoch, or 0
 *	thread       { tid, epoch }     believed when both epochs are equal, not 0
 *
 * Invariants:
 *   I1  The epoch word is 0 only before its first use in this process.
 *   I2  Each process of a line of forks has its own epoch number: the counter
 *       lies in ordinary memory, is copied by fork, and is raised before use.
 *       So what the parent's thread remembered never equals the child's epoch.
 *   I3  Without such a page (no memory, no MADV_WIPEONFORK) nothing is
 *       remembered.
 */
#include "base/atomic.h"
#include "os/ask.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t *epoch_page; /* NULL: not to be had; written once */
static pthread_once_t epoch_once = PTHREAD_ONCE_INIT;
static uint64_t epoch_last; /* I2 */

static STOAI_THREAD struct {
	const uint64_t *page; /* epoch_page, once this thread has seen it */
	uint64_t epoch;
	uint32_t tid;
} remembered;

uint32_t
stoai_os_pid(void)
{
	return (uint32_t)getpid();
}

/*
 * No test is asked: when this happens is nothing that a count of calls should
 * show.
 */
static void
epoch_page_make(void)
{
	size_t size = stoai_os_page_size();
	void *made = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (made == MAP_FAILED)
		return;
	if (madvise(made, size, MADV_WIPEONFORK))
		(void)munmap(made, size);
	else
		epoch_page = made;
}

/* This process's; 0: there is no page. */
static uint64_t
epoch_now(void)
{
	uint64_t epoch, none = 0;

	if (pthread_once(&epoch_once, epoch_page_make) || !epoch_page)
		return 0;
	epoch = a64_load_acquire(epoch_page);
	if (epoch == 0) { /* I1 */
		epoch = a64_fetch_add_seq_cst(&epoch_last, 1) + 1;
		if (!a64_cas_seq_cst(epoch_page, &none, epoch))
			epoch = none; /* another thread was first */
	}
	return epoch;
}

uint64_t
stoai_os_process(void)
{
	uint64_t epoch = epoch_now();

	return epoch ? epoch : UINT64_C(1) << 63 | (uint32_t)getpid();
}

static uint32_t
tid_ask(void)
{
	uint32_t tid = (uint32_t)syscall(SYS_gettid);
	uint64_t epoch = epoch_now();

	if (!epoch)
		return tid; /* I3 */
	remembered.page = epoch_page;
	remembered.epoch = epoch;
	remembered.tid = tid;
	return tid;
}

uint32_t
stoai_os_tid(void)
{
	if (stoai_likely(remembered.page &&
			 a64_load_relaxed(remembered.page) == remembered.epoch))
		return remembered.tid;
	return tid_ask();
}

uint64_t
stoai_os_pid_namespace(void)
{
	struct stat st;

	if (stoai_os_ask(STOAI_OS_STAT))
		return 0;
	if (stat("/proc/thread-self/ns/pid", &st) &&
		stat("/proc/self/ns/pid", &st))
		return 0;
	return st.st_ino;
}

int
stoai_os_random(void *to, size_t size)
{
	int rc = stoai_os_ask(STOAI_OS_RANDOM);
	size_t done = 0;

	if (rc)
		return rc;
	while (done < size) { /* the bare call: glibc's can be cancelled in */
		long n = syscall(
			SYS_getrandom, (char *)to + done, size - done, 0);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return n == 0 ? -EIO : -errno;
	}
	stoai_os_written(to, size);
	return 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* 8-4-4-4-12 hexadecimal digits */
static int
boot_id_parse(const char *text, size_t size, uint8_t ret[16])
{
	uint8_t id[16] = {0}, all = 0;
	size_t digits = 0;

	for (size_t i = 0; i < size && digits < 32; i++) {
		int d = hex_digit(text[i]);

		if (text[i] == '-')
			continue;
		if (d < 0)
			return -EBADMSG;
		id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | d);
		digits++;
	}
	if (digits != 32)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof id; i++)
		all |= id[i];
	if (all == 0)
		return -ENODATA;
	memcpy(ret, id, sizeof id);
	return 0;
}

int
stoai_os_boot_id(uint8_t ret[16])
{
	char text[64];
	int fd, n;

	fd = stoai_os_open("/proc/sys/kernel/random/boot_id", 0, 0);
	if (fd < 0)
		return fd;
	n = stoai_os_pread(fd, text, sizeof text, 0);
	(void)stoai_os_close(fd);
	return n < 0 ? n : boot_id_parse(text, (size_t)n, ret);
}

const char *
stoai_os_environment(const char *name)
{
	return secure_getenv(name); /* nothing to one that runs with set-uid */
}

int
stoai_os_robust_list(struct stoai_robust_head **ret)
{
	struct stoai_robust_head *head = NULL;
	int rc = stoai_os_ask(STOAI_OS_ROBUST_LIST);
	size_t size = 0;

	if (rc)
		return rc;
	if (syscall(SYS_get_robust_list, 0, &head, &size))
		return -errno;
	stoai_os_written(&head, sizeof(void *));
	stoai_os_written(&size, sizeof size);
	if (!head || size != sizeof *head)
		return -ENOTSUP; /* this libc has registered none for us */
	*ret = head;
	return 0;
}
