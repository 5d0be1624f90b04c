/* SPDX-License-Identifier: BSL-1.0 */
/* Deadlines: when is "in so many milliseconds"? */
#include "stoa/time.h"
#include "os/os.h"

uint64_t
stoa_in_ms(uint32_t ms)
{
	uint64_t now = stoai_os_now(), ahead = ms * UINT64_C(1000000);

	/* What lies beyond the last instant is that instant, not "for ever". */
	return ahead >= STOA_FOREVER - now ? STOA_FOREVER - 1 : now + ahead;
}
