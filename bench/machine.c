/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What was measured on? Without it numbers of two runs cannot be compared. The
 * round trip of a cache line tells how far the two processors are from each other,
 * which virtual machines change at will and every work of two processes follows.
 */
#include "allocators.h"
#include "peer_boost.h"
#include "peer_ck.h"
#include "peer_lmdb.h"
#include "peer_pmdk.h"
#include "measure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	TRIPS = 20000
};

/* The first line of the file that begins with key (or any); its value. */
static void
line_of(const char *path, const char *key, char *ret, size_t size)
{
	FILE *f = fopen(path, "re");
	char line[256];

	(void)snprintf(ret, size, "unknown");
	while (f && fgets(line, sizeof line, f)) {
		const char *value = line;

		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (*key && strchr(line, ':'))
			value = strchr(line, ':') + 2;
		(void)snprintf(ret, size, "%.120s", value);
		break;
	}
	if (f)
		(void)fclose(f);
}

static void
bounce(uint32_t *word, uint32_t mine)
{
	for (uint32_t i = 0; i < TRIPS; i++) {
		while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != mine)
			;
		__atomic_store_n(word, !mine, __ATOMIC_RELEASE);
	}
}

/* ns; 0: there is one processor only */
static double
round_trip(void)
{
	uint32_t *word = measure_shared(sizeof *word);
	uint64_t from;
	pid_t pid[2];

	if (!word || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return 0;
	(void)fflush(NULL);
	from = measure_now();
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			measure_pin(i);
			bounce(word, (uint32_t)i);
			_exit(0);
		}
	}
	(void)waitpid(pid[0], NULL, 0);
	(void)waitpid(pid[1], NULL, 0);
	return (double)(measure_now() - from) / TRIPS;
}

void
machine_print(void *to)
{
	char model[128], governor[128], load[128];
	struct utsname u;

	allocators_load();
	(void)uname(&u);
	line_of("/proc/cpuinfo", "model name", model, sizeof model);
	line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "",
		governor, sizeof governor);
	line_of("/proc/loadavg", "", load, sizeof load);
	(void)fprintf(to,
		"# %s, %ld processors, governor %s, load %s\n"
		"# cache line round trip %.0f ns, %s %s, compiler %s\n"
		"# glibc %s, mimalloc %s, jemalloc %s, boost %s, lmdb %s, ck "
		"%s, pmdk %s\n",
		model, sysconf(_SC_NPROCESSORS_ONLN), governor, load,
		round_trip(), u.sysname, u.release, __VERSION__,
		glibc_malloc.version,
		mimalloc.version[0] ? mimalloc.version : "not here, left out",
		jemalloc.version[0] ? jemalloc.version : "not here, left out",
#ifdef BENCH_BOOST
		boost_version(),
#else
		"not here, left out",
#endif
#ifdef BENCH_LMDB
		lmdb_version_text(),
#else
		"not here, left out",
#endif
#ifdef BENCH_CK
		ck_version(),
#else
		"not here, left out",
#endif
#ifdef BENCH_PMDK
		pmdk_version()
#else
		"not here, left out"
#endif
	);
}
