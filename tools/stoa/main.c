/* SPDX-License-Identifier: BSL-1.0 */
/*
 * stoa: which subcommand, with which options? A table of commands, one parser for
 * all of them: argp with the options that every command knows, and its own, which
 * are letters.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"
#include "command.h"
#include "out.h"

static const struct command *const commands[] = {&cmd_ls, &cmd_info, &cmd_check,
	&cmd_recover, &cmd_rm, &cmd_dump, &cmd_locks, &cmd_heap};

static const struct argp_option common_options[] = {
	{"directory", 'd', "DIR", 0,
		"Where names are kept, instead of $STOA_DIRECTORY or "
		"/dev/shm/stoa-UID",
		0},
	{"domain", 'D', "DOMAIN", 0,
		"Folder in it, instead of $STOA_DOMAIN or 'default'", 0},
	{"file", 'f', NULL, 0, "NAME is the path of a file", 0},
	{"json", 'j', NULL, 0, "Print JSON", 0}, {0}};

/* NOLINTBEGIN(readability-non-const-parameter): argp's types */
static error_t
parse_common(int key, char *arg, struct argp_state *state)
{
	struct call *c = state->input;

	switch (key) {
	case 'd':
		c->directory = arg;
		return 0;
	case 'D':
		c->domain = arg;
		return 0;
	case 'f':
		c->file = true;
		return 0;
	case 'j':
		c->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t
parse_own(int key, char *arg, struct argp_state *state)
{
	struct call *c = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = c;
		return 0;
	case ARGP_KEY_ARGS:
		c->args = state->argv + state->next;
		c->count = state->argc - state->next;
		return 0;
	case ARGP_KEY_END:
		if (c->count < c->command->args_min)
			argp_error(state, "%s is missing",
				c->count ? "OBJECT" : "NAME");
		else if (c->count > c->command->args_max)
			argp_error(state, "'%s' is too much",
				c->args[c->command->args_max]);
		else if (c->file && (c->directory || c->domain))
			argp_error(state, "--file takes a path: --directory "
					  "and --domain have no part in it");
		return 0;
	default:
		if (key < 'A' || key > 'z')
			return ARGP_ERR_UNKNOWN;
		c->given |= UINT64_C(1) << (key - 'A');
		return 0;
	}
}

/* NOLINTEND(readability-non-const-parameter) */

static int
run(const struct command *command, int argc, char **argv)
{
	const struct argp_child children[] = {
		{&(const struct argp){
			 .options = common_options, .parser = parse_common},
			0, NULL, 0},
		{0}};
	struct call c = {.command = command};
	char name[32], doc[2048];
	const struct argp argp = {.options = command->options,
		.parser = parse_own,
		.args_doc = command->args,
		.doc = doc,
		.children = children};
	int status;

	(void)snprintf(name, sizeof name, "stoa %s", command->name);
	(void)snprintf(doc, sizeof doc, "%s\v%s\n\nSee stoa(1).",
		command->summary, command->about);
	argv[0] = name;
	argp_err_exit_status = STATUS_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &c))
		return STATUS_USAGE;
	out_begin(command->name, c.json);
	status = command->run(&c);
	return status | out_end();
}

static int
usage(FILE *to)
{
	(void)fputs("Usage: stoa COMMAND [OPTION...] [NAME...]\n"
		    "Look after segments of shared memory.\n\n",
		to);
	for (size_t i = 0; i < STOAI_COUNT(commands); i++)
		(void)fprintf(to, "  %-8s %-16s %s\n", commands[i]->name,
			commands[i]->args, commands[i]->summary);
	(void)fputs(
		"\n  stoa COMMAND --help  says more; so does stoa(1).\n"
		"\nThe status is 0, or the sum of 1: errors were corrected, "
		"4: errors are left,\n8: it could not be done, 16: wrong "
		"usage.\n",
		to);
	return to == stderr ? STATUS_USAGE : STATUS_OK;
}

int
main(int argc, char **argv)
{
	static char help[] = "--help";
	char *word = argc > 1 ? argv[1] : NULL;

	/* not LC_NUMERIC: numbers look the same to every program */
	(void)setlocale(LC_CTYPE, "");
	(void)setlocale(LC_COLLATE, "");
	if (!word)
		return usage(stderr);
	if (!strcmp(word, "--help") || !strcmp(word, "-?") ||
		(!strcmp(word, "help") && argc == 2))
		return usage(stdout);
	if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
		(void)puts("stoa " STOA_TOOL_VERSION);
		return STATUS_OK;
	}
	if (!strcmp(word, "help")) { /* `stoa help ls` is `stoa ls --help` */
		word = argv[2];
		argv[2] = help;
	}
	for (size_t i = 0; i < STOAI_COUNT(commands); i++)
		if (!strcmp(word, commands[i]->name))
			return run(commands[i], argc - 1, argv + 1);
	(void)fprintf(stderr,
		"stoa: there is no command '%s': see stoa --help\n", word);
	return STATUS_USAGE;
}
