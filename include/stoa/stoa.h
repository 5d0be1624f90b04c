/* SPDX-License-Identifier: BSL-1.0 */
/* Everything. The container templates are included one by one: stoa/template/. */
#ifndef STOA_H
#define STOA_H
#include <stoa/attr.h>
#include <stoa/error.h>
#include <stoa/time.h>
#include <stoa/ref.h>
#include <stoa/sync.h>
#include <stoa/guard.h>
#include <stoa/semaphore.h>
#include <stoa/event.h>
#include <stoa/barrier.h>
#include <stoa/wait.h>
#include <stoa/segment.h>
#include <stoa/type.h>
#include <stoa/tx.h>
#include <stoa/object.h>
#include <stoa/index.h>
#include <stoa/str.h>
#include <stoa/memory.h>
#include <stoa/heap.h>
#include <stoa/pool.h>
#include <stoa/arena.h>
#include <stoa/ptr.h>
#include <stoa/place.h>
#include <stoa/region.h>
#include <stoa/filelock.h>
#include <stoa/named.h>
#include <stoa/contention.h>
#include <stoa/heapstat.h>
#endif
