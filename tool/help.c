/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * help.c - --help of a command, out of the table of options
 */
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "tool.h"

enum { INDENT = 28, WIDTH = 80 };

void print_usage(FILE *out, const struct command *cmd)
{
	fprintf(out, "guestdump %s [OPTION]...", cmd->name);
	for (const struct operand *o = cmd->operands; o->name; o++)
		fprintf(out, " %s", o->name);
	fputc('\n', out);
}

/* Print the words of @text in lines from column @indent on, where the cursor is. */
static void print_wrapped(const char *text, int indent)
{
	for (int column = indent; *text; ) {
		const int len = (int)strcspn(text, " ");

		if (column > indent && column + 1 + len > WIDTH) {
			printf("\n%*s", indent, "");
			column = indent;
		}
		column += printf(column > indent ? " %.*s" : "%.*s", len, text);
		text += len + (text[len] == ' ');
	}
	putchar('\n');
}

/* The help text, and the names that it lists */
static void print_option_help(const struct option_row *o)
{
	char text[512];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", o->help);
	const char *name;

	for (size_t i = 0; o->name_at && len < sizeof(text) && (name = o->name_at(i)); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s %s", i ? "," : ":", name);
	print_wrapped(text, INDENT);
}

/* "  -f, --format NAME" and the help text */
static void print_option(const struct option_row *o)
{
	char left[64];
	int len = snprintf(left, sizeof(left), o->letter ? "  -%c" : "    ", o->letter);

	if (o->name)
		len += snprintf(left + len, sizeof(left) - (size_t)len, "%s--%s",
				o->letter ? ", " : "  ", o->name);
	if (o->value)
		len += snprintf(left + len, sizeof(left) - (size_t)len, "%s%s",
				o->value[0] == '[' ? "" : " ", o->value);
	printf("%s", left);
	if (len > INDENT - 2)
		printf("\n%*s", INDENT, "");
	else
		printf("%*s", INDENT - len, "");
	print_option_help(o);
}

void print_help(const struct command *cmd)
{
	const char *heading = NULL;

	printf("usage: ");
	print_usage(stdout, cmd);
	printf("\n%s.\n", cmd->summary);
	if (cmd->note)
		print_wrapped(cmd->note, 0);
	for (const struct option_row *o = option_rows; o->help; o++) {
		if (option_is_heading(o))
			heading = o->help;
		if (!(o->commands & cmd->bit))
			continue;
		if (heading)
			printf("\n%s:\n", heading);
		heading = NULL;
		print_option(o);
	}
	if (cmd->operands[0].name)
		printf("\nExample: guestdump %s %s\n", cmd->name, cmd->example);
}
