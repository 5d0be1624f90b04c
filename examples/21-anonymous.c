/* SPDX-License-Identifier: BSL-1.0 */
/* Memory without a name: the child of a fork has the same pages. */
#include <stdio.h>
#include <stoa/region.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int
main(void)
{
	STOA_CLEANUP(stoa_region) r = NULL;
	int rc = stoa_region_open(NULL, STOA_CREATE | STOA_LOCAL,
		STOA_REGION_OPTIONS(.size = 1000), &r);
	char *text;

	if (rc) {
		fprintf(stderr, "%s\n", stoa_error_text());
		return 1;
	}
	text = stoa_region_data(r);
	if (fork() == 0) {
		strcpy(text, "the child was here");
		_exit(0);
	}
	(void)wait(NULL);
	printf("%s\n", text);
	return 0;
}
