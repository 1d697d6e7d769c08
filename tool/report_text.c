/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_text.c - a report for people
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "stack.h"
#include "tool.h"

enum { VALUE = 128, INDENT = 2, NAME_WIDTH = 20, MAX_COLUMNS = 16 };

/* Values -------------------------------------------------------------------- */

/* A duration for people: "12.3 s", "5:07:12" */
static void format_duration(uint64_t ns, char *buf, size_t size)
{
	const uint64_t s = ns / 1000000000;

	if (s < 100)
		snprintf(buf, size, "%" PRIu64 ".%" PRIu64 " s", s, ns / 100000000 % 10);
	else if (s < 1000)
		snprintf(buf, size, "%" PRIu64 " s", s);
	else
		snprintf(buf, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
}

void report_format_number(const struct gdump_fact *f, char *buf, size_t size)
{
	switch (f->unit) {
	case GDUMP_UNIT_BYTES:
		snprintf(buf, size, "%s", size_text(f->number).text);
		return;
	case GDUMP_UNIT_NS:
		format_duration(f->number, buf, size);
		return;
	case GDUMP_UNIT_MILLI:
		snprintf(buf, size, "%" PRIu64 ".%02" PRIu64, f->number / 1000, f->number % 1000 / 10);
		return;
	default:
		snprintf(buf, size, "%" PRIu64, f->number);
	}
}

bool report_is_scalar(const struct gdump_fact *f)
{
	return f->kind != GDUMP_FACT_GROUP && f->kind != GDUMP_FACT_LIST &&
	       f->kind != GDUMP_FACT_STACK;
}

static void print_text(const char *text)
{
	print_escaped(text, strlen(text));
}

static void print_value(const struct gdump_fact *f)
{
	char buf[VALUE];

	if (f->kind == GDUMP_FACT_TEXT)
		print_text(f->text);
	else if (f->kind == GDUMP_FACT_FLAG)
		printf("%s", f->number ? "yes" : "no");
	else if (f->kind == GDUMP_FACT_ADDRESS)
		printf("0x%" PRIx64, f->number);
	else if (f->unit == GDUMP_UNIT_TIME)
		print_time(f->number);
	else {
		report_format_number(f, buf, sizeof(buf));
		printf("%s", buf);
	}
}

/* A name for people: "boot time" */
static int print_fact_name(const char *name)
{
	for (const char *p = name; *p; p++)
		putchar(*p == '_' ? ' ' : *p);
	return (int)strlen(name);
}

const struct gdump_fact *report_fact(const struct gdump_fact *above, const char *name)
{
	const struct gdump_fact *f = above ? above->children : NULL;

	while (f && strcmp(f->name, name))
		f = f->next;
	return f;
}

const char *report_text(const struct gdump_fact *above, const char *name)
{
	const struct gdump_fact *f = report_fact(above, name);

	return f && f->text ? f->text : "?";
}

/* Any section --------------------------------------------------------------- */

/* All that is in a list are groups of scalars, which have the same names. */
bool report_is_table(const struct gdump_fact *list)
{
	for (const struct gdump_fact *row = list->children; row; row = row->next) {
		if (row->kind != GDUMP_FACT_GROUP)
			return false;
		for (const struct gdump_fact *f = row->children; f; f = f->next) {
			if (!report_is_scalar(f))
				return false;
		}
	}
	return list->children;
}

static int value_width(const struct gdump_fact *f)
{
	char buf[VALUE];

	if (f->kind == GDUMP_FACT_TEXT)
		return (int)strlen(f->text);
	if (f->kind == GDUMP_FACT_FLAG)
		return f->number ? 3 : 2;
	if (f->kind == GDUMP_FACT_ADDRESS)
		return snprintf(buf, sizeof(buf), "0x%" PRIx64, f->number);
	report_format_number(f, buf, sizeof(buf));
	return (int)strlen(buf);
}

/* The columns of a table: all names that its rows have, in the order in which they come */
struct columns {
	const char *names[MAX_COLUMNS];
	int width[MAX_COLUMNS];
	size_t num;
};

static size_t column_of(struct columns *c, const char *name)
{
	size_t i = 0;

	while (i < c->num && strcmp(c->names[i], name))
		i++;
	if (i == c->num && i < MAX_COLUMNS) {
		c->names[c->num] = name;
		c->width[c->num++] = (int)strlen(name);
	}
	return i;
}

static void measure_columns(const struct gdump_fact *list, struct columns *c)
{
	for (const struct gdump_fact *row = list->children; row; row = row->next) {
		for (const struct gdump_fact *f = row->children; f; f = f->next) {
			const size_t i = column_of(c, f->name);

			if (i < MAX_COLUMNS && value_width(f) > c->width[i])
				c->width[i] = value_width(f);
		}
	}
}

static void print_table_row(const struct gdump_fact *row, const struct columns *c, int indent)
{
	int owed = indent;

	for (size_t i = 0; i < c->num; i++) {
		const struct gdump_fact *f = report_fact(row, c->names[i]);
		const int pad = f ? c->width[i] - value_width(f) : 0;
		const bool right = f && f->kind == GDUMP_FACT_NUMBER;

		if (!f) {
			owed += c->width[i] + 2;
			continue;
		}
		printf("%*s", owed + (right ? pad : 0), "");
		print_value(f);
		owed = 2 + (right || pad < 0 ? 0 : pad);
	}
	printf("\n");
}

static void print_table(const struct gdump_fact *list, int indent)
{
	struct columns c = { .num = 0 };

	measure_columns(list, &c);
	printf("%*s", indent, "");
	for (size_t i = 0; i < c.num; i++) {
		const int pad = c.width[i] - print_fact_name(c.names[i]);

		printf("%*s", i + 1 < c.num ? 2 + (pad > 0 ? pad : 0) : 0, "");
	}
	printf("\n");
	for (const struct gdump_fact *row = list->children; row; row = row->next)
		print_table_row(row, &c, indent);
}

static void print_fact(const struct gdump_fact *f, int indent);

static void print_list(const struct gdump_fact *list, int indent)
{
	const char *sep = "";

	if (report_is_table(list)) {
		print_table(list, indent);
		return;
	}
	if (list->children && report_is_scalar(list->children))
		printf("%*s", indent, "");
	for (const struct gdump_fact *f = list->children; f; f = f->next) {
		if (report_is_scalar(f)) {
			printf("%s", sep);
			print_value(f);
			sep = ", ";
		} else {
			print_fact(f, indent);
		}
	}
	if (*sep)
		printf("\n");
}

static void print_children(const struct gdump_fact *above, int indent)
{
	if (above->kind == GDUMP_FACT_LIST) {
		print_list(above, indent);
		return;
	}
	for (const struct gdump_fact *f = above->children; f; f = f->next)
		print_fact(f, indent);
}

static void print_fact(const struct gdump_fact *f, int indent)
{
	int width;

	if (f->kind == GDUMP_FACT_TEXT && !*f->text)
		return;
	printf("%*s", indent, "");
	width = print_fact_name(f->name);
	if (report_is_scalar(f) || (f->kind == GDUMP_FACT_LIST && f->children && report_is_scalar(f->children))) {
		printf("%*s", width < NAME_WIDTH ? NAME_WIDTH - width : 1, "");
		if (report_is_scalar(f)) {
			print_value(f);
			printf("\n");
		} else {
			print_list(f, 0);
		}
		return;
	}
	printf("\n");
	if (f->kind == GDUMP_FACT_STACK)
		print_frames(f->stack);
	else
		print_children(f, indent + INDENT);
}

/* Sections that have a form of their own ------------------------------------- */

static void print_verdicts(const struct gdump_fact *list)
{
	for (const struct gdump_fact *v = list->children; v; v = v->next) {
		const struct gdump_fact *evidence = report_fact(v, "evidence");

		printf("%s ", strcmp(report_text(v, "what"), "nothing") ? "!!" : "--");
		print_text(report_text(v, "text"));
		printf("\n");
		for (const struct gdump_fact *e = evidence ? evidence->children : NULL; e; e = e->next) {
			printf("     ");
			print_value(e);
			printf("\n");
		}
	}
}

/* "name (pid)" */
static void print_who(const struct gdump_fact *task)
{
	const struct gdump_fact *pid = report_fact(task, "pid");

	print_text(report_text(task, "name"));
	if (pid)
		printf(" (%" PRIu64 ")", pid->number);
}

static void print_stack_of(const struct gdump_fact *group)
{
	const struct gdump_fact *stack = report_fact(group, "stack");

	if (stack)
		print_frames(stack->stack);
}

/* Three in a line */
static void print_cpu_registers(const struct gdump_fact *group)
{
	unsigned int num = 0;

	for (const struct gdump_fact *f = group ? group->children : NULL; f; f = f->next, num++)
		printf("%s%-8s 0x%016" PRIx64, num % 3 ? "  " : num ? "\n    " : "    ", f->name, f->number);
	if (num)
		printf("\n");
}

static void print_cpus(const struct gdump_fact *list)
{
	for (const struct gdump_fact *c = list->children; c; c = c->next) {
		const struct gdump_fact *number = report_fact(c, "cpu"), *task = report_fact(c, "task");
		const struct gdump_fact *stack = report_fact(c, "stack");
		const struct gdump_fact *runnable = report_fact(c, "runnable"), *off = report_fact(c, "interrupts_off");

		printf("  CPU %" PRIu64 "  %s  ", number ? number->number : 0, report_text(c, "mode"));
		if (task)
			print_who(task);
		else
			printf("an unknown task");
		if (runnable && runnable->number > 1)
			printf(", %" PRIu64 " more runnable", runnable->number - 1);
		printf("%s%s\n", off && off->number ? ", interrupts off" : "",
		       stack && stack->stack->moved ? "; it may have run meanwhile, see --pause" : "");
		print_cpu_registers(report_fact(c, "registers"));
		print_stack_of(c);
	}
}

/* "waits for the mutex at 0x..., variable, held by name (pid)" */
static void print_wait(const struct gdump_fact *wait)
{
	const struct gdump_fact *address = report_fact(wait, "address"), *lock = report_fact(wait, "lock");
	const struct gdump_fact *holder = report_fact(wait, "holder");

	printf("    waits for %s", report_text(wait, "text"));
	if (lock) {
		putchar(' ');
		print_value(lock);
	} else if (address) {
		printf(" at ");
		print_value(address);
	}
	if (holder) {
		printf(", held by ");
		print_who(holder);
		printf("%s", report_fact(wait, "holder_is_last_reader") ? ", or another reader" : "");
	}
	printf("\n");
}

static void print_blocked(const struct gdump_fact *list)
{
	for (const struct gdump_fact *t = list->children; t; t = t->next) {
		const struct gdump_fact *ns = report_fact(t, "blocked"), *task = report_fact(t, "task");
		const struct gdump_fact *wait = report_fact(t, "waits_for");

		printf("  ");
		print_who(task);
		printf("  state %s", report_text(task, "state"));
		if (ns) {
			printf(" for ");
			print_value(ns);
		}
		printf("%s\n", report_fact(t, "is_holder") ? "; it holds what another task waits for" : "");
		if (wait)
			print_wait(wait);
		print_stack_of(t);
	}
}

static void print_records(const struct gdump_fact *list)
{
	for (const struct gdump_fact *r = list ? list->children : NULL; r; r = r->next) {
		const struct gdump_fact *time = report_fact(r, "time");

		if (time)
			printf("  [%5" PRIu64 ".%06" PRIu64 "] ", time->number / 1000000000,
			       time->number % 1000000000 / 1000);
		print_text(report_text(r, "text"));
		printf("\n");
	}
}

static void print_log(const struct gdump_fact *log)
{
	const struct gdump_fact *all = report_fact(log, "all"), *worst = report_fact(log, "worst");

	if (all) {
		print_records(all);
		return;
	}
	if (worst && worst->children) {
		print_records(worst);
		printf("  ...\n");
	}
	print_records(report_fact(log, "last"));
}

static void print_problems(const struct gdump_fact *list)
{
	for (const struct gdump_fact *p = list->children; p; p = p->next) {
		printf("  %s: ", report_text(p, "section"));
		print_text(report_text(p, "text"));
		printf("\n");
	}
}

static const struct {
	const char *name, *heading;
	void (*print)(const struct gdump_fact *section);        /* NULL: like any other */
} forms[] = {
	{ "verdict", NULL, print_verdicts },
	{ "kernel", "Kernel", NULL },
	{ "cpus", "CPUs", print_cpus },
	{ "blocked", "Blocked tasks, the longest first", print_blocked },
	{ "stalls", "Work of the kernel that does not proceed", NULL },
	{ "tasks", "Tasks", NULL },
	{ "memory", "Memory", NULL },
	{ "map", "Physical memory", report_print_map },
	{ "disks", "Disks", NULL },
	{ "mounts", "Mounts", NULL },
	{ "interfaces", "Network interfaces", NULL },
	{ "log", "Log: the worst lines, and the last ones", print_log },
	{ "modules", "Modules", NULL },
	{ "problems", "What could not be read", print_problems },
};

const char *report_heading(const char *section)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (!strcmp(forms[i].name, section))
			return forms[i].heading;
	}
	return section;
}

static void print_section(const struct gdump_fact *section)
{
	size_t i = 0;

	while (i < sizeof(forms) / sizeof(forms[0]) && strcmp(forms[i].name, section->name))
		i++;
	if (i == sizeof(forms) / sizeof(forms[0])) {
		printf("%s\n", section->name);
		print_children(section, INDENT);
		return;
	}
	if (forms[i].heading)
		printf("%s\n", forms[i].heading);
	if (forms[i].print)
		forms[i].print(section);
	else
		print_children(section, INDENT);
}

void report_print_text(const struct gdump_fact *report, const char *where, const char *wanted)
{
	const char *sep = "";

	(void)where;
	for (const struct gdump_fact *s = report->children; s; s = s->next) {
		if (!s->children || !report_wants(wanted, s->name))
			continue;
		printf("%s", sep);
		print_section(s);
		sep = "\n";
	}
}
