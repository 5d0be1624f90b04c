/* SPDX-License-Identifier: BSL-1.0 */
/*
 * malloc, hammered: everything that a program may do with it, by threads that come and
 * go, more of them than a segment has slots, and by children of forks in the middle of
 * all that. It knows nothing of Stoa: it is run plainly and with libstoa-malloc.so
 * preloaded, and what it finds wrong is its status.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what) \
 ((what) ? (void)0 \
	 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what), \
		   abort()))

enum {
	SHELF = 512,
	CROWD = 300, /* at the same time: more than 255 */
	TURNS = 1200
};

struct item {
	unsigned char *bytes;
	size_t size;
};

static uint32_t
lot(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static size_t
size_of_lot(uint32_t *seed)
{
	uint32_t which = lot(seed) % 100;

	return which < 80   ? lot(seed) % 300
	       : which < 97 ? lot(seed) % 9000
	       : which < 99 ? lot(seed) % 150000
			    : lot(seed) % 3000000;
}

/* Each byte of the first and last few says whose it is. */
static void
mark(struct item *item)
{
	size_t n = item->size < 24 ? item->size : 24;

	memset(item->bytes, (int)(item->size & 0xff), n);
	memset(item->bytes + item->size - n, (int)(item->size & 0xff), n);
}

static void
look(const struct item *item, size_t size)
{
	size_t n = item->size < 24 ? item->size : 24;

	for (size_t i = 0; i < n && i < size; i++)
		CHECK(item->bytes[i] == (item->size & 0xff));
	for (size_t i = item->size - n; i < item->size && i < size; i++)
		CHECK(item->bytes[i] == (item->size & 0xff));
}

static void
item_make(struct item *item, uint32_t *seed)
{
	size_t align = (size_t)16 << lot(seed) % 10;
	void *p = NULL;

	item->size = size_of_lot(seed);
	switch (lot(seed) % 8) {
	case 0:
		p = calloc(1, item->size);
		for (size_t i = 0; i < item->size; i++)
			CHECK(!((char *)p)[i]);
		break;
	case 1:
		CHECK(!posix_memalign(&p, align, item->size));
		CHECK((uintptr_t)p % align == 0);
		break;
	default:
		p = malloc(item->size);
	}
	CHECK(p && (uintptr_t)p % 16 == 0);
	CHECK(malloc_usable_size(p) >= item->size);
	item->bytes = p;
	mark(item);
}

static void
item_resize(struct item *item, uint32_t *seed)
{
	size_t size = size_of_lot(seed) + 1;
	void *p = realloc(item->bytes, size);

	CHECK(p);
	item->bytes = p;
	look(item, size);
	item->size = size;
	mark(item);
}

static void
turn(struct item *shelf, uint32_t *seed)
{
	struct item *item = &shelf[lot(seed) % SHELF];

	if (!item->bytes) {
		item_make(item, seed);
	} else if (lot(seed) % 4 == 0) {
		look(item, item->size);
		item_resize(item, seed);
	} else {
		look(item, item->size);
		free(item->bytes);
		item->bytes = NULL;
	}
}

static void
shelf_clear(struct item *shelf)
{
	for (int i = 0; i < SHELF; i++) {
		if (shelf[i].bytes)
			look(&shelf[i], shelf[i].size);
		free(shelf[i].bytes);
		shelf[i].bytes = NULL;
	}
}

/* ---- threads, and blocks that go from one to another ---- */

static struct item common[SHELF];
static pthread_mutex_t locks[SHELF];
static pthread_barrier_t crowd_begins, crowd_ends;
static pthread_key_t at_end;

/* One place, locked: made by one thread, freed or resized by another. */
static void
swap_turn(uint32_t *seed)
{
	uint32_t i = lot(seed) % SHELF;
	struct item *item = &common[i];

	pthread_mutex_lock(&locks[i]);
	if (item->bytes) {
		look(item, item->size);
		if (lot(seed) % 3) {
			free(item->bytes);
			item->bytes = NULL;
		} else {
			item_resize(item, seed);
		}
	} else {
		item_make(item, seed);
	}
	pthread_mutex_unlock(&locks[i]);
}

/* At a thread's end, when its seat may have gone already. */
static void
end_of_thread(void *p)
{
	char *text = malloc(100);

	CHECK(text && !strcmp(p, "still here"));
	strcpy(text, p);
	free(p);
	free(text);
}

static void *
busy_thread(void *p)
{
	uint32_t seed = (uint32_t)(uintptr_t)p;
	struct item *shelf = calloc(SHELF, sizeof *shelf);
	char *word = strdup("still here");

	CHECK(shelf && word && !pthread_setspecific(at_end, word));
	for (int i = 0; i < TURNS; i++) {
		turn(shelf, &seed);
		swap_turn(&seed);
	}
	shelf_clear(shelf);
	free(shelf);
	return strdup("done");
}

static void *
crowd_thread(void *p)
{
	uint32_t seed = (uint32_t)(uintptr_t)p;
	void *mine = malloc(100);

	CHECK(mine);
	pthread_barrier_wait(&crowd_begins); /* all of them have a block now */
	for (int i = 0; i < 60; i++)
		swap_turn(&seed);
	free(mine);
	pthread_barrier_wait(&crowd_ends);
	return strdup("done");
}

static void
threads(int count, void *(*begin)(void *))
{
	pthread_t thread[CROWD];
	pthread_attr_t attr;
	void *said;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	for (int i = 0; i < count; i++)
		CHECK(!pthread_create(
			&thread[i], &attr, begin, (void *)(uintptr_t)(i + 1)));
	for (int i = 0; i < count; i++) {
		CHECK(!pthread_join(thread[i], &said));
		CHECK(!strcmp(said, "done"));
		free(said);
	}
	pthread_attr_destroy(&attr);
}

/* ---- forks ---- */

static volatile int stop;

static void *
noisy_thread(void *p)
{
	uint32_t seed = (uint32_t)(uintptr_t)p + 77;
	static __thread struct item shelf[SHELF];

	while (!stop)
		turn(shelf, &seed);
	shelf_clear(shelf);
	return strdup("done");
}

static void
child(struct item *shelf, uint32_t seed, int depth)
{
	pid_t pid;
	int status;

	for (int i = 0; i < 500; i++)
		turn(shelf, &seed);
	if (depth) {
		pid = fork();
		if (!pid) {
			child(shelf, seed + 1, depth - 1);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	shelf_clear(shelf);
}

static void
forks(void)
{
	pthread_t noisy[3];
	static struct item shelf[SHELF];
	uint32_t seed = 5;
	void *said;
	int status;

	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(
			&noisy[i], NULL, noisy_thread, (void *)(uintptr_t)i));
	for (int i = 0; i < 6; i++) {
		pid_t pid;

		for (int k = 0; k < 500; k++)
			turn(shelf, &seed);
		pid = fork();
		if (!pid) {
			child(shelf, seed, 2);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(status == 0);
	}
	stop = 1;
	for (int i = 0; i < 3; i++) {
		CHECK(!pthread_join(noisy[i], &said));
		free(said);
	}
	shelf_clear(shelf);
}

/* ---- edges ---- */

static void
errors(void)
{
	/* the compiler shall not know that these cannot be had */
	volatile size_t huge = SIZE_MAX - 4096, many = (size_t)1 << 62;
	void *p = malloc(0), *q = malloc(0), *kept;

	CHECK(p && q && p != q);
	free(p);
	free(q);
	free(NULL);
	errno = 0;
	CHECK(!malloc(huge) && errno == ENOMEM);
	errno = 0;
	CHECK(!calloc(many, 16) && errno == ENOMEM);
	errno = 0;
	CHECK(!malloc(many) && errno == ENOMEM);
	p = malloc(100);
	errno = 0;
	CHECK(!reallocarray(p, many, 8) && errno == ENOMEM);
	errno = 0;
	kept = p;
	CHECK(!realloc(p, huge) && errno == ENOMEM);
	errno = 7;
	free(kept);
	CHECK(errno == 7);
	CHECK(posix_memalign(&p, 24, 8) == EINVAL);
	CHECK(posix_memalign(&p, 4, 8) == EINVAL);
	CHECK(posix_memalign(&p, 64, huge) == ENOMEM);
	p = malloc(16);
	CHECK(!realloc(p, 0));
}

static void
aligned(void)
{
	long page = sysconf(_SC_PAGESIZE);

	for (size_t align = 16; align <= (size_t)16 << 20; align *= 2)
		for (size_t size = 1; size < 200000; size = size * 7 + 3) {
			char *p = aligned_alloc(align, size);

			CHECK(p && (uintptr_t)p % align == 0);
			CHECK(malloc_usable_size(p) >= size);
			memset(p, 1, size);
			free(p);
		}
	for (int i = 0; i < 100; i++) {
		char *p = valloc((size_t)i * 100), *q = pvalloc(1);

		CHECK((uintptr_t)p % (size_t)page == 0);
		CHECK((uintptr_t)q % (size_t)page == 0);
		CHECK(malloc_usable_size(q) >= (size_t)page);
		free(p);
		free(q);
	}
}

/* Longer and shorter, with everything that is in it. */
static void
large(void)
{
	size_t size = 10, most = (size_t)12 << 20;
	unsigned char *p = malloc(size);
	size_t filled = 0;

	for (; size < most; size = size * 3 / 2 + 1) {
		p = realloc(p, size);
		CHECK(p);
		for (size_t i = 0; i < filled; i += 997)
			CHECK(p[i] == (unsigned char)(i % 251));
		for (size_t i = filled; i < size; i++)
			p[i] = (unsigned char)(i % 251);
		filled = size;
	}
	for (; size > 10; size /= 3) {
		p = realloc(p, size);
		CHECK(p);
		for (size_t i = 0; i < size && i < filled; i += 97)
			CHECK(p[i] == (unsigned char)(i % 251));
	}
	free(p);
	for (int i = 0; i < 4; i++) { /* what had been written is zero again */
		p = calloc(1, 5000000);
		for (size_t k = 0; k < 5000000; k += 509)
			CHECK(!p[k]);
		memset(p, 0xff, 5000000);
		free(p);
	}
}

int
main(void)
{
	for (int i = 0; i < SHELF; i++)
		pthread_mutex_init(&locks[i], NULL);
	pthread_key_create(&at_end, end_of_thread);
	errors();
	aligned();
	large();
	puts("alone");
	for (int i = 0; i < 2; i++)
		threads(8, busy_thread);
	puts("threads");
	pthread_barrier_init(&crowd_begins, NULL, CROWD);
	pthread_barrier_init(&crowd_ends, NULL, CROWD);
	threads(CROWD, crowd_thread);
	threads(CROWD, crowd_thread);
	puts("a crowd");
	forks();
	puts("forks");
	shelf_clear(common);
	return 0;
}
