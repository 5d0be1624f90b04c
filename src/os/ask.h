/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What every function of this layer begins and ends with. Not for other layers.
 */
#ifndef STOAI_OS_ASK_H
#define STOAI_OS_ASK_H
#include "base/base.h"
#include "os/os.h"
#include <errno.h>

/* May the call be made? 0, or what a test wants it to return. */
static inline int
stoai_os_ask(enum stoai_os_call call)
{
	return stoai_unlikely(stoai_os_fault != NULL) ? stoai_os_fault(call)
						      : 0;
}

static inline bool
stoai_os_interrupted(long rc)
{
	return rc < 0 && errno == EINTR;
}

static inline int
stoai_os_result(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

#endif
