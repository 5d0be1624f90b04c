/* SPDX-License-Identifier: BSL-1.0 */
/*
 * stoa rm: remove segments that nobody uses.
 *
 * Owner bytes say who is attached, also of a file whose header is damaged, so one
 * question serves every state. A process may attach between the question and
 * the removal: it keeps what it has mapped, as with --force.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "os/os.h"
#include "out.h"
#include "region/backing.h"
#include "segment/format.h"
#include "view.h"

struct user {
	uint32_t threads;
	bool segment; /* it begins like one */
};

/* Who uses the file, and is it one of ours at all? 0, or an error with text. */
static int
look(const char *path, struct user *ret)
{
	/* not the library's open: it refuses what is damaged */
	struct stoai_backing b;
	uint64_t magic = 0;
	int rc = stoai_backing_open(STOAI_BACKING_FILE, path, true, &b);

	if (rc)
		return rc;
	memset(ret, 0, sizeof *ret);
	if (stoai_os_pread(b.fd, &magic, sizeof magic, 0) == (int)sizeof magic)
		ret->segment = magic == STOAI_MAGIC;
	for (uint64_t i = 0; i < STOAI_SLOTS_MAX; i++)
		ret->threads +=
			stoai_os_probe_byte(b.fd, STOAI_OWNER_BYTES + i) >
			STOAI_LOCK_NONE;
	stoai_backing_close(&b);
	return 0;
}

static int
remove_one(const struct call *c, const char *name, json_t *row)
{
	const stoa_segment_options options = command_options(c);
	bool force = command_given(c, 'F');
	char path[STOAI_PATH_MAX];
	struct user user;
	int rc = view_path(c, name, path);

	if (!rc)
		rc = look(path, &user);
	if (rc)
		return view_error(name, rc);
	out_set_number(row, "threads", user.threads);
	if (!user.segment && (c->file || !force))
		return out_error(STATUS_OPERATION,
			"%s: not a stoa segment, so it stays: %s", name,
			c->file ? "rm(1) removes files"
				: "--force removes it all the same");
	if (user.threads && !force)
		return out_error(STATUS_OPERATION,
			"%s: %u threads are attached, so it stays: stoa info "
			"shows whose; --force removes the name, and they go on "
			"with memory that nobody else can find",
			name, user.threads);
	rc = stoa_segment_unlink(name, command_flags(c), &options);
	if (rc)
		return view_error(name, rc);
	out_set(row, "removed", json_true());
	return STATUS_OK;
}

static int
run(struct call *c)
{
	json_t *document = json_object();
	json_t *rows = out_set_array(document, "segments");
	int status = STATUS_OK;

	for (int i = 0; i < c->count; i++) {
		json_t *row = out_add(rows);

		out_set_text(row, "name", c->args[i]);
		out_set_bool(row, "removed", false);
		status |= remove_one(c, c->args[i], row);
	}
	out_document(document);
	return status;
}

const struct command cmd_rm = {.name = "rm",
	.args = "NAME...",
	.summary = "Remove segments; not while threads are attached.",
	.about = "The name is gone at once; the memory goes with its last "
		 "user.",
	.options =
		(const struct argp_option[]){{"force", 'F', NULL, 0,
						     "Also while threads are "
						     "attached, and what is no "
						     "segment but has a "
						     "segment's name",
						     0},
			{0}},
	.args_min = 1,
	.args_max = 10000,
	.run = run};
