/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The one hash: XXH3 of xxHash, inlined, so that nothing is linked. Its results
 * are frozen since 0.8.0, which a hash stored in a segment needs.
 */
#ifndef STOAI_BASE_HASH_H
#define STOAI_BASE_HASH_H
#include <stddef.h>
#include <stdint.h>

uint64_t stoai_hash(const void *bytes, size_t size, uint64_t seed);
/* Without a seed: for sums and identities that outlive a segment. */
uint64_t stoai_hash_sum(const void *bytes, size_t size);

#endif
