/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "origin.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "store.h"
#include "tool.h"

static struct utsname host;
static char command[4096], creator[64];

/* Add @word as a shell needs it; what does not fit is cut off. */
static void origin_add_word(FILE *out, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_-./:=,@%+";

	if (*word && !word[strspn(word, plain)]) {
		fputs(word, out);
		return;
	}
	putc('\'', out);
	for (; *word; word++)
		fputs(*word == '\'' ? "'\\''" : (char[]){ *word, '\0' }, out);
	putc('\'', out);
}

void origin_init(int argc, char **argv)
{
	FILE *out = fmemopen(command, sizeof(command), "w");

	if (!out)
		return;
	fputs("guestdump", out);
	for (int i = 1; i < argc; i++) {
		putc(' ', out);
		origin_add_word(out, shown_name(argv[i]));
	}
	fclose(out);
	command[sizeof(command) - 1] = '\0';
}

const struct gdump_metadata *origin(void)
{
	static struct gdump_metadata m = { .size = sizeof(m) };

	snprintf(creator, sizeof(creator), "guestdump %s", gdump_version());
	m.host = uname(&host) ? NULL : host.nodename;
	m.creator = creator;
	m.command = command;
	return &m;
}

static void origin_print_text(const char *before, const char *text)
{
	if (!text)
		return;
	printf("%s", before);
	print_escaped(text, strlen(text));
}

void origin_print(const struct gdump_metadata *m, bool is_guest)
{
	const time_t seconds = (time_t)(m->time_ms / 1000);
	char text[64];
	struct tm tm;

	if (m->guest || m->uuid) {
		origin_print_text("guest       ", m->guest ? m->guest : m->uuid);
		origin_print_text(", ", m->guest ? m->uuid : NULL);
		printf("\n");
	}
	if (m->host || m->vmm) {
		origin_print_text("host        ", m->host ? m->host : "unknown");
		origin_print_text(", ", m->vmm);
		printf("\n");
	}
	if (is_guest)
		return;
	if (m->time_ms && gmtime_r(&seconds, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
		printf("dumped      %s", text);
	else
		printf("dumped      at an unknown time");
	origin_print_text(" by ", m->creator);
	printf("\n");
	origin_print_text("command     ", m->command);
	printf("%s", m->command ? "\n" : "");
}
