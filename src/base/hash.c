/* SPDX-License-Identifier: BSL-1.0 */
#include "base/hash.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t
stoai_hash(const void *bytes, size_t size, uint64_t seed)
{
	return XXH3_64bits_withSeed(bytes, size, seed);
}

uint64_t
stoai_hash_sum(const void *bytes, size_t size)
{
	return XXH3_64bits(bytes, size);
}
