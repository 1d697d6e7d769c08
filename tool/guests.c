/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "guests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "failure.h"
#include "guest_way.h"
#include "options.h"
#include "tool.h"

struct guest_search {
	const char *word;
	long pid;                       /* that the word is, or 0               */
	unsigned int found;
	char processes[100];            /* "12, 345": those that were found     */
	char *where;                    /* how to open the first one; NULL: it cannot be opened */
	char *missing;                  /* why not                              */
};

static bool guest_is_meant(const struct gdump_host_guest *g, const struct guest_search *s)
{
	return (g->name && !strcmp(g->name, s->word)) || (s->pid && g->pid == s->pid) ||
	       (g->uuid && !strcasecmp(g->uuid, s->word));
}

static void guest_take(void *arg, const struct gdump_host_guest *g)
{
	struct guest_search *s = arg;
	const size_t len = strlen(s->processes);

	if (!guest_is_meant(g, s))
		return;
	snprintf(s->processes + len, sizeof(s->processes) - len, "%s%d", len ? ", " : "", (int)g->pid);
	if (s->found++)
		return;
	if (!g->num_ways)
		s->missing = strdup("guestdump cannot read guests of this kind");
	else if (g->ways[0].works)
		s->where = strdup(g->ways[0].name);
	else if (g->ways[0].missing && asprintf(&s->missing, "%s: %s", g->ways[0].name,
						g->ways[0].missing) < 0)
		s->missing = NULL;
}

/* Exactly one guest must be meant, and it must be possible to open it. */
static int guest_judge(const struct guest_search *s)
{
	if (s->found > 1)
		return failed(FAILURE_USAGE, 0, "%s: %u guests have this name (processes %s); use the number of a process, or a name that guestdump guests shows",
			      s->word, s->found, s->processes);
	if (s->found && !s->where)
		return failed(FAILURE_UNSUPPORTED, 0, "%s: the guest of process %s cannot be opened: %s",
			      s->word, s->processes, s->missing ? s->missing : "the reason is unknown");
	return EXIT_DONE;
}

int guests_resolve(struct arguments *args)
{
	struct guest_search s = { .word = args->words[0] };
	struct gdump_error *err;
	struct stat st;
	int status;

	if (is_guest(s.word) || strpbrk(s.word, "/:") || !strcmp(s.word, "-") ||
	    (args->command->bit != CMD_DUMP && !stat(s.word, &st)))
		return EXIT_DONE;
	if (!parse_number(s.word, 1, INT32_MAX, &s.pid))
		s.pid = 0;
	err = gdump_guests(NULL, guest_take, &s);
	status = err ? fail(err) : guest_judge(&s);
	free(s.missing);
	if (status || !s.where)
		return status;
	/* it lives as long as the command line */
	args->words[0] = s.where;
	if (args->verbosity)
		say("debug: %s is %s", s.word, s.where);
	return EXIT_DONE;
}

/* The ways to one guest */
struct guest_ways {
	const char *where;              /* the one that is taken                */
	bool why;                       /* also why others do not work          */
	FILE *out;
	json_t *array;                  /* instead of @out                      */
	bool found;
};

static bool guest_has_way(const struct gdump_host_guest *g, const char *where)
{
	for (size_t i = 0; i < g->num_ways; i++) {
		if (!strcmp(g->ways[i].name, where))
			return true;
	}
	return false;
}

/* A command line may contain anything. */
static void guest_put_clean(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
}

static void guest_put_ways(void *arg, const struct gdump_host_guest *g)
{
	struct guest_ways *w = arg;
	const char *sep = "ways        ";

	if (w->found || !guest_has_way(g, w->where))
		return;
	w->found = true;
	for (size_t i = 0; i < g->num_ways; i++, sep = ", ") {
		fputs(sep, w->out);
		guest_put_clean(w->out, g->ways[i].name);
		fputs(!strcmp(g->ways[i].name, w->where) ? " (taken)" :
		      g->ways[i].works ? "" : " (does not work)", w->out);
	}
	fputc('\n', w->out);
	for (size_t i = 0; w->why && i < g->num_ways; i++) {
		if (!g->ways[i].missing)
			continue;
		fputs("            ", w->out);
		guest_put_clean(w->out, g->ways[i].name);
		fputs(": ", w->out);
		guest_put_clean(w->out, g->ways[i].missing);
		fputc('\n', w->out);
	}
}

char *guests_ways(const char *where, bool why)
{
	struct guest_ways w = { .where = where, .why = why };
	struct gdump_error *err;
	char *text = NULL;
	size_t len;

	w.out = open_memstream(&text, &len);
	if (!w.out)
		return NULL;
	err = gdump_guests(NULL, guest_put_ways, &w);
	gdump_error_destroy(err);       /* what was found before is right */
	fclose(w.out);
	return text;
}

static void guest_add_ways(void *arg, const struct gdump_host_guest *g)
{
	struct guest_ways *w = arg;

	if (w->array || !guest_has_way(g, w->where))
		return;
	w->array = json_array();
	for (size_t i = 0; i < g->num_ways; i++) {
		json_t *way = guest_way_json(&g->ways[i]);

		json_object_set_new(way, "taken", json_boolean(!strcmp(g->ways[i].name, w->where)));
		json_array_append_new(w->array, way);
	}
}

json_t *guests_ways_json(const char *where)
{
	struct guest_ways w = { .where = where };

	gdump_error_destroy(gdump_guests(NULL, guest_add_ways, &w));
	return w.array ? w.array : json_null();
}
