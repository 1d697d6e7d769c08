/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "arguments.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "options.h"
#include "suggest.h"
#include "tool.h"
#include "watch_conf.h"

enum {
	MAX_OPTIONS = 64,               /* of one command                       */
	FIRST_ROW = 256,                /* after all letters                   */
};

/* The options of a command as getopt_long() takes them; the value of a long one is
 * FIRST_ROW and the number of its row.
 */
struct getopt_table {
	char letters[2 * MAX_OPTIONS + 2];
	struct option longs[MAX_OPTIONS + 1];
};

static int value_kind(const struct option_row *row)
{
	if (!row->value)
		return no_argument;
	return row->value[0] == '[' ? optional_argument : required_argument;
}

static void getopt_table_fill(struct getopt_table *t, unsigned int command)
{
	struct option *o = t->longs;
	char *letter = t->letters;

	*letter++ = ':';                /* getopt_long() returns ':' if a value is missing */
	for (int i = 0; option_rows[i].help; i++) {
		const struct option_row *row = &option_rows[i];

		if (!(row->commands & command))
			continue;
		if (row->letter)
			*letter++ = row->letter;
		if (row->letter && row->value)
			*letter++ = ':';
		if (row->name)
			*o++ = (struct option){ row->name, value_kind(row), NULL, FIRST_ROW + i };
		if (row->alias)
			*o++ = (struct option){ row->alias, value_kind(row), NULL, FIRST_ROW + i };
	}
	*letter = 0;
	*o = (struct option){ 0 };
}

/* The row of what getopt_long() calls @opt */
static const struct option_row *row_of(unsigned int command, int opt)
{
	if (opt >= FIRST_ROW)
		return &option_rows[opt - FIRST_ROW];
	for (const struct option_row *row = option_rows; row->help; row++) {
		if (row->letter == opt && row->commands & command)
			return row;
	}
	return NULL;
}

struct option_text { char text[32]; };

static struct option_text option_text(const struct option_row *row)
{
	struct option_text ret;

	if (row->name)
		snprintf(ret.text, sizeof(ret.text), "--%s", row->name);
	else
		snprintf(ret.text, sizeof(ret.text), "-%c", row->letter);
	return ret;
}

/* "; ADVICE" for people who know @option from another program, or "" */
struct advice_text { char text[120]; };

static struct advice_text advice_text(const char *option)
{
	const char *advice = foreign_advice(option);
	struct advice_text ret = { "" };

	if (advice)
		snprintf(ret.text, sizeof(ret.text), "; %s", advice);
	return ret;
}

/* The same for a value that is none: an option such as "-d", the name of a file or of a vmlinux */
static struct advice_text advice_for_value(const struct option_row *row, const char *value)
{
	const char letter[] = { '-', row->letter, 0 };

	if (*value != '-' && !strchr(value, '/') && !strstr(value, "vmlinux"))
		return (struct advice_text){ "" };
	return advice_text(row->letter ? letter : option_text(row).text);
}

/* @option names @row, which only other commands have. */
static int option_of_others(const struct command *cmd, const char *option,
			    const struct option_row *row)
{
	char names[100] = "";
	size_t len = 0;

	for (size_t i = 0; command_at(i); i++) {
		if (row->commands & command_at(i)->bit)
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
						len ? ", " : "", command_at(i)->name);
	}
	return usage_error(cmd, "'%s' is not an option of %s, but of %s%s", option, cmd->name, names,
			   advice_text(option).text);
}

static int unknown_letter(const struct command *cmd, char letter)
{
	const char option[] = { '-', letter, 0 };
	const struct option_row *row = row_of(CMD_ALL, letter);

	return row ? option_of_others(cmd, option, row) :
		     usage_error(cmd, "unknown option '%s'%s", option, advice_text(option).text);
}

static bool begins_with(const char *name, const char *begin, size_t len)
{
	return name && !strncmp(name, begin, len);
}

/* The word "--NAME" or "--NAME=VALUE" matches no option of @cmd, or more than one. */
static int unknown_name(const struct command *cmd, const char *word)
{
	const char *name = word + 2;
	const size_t len = strcspn(name, "=");
	struct suggestion best = suggestion_for(name, len);
	const char *advice = foreign_advice(word);
	char could_be[200] = "";
	size_t used = 0;

	for (const struct option_row *row = option_rows; row->help && !advice; row++) {
		if (!(row->commands & cmd->bit)) {
			if (begins_with(row->name, name, len) && !row->name[len])
				return option_of_others(cmd, option_text(row).text, row);
			continue;
		}
		if (begins_with(row->name, name, len) && used < sizeof(could_be))
			used += (size_t)snprintf(could_be + used, sizeof(could_be) - used, "%s--%s",
						 used ? ", " : "", row->name);
		if (row->name)
			suggestion_offer(&best, row->name);
	}
	if (advice)
		return usage_error(cmd, "unknown option '%s'; %s", word, advice);
	if (used)
		return usage_error(cmd, "'%s' could be any of %s", word, could_be);
	if (best.name)
		return usage_error(cmd,
				   "unknown option '%s'; did you mean '--%s'?", word, best.name);
	return usage_error(cmd, "unknown option '%s'", word);
}

/* getopt_long() gave '?' for @word. */
static int wrong_option(const struct command *cmd, const char *word)
{
	if (optopt >= FIRST_ROW)
		return usage_error(cmd, "'%s' takes no value",
				   option_text(row_of(cmd->bit, optopt)).text);
	return optopt ? unknown_letter(cmd, (char)optopt) : unknown_name(cmd, word);
}

static int missing_value(const struct command *cmd)
{
	const struct option_row *row = row_of(cmd->bit, optopt);

	if (optopt < FIRST_ROW)
		return usage_error(cmd, "option '-%c' needs a value: %s", optopt, row->value);
	return usage_error(cmd, "option '--%s' needs a value: %s", row->name, row->value);
}

static int take_option(struct arguments *args, const struct option_row *row, const char *text)
{
	struct bad_value bad;

	if (row->stands_for)
		text = row->stands_for;
	if (row->parse(text, (char *)args + row->to, &bad))
		return ARGUMENTS_GOOD;
	return usage_error(args->command, "%s: '%.*s' is not %s%s", option_text(row).text, bad.len,
			   bad.piece, bad.wanted, advice_for_value(row, text).text);
}

static bool is_named(const struct option_row *row, const char *name)
{
	return row->name && !strcmp(row->name, name);
}

static bool options_exclude(const struct option_row *a, const struct option_row *b)
{
	for (const struct exclusive_options *e = exclusive_options; e->a; e++) {
		if ((is_named(a, e->a) && is_named(b, e->b)) ||
		    (is_named(b, e->a) && is_named(a, e->b)))
			return true;
	}
	return a != b && a->to == b->to && a->to != offsetof(struct arguments, levels);
}

/* Whether @row excludes one of the @num options that were given before it */
static int check_exclusive(const struct command *cmd, const struct option_row *const *given,
			   size_t num, const struct option_row *row)
{
	for (size_t i = 0; i < num; i++) {
		if (options_exclude(given[i], row))
			return usage_error(cmd, "%s and %s exclude each other",
					   option_text(given[i]).text, option_text(row).text);
	}
	return ARGUMENTS_GOOD;
}

/* Take the option that getopt_long() found; @given gets it once. */
static int take_found(struct arguments *args, int opt, const struct option_row **given, size_t *num)
{
	const struct option_row *row = row_of(args->command->bit, opt);
	int status = take_option(args, row, optarg);

	/* --live=try does without */
	if (status != ARGUMENTS_GOOD || (is_named(row, "live") && args->open.live == GDUMP_LIVE_TRY))
		return status;
	status = check_exclusive(args->command, given, *num, row);
	for (size_t i = 0; i < *num; i++) {
		if (given[i] == row)
			return status;
	}
	given[(*num)++] = row;
	if (row->to >= offsetof(struct arguments, policy))
		args->policy_given |= watch_key_bit(row->to - offsetof(struct arguments, policy));
	return status;
}

/* The row of the word "--NAME" that is in full an option of other commands only: getopt_long() may
 * take it for the beginning of one of @cmd.  NULL: it is none.
 */
static const struct option_row *row_of_others(const struct command *cmd, const char *word)
{
	const struct option_row *ret = NULL;

	for (const struct option_row *row = option_rows; row->help; row++) {
		if (!row->name || strncmp(word, "--", 2) || strcmp(word + 2, row->name))
			continue;
		if (row->commands & cmd->bit)
			return NULL;
		ret = row;
	}
	return ret;
}

/* Options may stand anywhere, as people expect. */
static int take_options(struct arguments *args, int argc, char **argv)
{
	const struct option_row *given[MAX_OPTIONS];
	const struct command *cmd = args->command;
	const struct option_row *others;
	struct getopt_table table;
	int status = ARGUMENTS_GOOD, opt;
	size_t num = 0;

	getopt_table_fill(&table, cmd->bit);
	opterr = 0;
	while (status == ARGUMENTS_GOOD &&
	       (opt = getopt_long(argc, argv, table.letters, table.longs, NULL)) != -1) {
		if (opt == '?')
			status = wrong_option(cmd, argv[optind - 1]);
		else if (opt == ':')
			status = missing_value(cmd);
		else if (!optarg && (others = row_of_others(cmd, argv[optind - 1])))
			status = option_of_others(cmd, option_text(others).text, others);
		else
			status = take_found(args, opt, given, &num);
	}
	args->words = argv + optind;
	args->num_words = argc - optind;
	return status;
}

static bool operand_repeats(const struct operand *o)
{
	return strstr(o->name, "...");
}

static bool operand_is_optional(const struct operand *o)
{
	return strpbrk(o->name, "[]");
}

static int missing_words(const struct arguments *args)
{
	const struct command *cmd = args->command;
	const int given = args->num_words;
	char names[100] = "";
	size_t len = 0;

	for (const struct operand *o = cmd->operands + given; o->name; o++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%.*s", len ? " and " : "",
					(int)strcspn(o->name, "."), o->name);
	/* makedumpfile -F INPUT writes to standard output */
	if (args->write.flatten && given)
		return usage_error(cmd, "missing %s: - is standard output", names);
	return usage_error(cmd, "missing %s; for example: guestdump %s %s", names, cmd->name, cmd->example);
}

static int check_words(const struct arguments *args)
{
	const struct command *cmd = args->command;
	bool repeats = false;
	int num = 0, needed = -args->dry_run;           /* OUTPUT may be omitted */

	for (; cmd->operands[num].name; num++) {
		repeats |= operand_repeats(&cmd->operands[num]);
		needed += !operand_is_optional(&cmd->operands[num]);
	}
	if (args->num_words < needed)
		return missing_words(args);
	if (args->num_words > num && !repeats)
		return usage_error(cmd, "there is one argument too many: '%s'", args->words[num]);
	for (int i = 0; i < args->num_words; i++) {
		if (!*args->words[i])
			return usage_error(cmd, "argument %d is an empty name", i + 1);
	}
	return ARGUMENTS_GOOD;
}

const char *spool_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/var/tmp";
}

bool is_guest(const char *where)
{
	const char *scheme;

	for (size_t i = 0; (scheme = gdump_source_name(i)); i++) {
		if (!strncmp(where, scheme, strlen(scheme)))
			return true;
	}
	return false;
}

/* Set the library's options that do not come from the command line as they are. */
static void finish_options(struct arguments *args)
{
	struct gdump_open_options *open = &args->open;
	struct gdump_write_options *write = &args->write;

	open->size = sizeof(*open);
	open->extents = args->extents.extents;
	open->num_extents = args->extents.num;
	open->spool_dir = spool_dir();
	open->progress = progress_show;
	open->warn = say_warning;
	open->cancel = canceled;
	if (open->begin && !open->length)
		open->length = UINT64_MAX - open->begin;
	if (args->verbosity) {
		open->debug = say_debug;
		open->debug_arg = &args->verbosity;
	}
	args->stacks.size = sizeof(args->stacks);
	args->report.size = sizeof(args->report);
	write->size = sizeof(*write);
	write->codec = args->codec.name[0] ? args->codec.name : NULL;
	write->has_level = args->codec.has_level;
	write->level = args->codec.level;
	write->spool_dir = open->spool_dir;
	write->progress = progress_show;
	args->levels.num += !args->levels.num;  /* level 0 */
	for (size_t i = 0; i < args->levels.num; i++)
		args->levels.levels[i] |= args->levels.exclude;
}

int arguments_parse(struct arguments *args, const struct command *cmd, int argc, char **argv)
{
	int status;

	*args = (struct arguments){ .command = cmd };
	status = take_options(args, argc, argv);
	if (status == ARGUMENTS_GOOD && args->help) {
		print_help(cmd);
		return finish_stdout(EXIT_DONE);
	}
	if (status == ARGUMENTS_GOOD && args->open.strict && !args->open.key_file)
		return usage_error(cmd, "--strict is about what --key decrypts: --key is missing");
	if (status == ARGUMENTS_GOOD)
		status = check_words(args);
	if (status == ARGUMENTS_GOOD) {
		finish_options(args);
		json_output_set(args->json, args->progress == PROGRESS_JSON);
	}
	return status;
}

void take_parts(struct arguments *args)
{
	args->open.parts = (const char *const *)args->words + 1;
	args->open.num_parts = (size_t)args->num_words - 1;
}
