/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How does one process put thousands of segments a second in place, one after the
 * other? One memfd for files, one guarded buffer for the rest: emptied, so that no
 * page is left of the one before, and filled with what is not zero in the seed.
 */
#include "damage.h"
#include "stage.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	VIEW = 1 << 27
};

static int file, owners;
static char *view;  /* of the file: as far as it reaches */
static pid_t maker; /* they are one process's: its children make their own */

static void
files_make(void)
{
	if (maker) {
		(void)munmap(view, VIEW);
		(void)close(file);
		(void)close(owners);
	}
	maker = getpid();
	file = memfd_create("damage", MFD_CLOEXEC);
	owners = memfd_create("owners", MFD_CLOEXEC);
	view = file < 0 ? MAP_FAILED
			: mmap(NULL, VIEW, PROT_READ | PROT_WRITE, MAP_SHARED,
				  file, 0);
	if (view == MAP_FAILED || owners < 0) {
		perror("memfd_create");
		exit(1);
	}
}

static void
fill(char *to, const struct seed *seed)
{
	static const char zeros[PAGE];

	for (uint64_t at = 0; at < seed->size; at += PAGE) {
		uint64_t left = seed->size - at;
		size_t size = left < PAGE ? (size_t)left : PAGE;

		if (memcmp(seed->bytes + at, zeros, size) != 0)
			memcpy(to + at, seed->bytes + at, size);
	}
}

void
image_put(struct image *image, const struct seed *seed, enum image_mode mode)
{
	if (maker != getpid())
		files_make();
	image->seed = seed;
	image->mode = mode;
	image->size = seed->size;
	if (mode == IMAGE_BUFFER) {
		image->size = seed->buffer ? seed->size : seed->room;
		image->bytes = stage_buffer(image->size);
		image->fd = owners;
	} else {
		if (ftruncate(file, 0) || seed->size > VIEW ||
			ftruncate(file, (off_t)seed->size)) {
			perror("ftruncate");
			exit(1);
		}
		image->bytes = view;
		image->fd = file;
	}
	fill(image->bytes, seed);
}

void
image_cut(struct image *image, uint64_t size)
{
	if (image->mode == IMAGE_BUFFER) {
		memmove(image->bytes + (image->size - size), image->bytes,
			size);
		image->bytes += image->size - size;
	} else if (ftruncate(image->fd, (off_t)size)) {
		perror("ftruncate");
		exit(1);
	}
	image->size = size;
}

int
image_open(const struct image *image, stoa_segment **ret)
{
	stoa_segment_options o = {.struct_size = sizeof o, .fd = image->fd};
	unsigned flags = 0;

	switch (image->mode) {
	case IMAGE_BUFFER:
		o.buffer = image->bytes;
		o.size = image->size;
		break;
	case IMAGE_READONLY:
		flags = STOA_RDONLY;
		break;
	case IMAGE_CHECKED:
		flags = STOA_CHECKED;
		break;
	default:
		break;
	}
	return stoa_segment_open(NULL, flags, &o, ret);
}
