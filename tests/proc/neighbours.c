/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What else lives in a process: libc's own robust mutexes beside our tokens, a
 * child made without fork()'s handlers, a descriptor that was passed on.
 */
#include <pthread.h>
#include <sys/socket.h>
#include "proc.h"

typedef struct pair {
	stoa_rwlock lock;
	uint64_t a, b;
} pair;
STOA_TYPE(pair, lock, a, b);

struct share {
	stoa_segment *seg;
	const pair *p;
	int socket[2];
};

static void
robust_init(pthread_mutex_t *m, int protocol)
{
	pthread_mutexattr_t a;

	assert_int_equal(pthread_mutexattr_init(&a), 0);
	assert_int_equal(
		pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST), 0);
	assert_int_equal(pthread_mutexattr_setprotocol(&a, protocol), 0);
	assert_int_equal(pthread_mutex_init(m, &a), 0);
	pthread_mutexattr_destroy(&a);
}

/* Taken and given back in every order around attach and detach. */
static void
robust_mutexes_beside_tokens(void **state)
{
	static const int protocol[] = {PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		stoa_segment *seg = segment_open();
		pthread_mutex_t m, n;

		assert_non_null(seg);
		robust_init(&m, protocol[i & 1]);
		robust_init(&n, protocol[i >> 1]);
		for (int order = 0; order < 2; order++) {
			assert_int_equal(pthread_mutex_lock(&m), 0);
			assert_int_equal(stoa_segment_attach(seg), 0);
			assert_int_equal(pthread_mutex_lock(&n), 0);
			if (order)
				stoa_segment_detach(seg);
			assert_int_equal(pthread_mutex_unlock(&m), 0);
			assert_int_equal(pthread_mutex_unlock(&n), 0);
			stoa_segment_detach(seg);
		}
		segment_judge(seg);
		stoa_segment_close(seg);
		pthread_mutex_destroy(&m);
		pthread_mutex_destroy(&n);
	}
}

/* No handler of fork() runs in it, and it is a process of its own all the same. */
static void
child_without_handlers(void **state)
{
	struct share s = {.seg = segment_open()};
	int status, up[2], down[2];
	char c;
	pid_t pid;

	(void)state;
	assert_non_null(s.seg);
	assert_int_equal(stoa_object_open(s.seg, "raw", pair, &s.p), 0);
	assert_int_equal(pipe(up), 0);
	assert_int_equal(pipe(down), 0);
	pid = _Fork();
	assert_true(pid >= 0);
	if (!pid) {
		int rc;

		{
			STOA_TX(tx, s.seg, &s.p->lock);
			STOA_SET(tx, s.p->a, 7);
			rc = write(up[1], "x", 1) != 1 ||
			     read(down[0], &c, 1) != 1;
			if (!rc)
				rc = stoa_tx_commit(tx);
		}
		_exit(rc != 0);
	}
	assert_int_equal(read(up[0], &c, 1), 1);
	/* looking for the dead must not find the living child */
	assert_int_equal(stoa_segment_recover(s.seg), 0);
	assert_int_equal(write(down[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(s.p->a, 7);
	for (int i = 0; i < 2; i++) {
		close(up[i]);
		close(down[i]);
	}
	segment_judge(s.seg);
	stoa_segment_close(s.seg);
}

static int
give_and_hold(struct peer *me, void *user)
{
	struct share *s = user;
	char byte = 'x', room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof room};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	stoa_segment *seg = NULL;
	const pair *p = NULL;
	int fd;

	(void)me;
	MUST(!stoa_segment_open(NULL, STOA_CREATE, NULL, &seg));
	MUST(!stoa_object_open(seg, "passed", pair, &p));
	fd = stoa_segment_fd(seg);
	MUST(fd >= 0);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(h), &fd, sizeof fd);
	STOA_TX(tx, seg, &p->lock);
	STOA_SET(tx, p->a, 7);
	MUST(sendmsg(s->socket[1], &m, 0) == 1);
	pause();
	return 1;
}

/* Who has a descriptor of the dead must not seem to be the dead. */
static void
descriptor_passed_on(void **state)
{
	struct share s = {0};
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof room};
	struct peer child;
	const pair *p = NULL;
	int fd;

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s.socket),
		0);
	child = peer_start(give_and_hold, &s);
	assert_int_equal(recvmsg(s.socket[0], &m, 0), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	assert_int_equal(stoa_segment_open(NULL, 0,
				 STOA_SEGMENT_OPTIONS(.fd = fd), &s.seg),
		0);
	assert_int_equal(stoa_object_open(s.seg, "passed", pair, &p), 0);
	peer_kill(&child);
	/* fd stays open meanwhile */
	{
		STOA_TX_UNTIL(tx, stoa_in_ms(3000), s.seg, &p->lock);
		assert_int_equal(stoa_tx_error(tx), 0);
		assert_int_equal(p->a, 0);
	}
	segment_judge(s.seg);
	stoa_segment_close(s.seg);
	close(fd);
	close(s.socket[0]);
	close(s.socket[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(robust_mutexes_beside_tokens),
		cmocka_unit_test(child_without_handlers),
		cmocka_unit_test(descriptor_passed_on),
	};

	return RUN_IN_ALL_WAYS("neighbours", tests);
}
