/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What every function of this layer begins and ends with. Not for other layers.
 */
#ifndef STOAI_OS_ASK_H
#define STOAI_OS_ASK_H
#include "base/base.h"
#include "os/os.h"
#include <errno.h>
#ifdef __has_feature
 #if __has_feature(memory_sanitizer)
  #include <sanitizer/msan_interface.h>
  #define STOAI_MSAN 1
 #endif
#endif

/* May the call be made? 0, or what a test wants it to return. */
static inline int
stoai_os_ask(enum stoai_os_call call)
{
	return stoai_unlikely(stoai_os_fault != NULL) ? stoai_os_fault(call)
						      : 0;
}

/* A bare system call has written here, which MemorySanitizer cannot see. */
#ifdef STOAI_MSAN
 #define stoai_os_written(p, size) __msan_unpoison((p), (size))
#else
 #define stoai_os_written(p, size) ((void)(p), (void)(size))
#endif

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
