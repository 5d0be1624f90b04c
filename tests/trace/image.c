/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The segment's file from outside: which bytes does a stage begin with, and have
 * they changed since somebody looked? The process that asks never attaches, and
 * nothing of the library is in it.
 */
#include "image.h"
#include <malloc.h>
#include <sys/mman.h>

enum {
	PAGE = 4096
};

/* ---- images ---- */

void
image_free(struct image *image)
{
	if (image)
		free(image->bytes);
	free(image);
}

static bool
is_zero(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

/* Holes stay holes: what is not allocated yet is part of the state. */
int
image_put(const struct image *image, const char *path, int *ret)
{
	int fd, rc = 0;

	(void)unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)image->size))
		rc = -1;
	for (size_t at = 0; at < image->size && !rc; at += PAGE) {
		size_t size = image->size - at < PAGE ? image->size - at : PAGE;

		if (!is_zero(image->bytes + at, size) &&
			pwrite(fd, image->bytes + at, size, (off_t)at) !=
				(ssize_t)size)
			rc = -1;
	}
	*ret = fd;
	return rc;
}

static int
fill(struct play *p)
{
	const unsigned each = 3;

	if (play_open(p, STOA_CREATE))
		return -1;
	return STOA_DO(tx,
		(p->seg, &p->d->survivor.lock, &p->d->newcomer.lock,
			&p->d->victim.lock),
		things_push(tx, &p->d->survivor, each),
		things_push(tx, &p->d->newcomer, each),
		things_push(tx, &p->d->victim, each));
}

static int
fill_and_leave(struct peer *me, void *user)
{
	struct play *p = user;

	(void)me;
	if (fill(p))
		return board_fail(p, "image: %s", stoa_error_text());
	stoa_segment_detach(p->seg);
	stoa_segment_close(p->seg);
	return 0;
}

struct image *
image_make(struct play *p)
{
	struct image *image = calloc(1, sizeof *image);
	struct peer maker = peer_start(fill_and_leave, p);
	struct stat st;
	int status = -1, fd;

	waitpid(maker.pid, &status, 0);
	peer_forget(&maker);
	fd = open(p->path, O_RDONLY | O_CLOEXEC);
	if (!image || status || fd < 0 || fstat(fd, &st)) {
		board_fail(p, "image: no segment");
		return NULL;
	}
	image->size = (size_t)st.st_size;
	image->bytes = calloc(1, image->size);
	if (!image->bytes ||
		read(fd, image->bytes, image->size) != (ssize_t)image->size) {
		board_fail(p, "image: it cannot be read");
		return NULL;
	}
	close(fd);
	return image;
}

/* ---- what others see of the segment's bytes ---- */

static void
view_close(struct view *v)
{
	if (v->map)
		munmap(v->map, v->size);
	if (v->inode)
		close(v->fd);
	free(v->copy);
	v->map = v->copy = NULL;
	v->inode = 0;
}

/* Looks again at how long it is. */
static bool
view_resize(struct view *v)
{
	struct stat st;

	if (fstat(v->fd, &st) || (size_t)st.st_size == v->size)
		return false;
	if (v->map)
		munmap(v->map, v->size);
	free(v->copy);
	v->size = (size_t)st.st_size;
	v->map = v->size ? mmap(NULL, v->size, PROT_READ, MAP_SHARED, v->fd, 0)
			 : NULL;
	v->copy = calloc(1, v->size + 1);
	if (v->map == MAP_FAILED || !v->copy)
		abort();
	return true;
}

static bool
view_changed(struct view *v, bool called)
{
	struct stat st;

	if (called &&
		(stat(v->path, &st) ? v->inode != 0 : st.st_ino != v->inode)) {
		view_close(v);
		v->size = 0;
		v->fd = open(v->path, O_RDONLY | O_CLOEXEC);
		if (v->fd >= 0 && !fstat(v->fd, &st))
			v->inode = st.st_ino;
	}
	if (!v->inode)
		return false;
	if (called)
		(void)view_resize(v);
	if (!v->map || !memcmp(v->map, v->copy, v->size))
		return false;
	memcpy(v->copy, v->map, v->size);
	return true;
}

bool
views_changed(void *user, bool called)
{
	struct views *v = user;
	bool segment = view_changed(&v->segment, called);

	return view_changed(&v->made, called) || segment;
}

void
views_open(struct views *v, const char *path)
{
	snprintf(v->segment.path, sizeof v->segment.path, "%s", path);
	snprintf(v->made.path, sizeof v->made.path, "%s", path);
	strcpy(strrchr(v->made.path, '/'), "/made");
}

void
views_close(struct views *v)
{
	view_close(&v->segment);
	view_close(&v->made);
	(void)unlink(v->made.path);
}
