/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Error texts: which failure did this thread see last, in whole sentences.
 * Control-plane calls say cause and place; others leave the default sentence
 * of their code, so nothing is formatted on a hot path.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"

enum {
	TEXT_SIZE = 512
};

static STOAI_THREAD char text[TEXT_SIZE];

static const struct {
	int rc;
	const char *sentence;
} sentences[] = {
	{0, "no error"},
	{-ENOENT, "no such name"},
	{-EEXIST, "it is there already"},
	{-ENOSPC, "no memory up to the segment's limit"},
	{-ENOMEM, "the process is out of memory"},
	{-EPROTOTYPE, "the object has another type"},
	{-EPROTO, "not a stoa segment"},
	{-ENOTSUP, "a version, feature or backing that this build cannot do"},
	{-EBADMSG, "damaged content"},
	{-ESTALE, "the name was replaced, or the content is of another boot"},
	{-EAGAIN, "not now: try again"},
	{-ETIMEDOUT, "the deadline passed"},
	{-EDEADLK, "would wait for itself: undo, and start again"},
	{-EROFS, "the segment is open for reading only"},
	{-EUSERS, "every slot is taken by a living thread"},
	{-EXDEV, "a lock or pointer of another segment"},
	{-EBUSY, "in use, or waiting after a change"},
	{-EOWNERDEAD, "a writer died and nobody has repaired it yet"},
	{-ENOTRECOVERABLE, "quarantined: recovery failed again and again"},
	{-EPERM,
		"not allowed here: other owner, other thread, or a fork child"},
	{-EINVAL, "a wrong argument"},
	{-EFAULT, "outside the segment"},
	{-E2BIG, "too large, or options of a newer version"},
	{-EOVERFLOW, "a number does not fit"},
	{-ENAMETOOLONG, "the name is too long"},
};

const char *
stoai_errno_text(int rc)
{
	const char *words = strerrordesc_np(-rc);

	return words ? words : "unknown error";
}

const char *
stoa_strerror(int rc)
{
	if (rc > 0)
		rc = 0;
	for (size_t i = 0; i < STOAI_COUNT(sentences); i++)
		if (sentences[i].rc == rc)
			return sentences[i].sentence;
	return stoai_errno_text(rc);
}

const char *
stoa_error_text(void)
{
	return text[0] ? text : "no error";
}

int(stoai_error)(int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	return rc;
}

int(stoai_error_in)(int rc, const char *format, ...)
{
	char inner[TEXT_SIZE];
	va_list ap;
	int n;

	memcpy(inner, text, sizeof inner);
	va_start(ap, format);
	n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof text - 3)
		(void)snprintf(text + n, sizeof text - (size_t)n, ": %.*s",
			(int)(sizeof text - (size_t)n - 3), inner);
	return rc;
}

int(stoai_error_errno)(const char *format, ...)
{
	int error = errno;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof text)
		(void)snprintf(text + n, sizeof text - (size_t)n, ": %s",
			stoai_errno_text(-error));
	return error ? -error : -EIO;
}

void
stoai_error_clear(void)
{
	text[0] = '\0';
}

const char *
stoai_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *
stoai_size_text(char buf[16], uint64_t bytes)
{
	static const char unit[] = "KMGTPE";
	double x = (double)bytes;
	int u = -1;

	while (x >= 1024 && u < 5) {
		x /= 1024;
		u++;
	}
	if (u < 0)
		(void)snprintf(buf, 16, "%u bytes", (unsigned)bytes);
	else
		(void)snprintf(buf, 16, "%.1f %ciB", x, unit[u]);
	return buf;
}

#ifndef NDEBUG
void
stoai_assert_failed(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "stoa: assertion failed: %s (%s:%d)\n", what,
		file, line);
	abort();
}
#endif
