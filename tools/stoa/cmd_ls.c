/* SPDX-License-Identifier: BSL-1.0 */
/*
 * stoa ls: which segments are there, and how are they?
 *
 * One row a file of the domain, also for what is no segment or cannot be opened:
 * its state says why.
 */
#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "os/os.h"
#include "out.h"
#include "region/backing.h"
#include "thread.h"
#include "view.h"

static const struct out_column columns[] = {{"DOMAIN", "domain", OUT_TEXT},
	{"NAME", "name", OUT_TEXT}, {"STATE", "state", OUT_STATE},
	{"THREADS", "threads", OUT_NUMBER}, {"DEAD", "dead", OUT_NUMBER},
	{"SIZE", "size", OUT_BYTES}, {"USED", "used", OUT_BYTES},
	{"AGE", "age_ms", OUT_AGE}, {"OWNER", "owner", OUT_TEXT}};

struct listing {
	struct call call; /* its domain is the one being listed */
	json_t *rows;
};

static void
set_owner(json_t *row, const struct stat *st)
{
	const struct passwd *who = getpwuid(st->st_uid);
	char buf[16];

	(void)snprintf(buf, sizeof buf, "%u", (unsigned)st->st_uid);
	out_set_text(row, "owner", who ? who->pw_name : buf);
	out_set_number(row, "uid", st->st_uid);
	(void)snprintf(buf, sizeof buf, "%04o", (unsigned)st->st_mode & 07777u);
	out_set_text(row, "mode", buf);
}

static void
describe(json_t *row, struct view *v)
{
	struct threads threads;
	stoa_segment_stat stat;
	uint64_t now = stoai_os_realtime();
	uint64_t made = stoai_header(v->seg)->created_ns;

	thread_read_all(v->seg, &threads);
	stoa_segment_statistics(v->seg, &stat);
	out_set_text(row, "state", thread_segment_state(v->seg, &threads));
	out_set_number(row, "threads", threads.alive);
	out_set_number(row, "dead", threads.dead + threads.quarantined);
	out_set_number(row, "size", stat.size);
	out_set_number(row, "used", stat.used);
	out_set_number(row, "objects", stat.objects);
	out_set_number(row, "age_ms", made < now ? (now - made) / 1000000 : 0);
}

/* A row for the name; false: there is no such file. */
static bool
list_one(struct listing *l, const char *name)
{
	char path[STOAI_PATH_MAX], full_name[STOAI_NAME_SIZE];
	struct stat st;
	struct view v;
	json_t *row;
	int rc = view_path(&l->call, name, path);

	if (rc || lstat(path, &st)) {
		st.st_ino = 0;
		if (rc != -EINVAL && rc != -ENAMETOOLONG)
			return false;
	}
	row = out_add(l->rows);
	if (!l->call.file)
		out_set_text(row, "domain", l->call.domain);
	rc = view_open(&l->call, name, &v);
	out_set_text(row, "name",
		rc ? name : view_name(&l->call, &v, name, full_name));
	if (rc) {
		out_set_text(row, "state", view_state_of_error(rc));
		out_set_text(row, "error", stoa_error_text());
	} else {
		describe(row, &v);
		view_close(&v);
	}
	if (st.st_ino)
		set_owner(row, &st);
	return true;
}

/* Names that the library gives: none begins with a dot. */
static int
visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* Each name of a directory, sorted. A directory that is not there is empty. */
static int
each_name(const char *path, void (*f)(struct listing *l, const char *name),
	struct listing *l)
{
	struct dirent **list = NULL;
	int n = scandir(path, &list, visible, alphasort);

	if (n < 0)
		return errno == ENOENT ? 0
				       : out_error(STATUS_OPERATION,
						 "cannot read the directory "
						 "'%s': %s",
						 path, strerror(errno));
	for (int i = 0; i < n; i++) {
		f(l, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return 0;
}

static void
list_name(struct listing *l, const char *name)
{
	(void)list_one(l, name); /* false: removed meanwhile */
}

/* Cuts "/directory/domain/name" behind the domain, or behind the directory. */
static void
cut(char *path, int times)
{
	while (times--)
		*strrchr(path, '/') = '\0';
}

static void
list_domain(struct listing *l, const char *domain)
{
	char path[STOAI_PATH_MAX];

	l->call.domain = domain;
	/* a file beside the domains, or somebody else's: it has no names of ours */
	if (view_path(&l->call, "x", path))
		return;
	cut(path, 1);
	(void)each_name(path, list_name, l);
}

static int
list_all(struct listing *l, bool domains)
{
	static char domain[STOAI_PATH_MAX]; /* stays in l */
	char path[STOAI_PATH_MAX];

	if (view_path(&l->call, "x", path))
		return out_error(STATUS_OPERATION, "%s", stoa_error_text());
	cut(path, 1);
	if (domains) {
		cut(path, 1);
		return each_name(path, list_domain, l);
	}
	(void)snprintf(domain, sizeof domain, "%s", strrchr(path, '/') + 1);
	l->call.domain = domain;
	return each_name(path, list_name, l);
}

static int
run(struct call *c)
{
	bool domains = command_given(c, 'a');
	json_t *document = json_object();
	struct listing l = {
		.call = *c, .rows = out_set_array(document, "segments")};
	/* a column that would say the same in every row is not shown */
	size_t first = domains ? 0 : 1;
	char path[STOAI_PATH_MAX];
	int status = 0;

	if (!c->count)
		status = list_all(&l, domains);
	for (int i = 0; i < c->count; i++)
		if (view_path(c, c->args[i], path))
			status |= view_error(c->args[i], -EINVAL);
		else if (!list_one(&l, c->args[i]))
			status |= out_error(STATUS_OPERATION,
				"%s: there is no such segment", c->args[i]);
	out_table(l.rows, columns + first, STOAI_COUNT(columns) - first, NULL);
	out_document(document);
	return status;
}

const struct command cmd_ls = {.name = "ls",
	.args = "[NAME...]",
	.summary = "List segments: size, use, threads, state, age, owner.",
	.about = "States: live (threads are attached), idle (none is), dead "
		 "(all are dead, and not yet recovered), quarantined, damaged, "
		 "stale (in use when the machine stopped), denied, foreign (no "
		 "segment), unsupported. Changes nothing.",
	.options = (const struct argp_option[]){{"all", 'a', NULL, 0,
							"Every domain of the "
							"directory",
							0},
		{0}},
	.args_max = 10000,
	.run = run};
