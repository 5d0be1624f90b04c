/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Settings in a file. One program writes; the others map it read-only, and the
 * kernel holds them to it.
 *	04-settings FILE KEY VALUE
 *	04-settings FILE KEY
 */
#include <stdio.h>
#include <stoa/stoa.h>
#include <string.h>

#define STOA_NAME settings
#define STOA_KEY  stoa_str
#define STOA_VAL  stoa_str
#include <stoa/template/hashmap.h>

static int
set(const char *path, const char *key, const char *value)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const settings *s = NULL;
	int rc = stoa_segment_open(path, STOA_CREATE | STOA_FILE,
		STOA_SEGMENT_OPTIONS(.mode = 0644), &seg);

	if (!rc)
		rc = stoa_object_open(seg, "settings", settings, &s);
	return rc ? rc : STOA_DO(tx, seg, settings_put(tx, s, key, value));
}

/*
 * No lock can be taken in memory that one cannot write. So: read, and ask at the
 * end whether it was true.
 */
static int
get(const char *path, const char *key, char *buf, size_t size)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	int rc = stoa_segment_open(path, STOA_FILE | STOA_RDONLY, NULL, &seg);

	if (rc)
		return rc;
	do {
		STOA_READ(rd, seg);
		const settings *s = stoa_object_find(rd, "settings", settings);
		const char *value = s ? settings_get(rd, s, key) : NULL;

		if (value)
			snprintf(buf, size, "%s", value);
		rc = value ? stoa_tx_error(rd) : stoa_tx_fail(rd, -ENOENT);
	} while (rc == -EAGAIN); /* a writer came between: once more */
	return rc;
}

int
main(int argc, char **argv)
{
	char value[256];
	int rc = -EINVAL;

	if (argc == 4)
		rc = set(argv[1], argv[2], argv[3]);
	else if (argc == 3)
		rc = get(argv[1], argv[2], value, sizeof value);
	else
		fputs("usage: 04-settings FILE KEY [VALUE]\n", stderr);
	if (rc)
		fprintf(stderr, "settings: %s\n", stoa_strerror(rc));
	else if (argc == 3)
		puts(value);
	return rc != 0;
}
