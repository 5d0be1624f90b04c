/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What a subcommand is, and what one call of it is given. main.c parses; each
 * cmd_*.c defines one constant struct command.
 */
#ifndef TOOLS_STOA_COMMAND_H
#define TOOLS_STOA_COMMAND_H
#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include "stoa/segment.h"

/* Exit codes, as those of fsck: bits, the same for every subcommand. */
enum command_status {
	STATUS_OK = 0,
	STATUS_CORRECTED = 1,   /* there were errors, and they are gone */
	STATUS_UNCORRECTED = 4, /* there are errors, and they stay */
	STATUS_OPERATION = 8,   /* it could not be done */
	STATUS_USAGE = 16
};

struct call {
	const struct command *command;
	const char *directory, *domain; /* NULL: the library's defaults */
	bool file;                      /* names are paths of files */
	bool json;
	uint64_t given; /* the command's own options: bit key - 'A' */
	char **args;
	int count;
};

struct command {
	const char *name;
	const char *args;                  /* "NAME [OBJECT]" */
	const char *summary;               /* one line */
	const char *about;                 /* more, for --help */
	const struct argp_option *options; /* its own; keys are letters */
	int args_min, args_max;
	int (*run)(struct call *c); /* returns enum command_status bits */
};

extern const struct command cmd_ls, cmd_info, cmd_check, cmd_recover, cmd_rm,
	cmd_dump, cmd_locks, cmd_heap;

/* Was the option with this key given? */
static inline bool
command_given(const struct call *c, char key)
{
	return c->given >> (key - 'A') & 1;
}

/* How the library is to find a name of this call. */
static inline stoa_segment_options
command_options(const struct call *c)
{
	return (stoa_segment_options){
		.struct_size = sizeof(stoa_segment_options),
		.directory = c->directory,
		.domain = c->domain};
}

static inline unsigned
command_flags(const struct call *c)
{
	return c->file ? STOA_FILE : 0;
}

#endif
