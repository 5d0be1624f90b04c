/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Sharing by other ways than a file: XSI memory, and descriptors that go through a
 * socket.
 *
 * Invariants:
 *   I1  A descriptor that arrives is close-on-exec from its first moment, and no
 *       standard stream.
 *   I2  Descriptors that arrive and were not expected are closed: a message can
 *       bring more than one.
 */
#include "os/ask.h"
#include <fcntl.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	FDS_MAX = 8, /* as many as one message of a stranger is read for */
	MODE_BITS = 0777
};

int
stoai_os_xsi_key(const char *path, int project, int32_t *ret)
{
	int rc = stoai_os_ask(STOAI_OS_STAT);
	key_t key;

	if (rc)
		return rc;
	key = ftok(path, project);
	if (key == -1)
		return -errno;
	*ret = key;
	return 0;
}

int
stoai_os_xsi_get(int32_t key, size_t size, bool create, uint32_t mode)
{
	int rc = stoai_os_ask(STOAI_OS_XSI);
	int flags = create ? IPC_CREAT | IPC_EXCL | (int)(mode & MODE_BITS) : 0;

	return rc ? rc : stoai_os_result(shmget(key, size, flags));
}

int
stoai_os_xsi_attach(int id, bool readonly, void *at, void **ret)
{
	int rc = stoai_os_ask(STOAI_OS_XSI);
	void *there;

	if (rc)
		return rc;
	there = shmat(id, at, readonly ? SHM_RDONLY : 0);
	if ((intptr_t)there == -1)
		return -errno;
	*ret = there;
	return 0;
}

int
stoai_os_xsi_detach(void *at)
{
	return stoai_os_result(shmdt(at));
}

int
stoai_os_xsi_stat(int id, struct stoai_xsi_stat *ret)
{
	int rc = stoai_os_ask(STOAI_OS_XSI);
	struct shmid_ds ds;

	if (rc)
		return rc;
	if (shmctl(id, IPC_STAT, &ds))
		return -errno;
	ret->size = ds.shm_segsz;
	ret->mode = (uint32_t)ds.shm_perm.mode & MODE_BITS;
	ret->uid = ds.shm_perm.uid;
	ret->gid = ds.shm_perm.gid;
	return 0;
}

int
stoai_os_xsi_set(int id, uint32_t mode, uint32_t uid, uint32_t gid)
{
	int rc = stoai_os_ask(STOAI_OS_XSI);
	struct shmid_ds ds;

	if (rc)
		return rc;
	if (shmctl(id, IPC_STAT, &ds))
		return -errno;
	ds.shm_perm.mode = (unsigned short)(mode & MODE_BITS);
	if (uid != UINT32_MAX)
		ds.shm_perm.uid = uid;
	if (gid != UINT32_MAX)
		ds.shm_perm.gid = gid;
	return stoai_os_result(shmctl(id, IPC_SET, &ds));
}

int
stoai_os_xsi_remove(int id)
{
	int rc = stoai_os_ask(STOAI_OS_XSI);

	return rc ? rc : stoai_os_result(shmctl(id, IPC_RMID, NULL));
}

/* ---- descriptors ---- */

union fd_message { /* aligned as the kernel wants it */
	struct cmsghdr head;
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

int
stoai_os_send_fd(int socket, int fd)
{
	int rc = stoai_os_ask(STOAI_OS_SEND);
	union fd_message control;
	char letter = 'd'; /* a stream carries descriptors only beside a byte */
	struct iovec bytes = {&letter, 1};
	struct msghdr m = {.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(sizeof fd)};
	long done;

	if (rc)
		return rc;
	memset(&control, 0, sizeof control);
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	do
		done = syscall(SYS_sendmsg, socket, &m, MSG_NOSIGNAL);
	while (stoai_os_interrupted(done));
	return done < 0 ? -errno : 0;
}

/* The first descriptor; the others are closed: I2. -1: none. */
static int
take_first(struct msghdr *m)
{
	int first = -1, fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (first < 0)
				first = fd;
			else
				(void)syscall(SYS_close, fd);
		}
	}
	return first;
}

int
stoai_os_receive_fd(int socket)
{
	int rc = stoai_os_ask(STOAI_OS_RECEIVE);
	union fd_message control;
	char letter;
	struct iovec bytes = {&letter, 1};
	struct msghdr m = {.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control};
	int fd, higher;
	long n;

	if (rc)
		return rc;
	do /* I1 */
		n = syscall(SYS_recvmsg, socket, &m, MSG_CMSG_CLOEXEC);
	while (stoai_os_interrupted(n));
	if (n < 0)
		return -errno;
	stoai_os_written(&control, sizeof control);
	fd = take_first(&m);
	if (fd < 0)
		return n == 0 ? -ENODATA : -EBADMSG;
	if (fd > STDERR_FILENO)
		return fd;
	higher = stoai_os_result(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
	(void)syscall(SYS_close, fd);
	return higher;
}
