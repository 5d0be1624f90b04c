/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Named objects and arrays, made by one process and taken by another: one object,
 * an array whose elements are alike, an array whose elements are not.
 *	11-named make | take SEGMENT
 */
#include <stdio.h>
#include <string.h>
#include <stoa/stoa.h>

typedef struct sample {
	double value;
	int32_t number;
} sample;
STOA_TYPE(sample, value, number);

static int
numbered(stoa_tx *tx, void *element, uint64_t index, void *user)
{
	const double *values = user;
	sample *s = element;

	(void)tx;
	s->value = values[index];
	s->number = (int32_t)index;
	return 0;
}

static int
make(stoa_segment *seg)
{
	const sample alike = {0.5, 7};
	double values[] = {0, 1, 2};
	const sample *s;
	int rc = stoa_object_open(seg, "instance", sample, &s);

	if (!rc)
		rc = stoa_object_open_with(seg, "array", sample,
			STOA_OBJECT_OPTIONS(.count = 10, .value = &alike), &s);
	if (!rc) /* made whole, exactly once, whoever else opens it now */
		rc = stoa_object_open_with(seg, "numbered", sample,
			STOA_OBJECT_OPTIONS(.count = 3, .init = numbered,
				.user = values),
			&s);
	return rc;
}

static int
take(stoa_segment *seg)
{
	static const char *const names[] = {"instance", "array", "numbered"};

	STOA_TX(tx, seg);
	for (int i = 0; i < 3; i++) {
		uint64_t count;
		const sample *s =
			stoa_object_find_array(tx, names[i], sample, &count);

		if (!s)
			return stoa_tx_fail(tx, -ENOENT);
		printf("%s: %d, the last is {%g, %d}\n", names[i], (int)count,
			s[count - 1].value, (int)s[count - 1].number);
		stoa_object_destroy(tx, names[i]);
	}
	return stoa_tx_commit(tx); /* all of them, or none */
}

int
main(int argc, char **argv)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	int rc = argc == 3 ? 0 : -EINVAL;

	if (!rc)
		rc = stoa_segment_open(argv[2], STOA_CREATE, NULL, &seg);
	if (!rc)
		rc = strcmp(argv[1], "make") ? take(seg) : make(seg);
	if (rc)
		fprintf(stderr, "11-named: %s\n",
			rc == -ENOENT ? "there is nothing to take"
				      : stoa_error_text());
	return rc != 0;
}
