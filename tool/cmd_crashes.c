/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_crashes.c - crashes: what guestdump watch has stored
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crash_stores.h"
#include "json.h"
#include "tool.h"

enum { MIN_ID = 4, REPORT_LINES = 20 };

struct time_text { char text[64]; };

static struct time_text time_text(int64_t seconds)
{
	const time_t t = (time_t)seconds;
	struct time_text ret = { "unknown" };
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(ret.text, sizeof(ret.text), "%Y-%m-%d %H:%M:%S", &tm);
	return ret;
}

/* What people need to know of the state: a whole crash may have no dump. */
static const char *state_text(const struct crash_entry *e)
{
	return e->state == CRASH_WHOLE && !e->has_dump ? "report" : crash_state_name(e->state);
}

/* A text in a column of @width; names in UTF-8 may be shorter on the screen. */
static void print_column(const char *text, int width)
{
	const int len = (int)strlen(text);

	print_name(text);
	printf("%*s", len < width ? width - len + 1 : 1, "");
}

static void print_crash(const struct crash_entry *e, int digits)
{
	printf("%-*.*s  %-19s  ", digits, digits, e->id, time_text(e->time).text);
	print_column(*e->guest ? e->guest : "-", 20);
	print_column(e->reason, 19);
	printf("%10s  %s\n", size_text(e->bytes).text, state_text(e));
}

/* The members of meta.json, as they are now */
static json_t *json_crash(const struct crash_entry *e)
{
	json_t *o = json_deep_copy(e->meta);

	json_object_del(o, "schema");
	json_object_del(o, "type");
	json_object_set_new(o, "id", json_string(e->id));
	json_object_set_new(o, "path", json_string_of(e->path));
	json_object_set_new(o, "state", json_string(crash_state_name(e->state)));
	json_object_set_new(o, "has_dump", json_boolean(e->has_dump));
	json_object_set_new(o, "bytes", json_count(e->bytes));
	return o;
}

static int print_crashes(const struct arguments *args, const struct crash_stores *s)
{
	const struct crash_list *list = &s->list;
	const int digits = crash_id_digits(list);
	json_t *all = json_array();

	if (list->cut)
		warn("there are too many directories: not all crashes are listed");
	if (!list->num && !args->json)
		say("there is no crash in %s", s->num ? crash_store_root(s->stores[0]) : "any directory");
	else if (!args->json)
		printf("%-*s  %-19s  %-20s %-19s %10s  %s\n", digits, "ID", "TIME", "GUEST", "REASON", "SIZE", "STATE");
	for (size_t i = 0; i < list->num; i++) {
		if (args->json)
			json_array_append_new(all, json_crash(&list->entries[i]));
		else
			print_crash(&list->entries[i], digits);
	}
	if (args->json)
		json_line(stdout, "crashes", json_pack("{s:O}", "crashes", all));
	json_decref(all);
	return EXIT_DONE;
}

/* --- which one --- */

static const struct crash_entry *latest_of(const struct crash_list *list, const char *guest)
{
	const struct crash_entry *ret = NULL;

	for (size_t i = 0; i < list->num; i++) {
		if (!guest || !strcmp(list->entries[i].guest, guest))
			ret = &list->entries[i];
	}
	return ret;
}

/* The crash whose id begins with @word; NULL: there is none or more than one, and a message was
 * printed. *@status gets that of the message.
 */
static const struct crash_entry *by_id(const struct crash_list *list, const char *word, int *status)
{
	const size_t len = strlen(word);
	const struct crash_entry *ret = NULL;
	size_t num = 0;

	for (size_t i = 0; i < list->num; i++) {
		if (!strncmp(list->entries[i].id, word, len)) {
			ret = &list->entries[i];
			num++;
		}
	}
	*status = EXIT_DONE;
	if (num == 1 && len >= MIN_ID)
		return ret;
	if (num)
		*status = failed(FAILURE_NO_CRASH, 0, "%zu crashes have an id that begins with '%s'; give at least %d digits "
				 "that only one has", num, word, MIN_ID);
	else
		*status = failed(FAILURE_NO_CRASH, 0, "there is no crash '%s'; guestdump crashes lists them", word);
	return NULL;
}

/* --- show --- */

static void print_crash_fact(const char *name, const json_t *meta, const char *key)
{
	const char *text = json_string_value(json_object_get(meta, key));

	if (!text || !*text)
		return;
	printf("%-11s ", name);
	print_escaped(text, strlen(text));
	putchar('\n');
}

static void print_files(const json_t *meta)
{
	const json_t *file;
	size_t i;

	json_array_foreach(json_object_get(meta, "files"), i, file) {
		const char *name = json_string_value(json_object_get(file, "name"));
		const char *sum = json_string_value(json_object_get(file, "sha256"));

		if (!name)
			continue;
		printf("%-11s ", i ? "" : "files");
		print_column(name, 15);
		printf("%10s%s%s\n", size_text((uint64_t)json_integer_value(json_object_get(file, "size"))).text,
		       sum ? "  sha256 " : "", sum ? sum : "");
	}
}

static void print_crash_notes(const json_t *meta)
{
	const json_t *note;
	size_t i;

	json_array_foreach(json_object_get(meta, "notes"), i, note) {
		const char *text = json_string_value(note);

		printf("%-11s ", i ? "" : "notes");
		print_escaped(text ? text : "", text ? strlen(text) : 0);
		putchar('\n');
	}
}

static void print_report(const struct crash_entry *e)
{
	FILE *in = crash_open_file(e, "report.txt");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	for (int i = 0; in && i < REPORT_LINES && (len = getline(&line, &size, in)) >= 0; i++) {
		if (!i)
			printf("\nThe report begins so:\n\n");
		fputs("  ", stdout);
		print_escaped(line, (size_t)(len - (len && line[len - 1] == '\n')));
		putchar('\n');
	}
	free(line);
	if (in)
		fclose(in);
}

static int show_crash(const struct arguments *args, const struct crash_entry *e)
{
	const json_t *pid = json_object_get(e->meta, "pid");

	if (args->json) {
		json_line(stdout, "crash", json_crash(e));
		return EXIT_DONE;
	}
	printf("%-11s %s\n", "id", e->id);
	printf("%-11s %s\n", "time", time_text(e->time).text);
	print_crash_fact("guest", e->meta, "guest");
	print_crash_fact("uuid", e->meta, "uuid");
	print_crash_fact("source", e->meta, "source");
	print_crash_fact("hypervisor", e->meta, "hypervisor");
	if (json_is_integer(pid))
		printf("%-11s %" JSON_INTEGER_FORMAT "\n", "process", json_integer_value(pid));
	print_crash_fact("host", e->meta, "host");
	print_crash_fact("reason", e->meta, "reason");
	print_crash_fact("detail", e->meta, "detail");
	printf("%-11s %s%s\n", "state", crash_state_name(e->state), e->has_dump ? "" : ", without a dump");
	printf("%-11s %s\n", "series", e->first ? "the first of its series" : "repeats the crash before it");
	print_crash_fact("action", e->meta, "action");
	print_crash_fact("version", e->meta, "version");
	printf("%-11s ", "directory");
	print_name(e->path);
	putchar('\n');
	print_files(e->meta);
	print_crash_notes(e->meta);
	print_report(e);
	return EXIT_DONE;
}

static int show_named(const struct arguments *args, const struct crash_list *list)
{
	const char *word = args->num_words > 1 ? args->words[1] : NULL;
	const struct crash_entry *e = latest_of(list, word);
	int status = EXIT_DONE;

	if (args->num_words > 2)
		return usage_error(args->command, "there is one argument too many: '%s'", args->words[2]);
	if (!e && !word)
		return failed(FAILURE_NO_CRASH, 0, "there is no crash");
	if (!e)
		e = by_id(list, word, &status);
	return e ? show_crash(args, e) : status;
}

/* --- rm --- */

/* All of them are found before one is removed. */
static int remove_named(const struct arguments *args, const struct crash_list *list)
{
	const int num = args->num_words - 1;
	json_t *removed = json_array();
	const struct crash_entry *e;
	struct failure why;
	int status = EXIT_DONE;

	if (!num)
		status = usage_error(args->command, "missing ID: guestdump crashes rm ID");
	for (int i = 0; i < num && !status; i++)
		by_id(list, args->words[i + 1], &status);
	for (int i = 0; i < num && !status; i++) {
		e = by_id(list, args->words[i + 1], &status);
		if (!e)
			break;
		if (!crash_remove(e, &why))
			status = failure_report(&why);
		else
			json_array_append_new(removed, json_crash(e));
	}
	if (args->json && json_array_size(removed))
		json_line(stdout, "crashes", json_pack("{s:O}", "crashes", removed));
	json_decref(removed);
	return status;
}

static int run_verb(const struct arguments *args, const struct crash_stores *s)
{
	const char *verb = args->num_words ? args->words[0] : "list";

	if (!strcmp(verb, "list"))
		return args->num_words > 1 ? usage_error(args->command, "there is one argument too many: '%s'", args->words[1]) :
					     print_crashes(args, s);
	if (!strcmp(verb, "show"))
		return show_named(args, &s->list);
	return remove_named(args, &s->list);
}

int cmd_crashes(struct arguments *args)
{
	const char *verb = args->num_words ? args->words[0] : "list";
	struct crash_stores stores;
	int status;

	if (strcmp(verb, "list") && strcmp(verb, "show") && strcmp(verb, "rm"))
		return finish_stdout(usage_error(args->command, "'%s' is not list, show or rm", verb));
	status = crash_stores_open(args, &stores);
	if (status == EXIT_DONE)
		status = run_verb(args, &stores);
	crash_stores_close(&stores);
	return finish_stdout(status);
}
