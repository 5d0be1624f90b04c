/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What the tests of regions share: a directory of names, bytes to recognise, and a
 * count of what XSI memory there is.
 */
#ifndef TESTS_UNIT_REGION_FIXTURE_H
#define TESTS_UNIT_REGION_FIXTURE_H
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <stoa/region.h>

#include "room.h"

static inline int
room_open(void **state)
{
	return room_make(state) ? -1 : setenv("STOA_DIRECTORY", room, 1);
}

/* Each byte another one, and the first is `seed`. */
static inline void
fill(stoa_region *r, unsigned char seed)
{
	unsigned char *p = stoa_region_data(r);

	memset(p, seed, stoa_region_size(r));
	for (size_t i = 64; i + 64 < stoa_region_size(r); i += 64)
		p[i] = (unsigned char)(seed + i / 64);
}

static inline bool
same_bytes(const stoa_region *a, const stoa_region *b)
{
	return stoa_region_size(a) == stoa_region_size(b) &&
	       !memcmp(stoa_region_data(a), stoa_region_data(b),
		       stoa_region_size(a));
}

static inline bool
is_zero(const stoa_region *r)
{
	const unsigned char *p = stoa_region_data(r);

	for (size_t i = 0; i < stoa_region_size(r); i++)
		if (p[i])
			return false;
	return true;
}

/* XSI segments on this system. */
static inline int
shm_count(void)
{
	struct shm_info info;

	return shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info) < 0
		       ? -1
		       : info.used_ids;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, room_open, room_close)

#endif
