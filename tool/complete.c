/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "complete.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crash_stores.h"
#include "jobs.h"
#include "options.h"
#include "progress.h"
#include "tool.h"

/* Print a candidate if it starts with the word; @description may be NULL. */
static void offer(const struct completion *c, const char *text, const char *description)
{
	if (strncmp(text, c->word, strlen(c->word)))
		return;
	printf("%s%s", c->before, text);
	if (description)
		printf("\t%s", description);
	putchar('\n');
}

void complete_files(const struct completion *c)
{
	(void)c;
	puts(":files");
}

static bool is_socket_or_directory(int dir, const char *name, bool *is_directory)
{
	struct stat st;

	if (fstatat(dir, name, &st, 0))
		return false;
	*is_directory = S_ISDIR(st.st_mode);
	return *is_directory || S_ISSOCK(st.st_mode);
}

/* The word is a path after @scheme: offer sockets, and directories that may hold some. */
static void complete_sockets(const struct completion *c, const char *scheme)
{
	const char *path = c->word + strlen(scheme), *slash = strrchr(path, '/');
	const int len = slash ? (int)(slash - path) + 1 : 0;
	char text[1024];
	struct dirent *e;
	bool is_directory;
	DIR *dir;

	snprintf(text, sizeof(text), "%.*s", len, path);
	dir = opendir(len ? text : ".");
	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.' ||
		    !is_socket_or_directory(dirfd(dir), e->d_name, &is_directory))
			continue;
		snprintf(text, sizeof(text), "%s%.*s%s%s", scheme, len, path, e->d_name,
			 is_directory ? "/" : "");
		if (!strpbrk(text, "\n\t"))
			offer(c, text, NULL);
	}
	if (dir)
		closedir(dir);
}

static void offer_guest(void *arg, const struct gdump_host_guest *g)
{
	char pid[16];

	if (!g->num_ways || !g->ways[0].works)
		return;
	snprintf(pid, sizeof(pid), "%d", (int)g->pid);
	if (g->name && !strpbrk(g->name, "\n\t /:"))
		offer(arg, g->name, "a running guest");
	else
		offer(arg, pid, "the process of a running guest");
}

static void offer_ways(void *arg, const struct gdump_host_guest *g)
{
	for (size_t i = 0; i < g->num_ways; i++) {
		if (g->ways[i].works && strncmp(g->ways[i].name, "qmp:", 4) &&
		    !strpbrk(g->ways[i].name, "\n\t"))
			offer(arg, g->ways[i].name, NULL);
	}
}

void complete_guests(const struct completion *c)
{
	const char *scheme;

	if (!strpbrk(c->word, ":/"))
		gdump_error_destroy(gdump_guests(NULL, offer_guest, (void *)(uintptr_t)c));

	for (size_t i = 0; (scheme = gdump_source_name(i)); i++) {
		if (strncmp(c->word, scheme, strlen(scheme)))
			offer(c, scheme, "a running guest");
		else if (!strcmp(scheme, "qmp:"))
			complete_sockets(c, scheme);
		else
			gdump_error_destroy(gdump_guests(NULL, offer_ways, (void *)(uintptr_t)c));
	}
}

void complete_inputs(const struct completion *c)
{
	complete_guests(c);
	complete_files(c);
}

static bool offer_job(void *arg, const char *dir, const json_t *job)
{
	const char *state = json_string_value(json_object_get(job, "state"));
	const char *output = json_string_value(json_object_get(job, "output"));
	char id[24];

	(void)dir;
	snprintf(id, sizeof(id), "%" JSON_INTEGER_FORMAT,
		 json_integer_value(json_object_get(job, "id")));
	if (state && !strcmp(state, "active"))
		offer(arg, id, output);
	return true;
}

void complete_jobs(const struct completion *c)
{
	jobs_each(offer_job, (void *)(uintptr_t)c);
}

void complete_crash_verbs(const struct completion *c)
{
	offer(c, "list", "all crashes");
	offer(c, "show", "one crash");
	offer(c, "rm", "remove crashes");
}

void complete_crashes(const struct completion *c)
{
	struct crash_stores stores;
	int digits;

	crash_stores_peek(&stores);
	digits = crash_id_digits(&stores.list);
	for (size_t i = 0; i < stores.list.num; i++) {
		const struct crash_entry *e = &stores.list.entries[i];
		char id[20], description[200];

		snprintf(id, sizeof(id), "%.*s", digits, e->id);
		snprintf(description, sizeof(description), "%.100s: %.60s", e->guest, e->reason);
		if (!description[strcspn(description, "\n\t")])
			offer(c, id, description);
		else
			offer(c, id, NULL);
	}
	crash_stores_close(&stores);
}

void complete_written_formats(const struct completion *c)
{
	struct gdump_format_info f;

	for (size_t i = 0; gdump_format_at(i, &f); i++) {
		if (f.writes)
			offer(c, f.name, f.summary);
	}
}

void complete_read_formats(const struct completion *c)
{
	struct gdump_format_info f;

	for (size_t i = 0; gdump_format_at(i, &f); i++) {
		if (f.reads)
			offer(c, f.name, f.summary);
	}
}

void complete_codecs(const struct completion *c)
{
	struct gdump_codec_info codec;

	for (size_t i = 0; gdump_codec_at(i, &codec); i++) {
		if (codec.library)
			offer(c, codec.name, codec.library);
	}
}

void complete_levels(const struct completion *c)
{
	offer(c, "0", "all pages");
	offer(c, "1", "without zero pages");
	offer(c, "16", "without free pages");
	offer(c, "31", "without all that can be omitted");
}

/* The last item of a list with commas */
static void offer_names(const struct completion *c, const char *(*name_at)(size_t i))
{
	const char *comma = strrchr(c->word, ','), *name;
	const int len = comma ? (int)(comma - c->word) + 1 : 0;
	char before[200];
	const struct completion last = { c->word + len, before };

	snprintf(before, sizeof(before), "%s%.*s", c->before, len, c->word);
	for (size_t i = 0; (name = name_at(i)); i++)
		offer(&last, name, NULL);
}

void complete_kinds(const struct completion *c)
{
	offer_names(c, excluded_kind_name);
}

void complete_sections(const struct completion *c)
{
	offer_names(c, gdump_report_section);
}

void complete_triggers(const struct completion *c)
{
	offer_names(c, watch_trigger_at);
}

void complete_after(const struct completion *c)
{
	offer_names(c, watch_after_at);
}

void complete_booleans(const struct completion *c)
{
	offer(c, "yes", NULL);
	offer(c, "no", NULL);
}

void complete_live_modes(const struct completion *c)
{
	complete_booleans(c);
	complete_live(c);
}

void complete_progress(const struct completion *c)
{
	const char *name;

	for (size_t i = 0; (name = progress_style_name(i)); i++)
		offer(c, name, NULL);
}

void complete_mount_options(const struct completion *c)
{
	offer(c, "allow_other", "all users may read the files");
}

void complete_live(const struct completion *c)
{
	offer(c, "try", "or the usual pause");
}

static void offer_commands(const struct completion *c)
{
	for (size_t i = 0; command_at(i); i++)
		offer(c, command_at(i)->name, command_at(i)->summary);
}

static void offer_options(const struct completion *c, const struct command *cmd)
{
	char text[64];

	for (const struct option_row *o = option_rows; o->help; o++) {
		if (!(o->commands & cmd->bit))
			continue;
		if (o->letter) {
			snprintf(text, sizeof(text), "-%c", o->letter);
			offer(c, text, o->help);
		}
		if (o->name) {
			snprintf(text, sizeof(text), "--%s", o->name);
			offer(c, text, o->help);
		}
	}
}

/* The option with a value that the first @len characters of @word name, or NULL */
static const struct option_row *option_with_value(const struct command *cmd, const char *word,
						  size_t len)
{
	for (const struct option_row *o = option_rows; o->help; o++) {
		if (!(o->commands & cmd->bit) || !o->value)
			continue;
		if (len == 2 && word[0] == '-' && word[1] == o->letter)
			return o;
		if (len > 2 && !strncmp(word, "--", 2) && o->name && strlen(o->name) == len - 2 &&
		    !strncmp(word + 2, o->name, len - 2))
			return o;
	}
	return NULL;
}

static bool takes_next_word(const struct command *cmd, const char *word)
{
	const struct option_row *o = option_with_value(cmd, word, strlen(word));

	return o && o->value[0] != '[';
}

/* Complete a value in the same word as its option, as in "--format=el" or "-fel". */
static bool complete_attached(const struct command *cmd, const char *word)
{
	const size_t equals = strcspn(word, "=");
	const size_t len = !strncmp(word, "--", 2) ? equals : 2;
	const size_t skip = len == 2 ? 2 : len + 1;
	char before[64];
	const struct completion c = { word + skip, before };
	const struct option_row *o;

	if (strlen(word) < skip || skip >= sizeof(before))
		return false;
	o = option_with_value(cmd, word, len);
	if (!o)
		return false;
	snprintf(before, sizeof(before), "%.*s", (int)skip, word);
	if (o->complete)
		o->complete(&c);
	return true;
}

/* How many of the first @num words are operands */
static int count_operands(const struct command *cmd, char **words, int num)
{
	int n = 0;

	for (int i = 0; i < num; i++) {
		if (words[i][0] != '-' || !words[i][1])
			n++;
		else if (takes_next_word(cmd, words[i]))
			i++;
	}
	return n;
}

static void complete_operand(const struct completion *c, const struct command *cmd, int n)
{
	const struct operand *o = cmd->operands;

	while (n-- && o[0].name && o[1].name)
		o++;
	if (o->name && o->complete)
		o->complete(c);
}

/* Complete the last of the @num words after the name of @cmd. */
static void complete_word(const struct command *cmd, char **words, int num)
{
	const struct completion c = { words[num - 1], "" };
	const char *previous = num > 1 ? words[num - 2] : "";

	if (takes_next_word(cmd, previous)) {
		const struct option_row *o = option_with_value(cmd, previous, strlen(previous));

		if (o->complete)
			o->complete(&c);
		return;
	}
	if (c.word[0] != '-')
		complete_operand(&c, cmd, count_operands(cmd, words, num - 1));
	else if (!complete_attached(cmd, c.word))
		offer_options(&c, cmd);
}

int cmd_complete(int argc, char **argv)
{
	const struct completion last = { argc > 1 ? argv[argc - 1] : "", "" };
	const struct command *cmd = argc > 2 ? command_find(argv[1]) : NULL;

	if (cmd) {
		complete_word(cmd, argv + 2, argc - 2);
	} else if (argc == 2 || (argc == 3 && !strcmp(argv[1], "help"))) {
		offer_commands(&last);
	}
	if (argc == 2) {
		offer(&last, "help", "The options of a command");
		offer(&last, "--help", "All commands");
		offer(&last, "--version", "The version");
	}
	return finish_stdout(EXIT_DONE);
}
