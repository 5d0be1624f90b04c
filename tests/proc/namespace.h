/* SPDX-License-Identifier: BSL-1.0 */
/* A child in a PID namespace of its own, where its number is 1. */
#ifndef TESTS_PROC_NAMESPACE_H
#define TESTS_PROC_NAMESPACE_H
#include <sched.h>

#include "proc.h"

struct part {
	int (*body)(struct peer *me);
};

/* body in a fresh namespace, as its pid 1; this process waits for it. */
static inline int
in_namespace(struct peer *me, void *user)
{
	struct part *part = user;
	int status = -1;
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		return 77;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		MUST(getpid() == 1);
		_exit(part->body(me));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static inline bool
namespaces_allowed(void)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWPID) != 0);
	return waitpid(pid, &status, 0) == pid && !status;
}

#endif
