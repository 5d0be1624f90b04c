/* SPDX-License-Identifier: BSL-1.0 */
/* Named locks, for the tests of the library. See named.c. */
#ifndef STOAI_OBJECT_NAMED_H
#define STOAI_OBJECT_NAMED_H
#include "object/object.h"
#include "stoa/named.h"

/*
 * Deletes some of what was removed; the caller knows that nobody has it. true: there
 * is more. In a transaction of the namespace.
 */
bool stoai_named_purge(stoa_tx *tx);

#endif
