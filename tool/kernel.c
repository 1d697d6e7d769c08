/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "kernel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "stack.h"
#include "tool.h"

struct tasks {
	struct gdump_task *list;
	size_t num, processes, max;
	bool full;                      /* no memory for more                   */
};

static void take_task(void *arg, const struct gdump_task *task)
{
	struct tasks *t = arg;

	if (t->num == t->max) {
		const size_t max = t->max ? 2 * t->max : 256;
		struct gdump_task *list = realloc(t->list, max * sizeof(*list));

		t->full |= !list;
		if (!list)
			return;
		t->list = list;
		t->max = max;
	}
	t->list[t->num++] = *task;
	t->processes += task->pid && task->pid == task->tgid;
}

/* Seconds as "2 days 03:04:05" */
static void print_duration(uint64_t s)
{
	const uint64_t days = s / 86400;

	if (days)
		printf("%" PRIu64 " day%s ", days, days == 1 ? "" : "s");
	printf("%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600 % 24, s / 60 % 60, s % 60);
}

static void print_boot(const struct gdump_kernel *k)
{
	if (!k->has_uptime)
		return;
	printf("booted      ");
	if (k->boot_time) {
		print_time(k->boot_time);
		printf(", ");
	}
	printf("%s", k->uptime_is_lower_bound ? "at least " : "");
	print_duration(k->uptime);
	printf(" ago\n");
}

static void print_panic(const struct gdump_kernel *k)
{
	if (!k->panicked)
		return;
	printf("panic       ");
	print_escaped(k->panic, strlen(k->panic));
	printf("%s", k->panic[0] ? "" : "yes; why is not in the log");
	if (k->panic_cpu >= 0)
		printf(" (on CPU %" PRId32 ")", k->panic_cpu);
	printf("\n");
	if (!k->crash_time)
		return;
	printf("            a crash kernel was started at ");
	print_time(k->crash_time);
	printf("; this is the kernel that panicked (the other one: --kernel running)\n");
}

static int by_running_cpu(const void *a, const void *b)
{
	const struct gdump_task *x = a, *y = b;

	return (x->running_cpu > y->running_cpu) - (x->running_cpu < y->running_cpu);
}

static void print_task(const struct gdump_task *t)
{
	char cpu[16] = "-";

	if (t->cpu >= 0)
		snprintf(cpu, sizeof(cpu), "%" PRId32, t->cpu);
	printf("  %c %7" PRId32 " %7" PRId32 "  %c  %4s  ", t->running_cpu >= 0 ? '>' : ' ', t->pid,
	       t->tgid, t->state, cpu);
	print_escaped(t->name, strlen(t->name));
	printf("\n");
}

static void print_tasks(struct tasks *t, bool all)
{
	printf("tasks       %zu in %zu processes", t->num, t->processes);
	if (all) {
		printf("\n        PID   TGID  ST  CPU  NAME\n");
		for (size_t i = 0; i < t->num; i++)
			print_task(&t->list[i]);
		return;
	}
	qsort(t->list, t->num, sizeof(*t->list), by_running_cpu);
	for (size_t i = 0; i < t->num; i++) {
		const struct gdump_task *task = &t->list[i];

		if (task->running_cpu < 0)
			continue;
		printf("\n  CPU %-5" PRId32 " runs ", task->running_cpu);
		print_escaped(task->name, strlen(task->name));
		printf(" (%" PRId32 ")", task->pid);
	}
	printf("\n");
}

/* It is no failure that this is unknown, unless the user asked for it. */
static int not_known(struct gdump_error *err, bool asked)
{
	if (err && asked)
		return fail(err);
	gdump_error_destroy(err);
	return EXIT_DONE;
}

int print_guest_kernel(struct gdump *g, bool all)
{
	struct gdump_kernel kernel = { .size = sizeof(kernel) };
	struct gdump_error *err = gdump_kernel(g, &kernel);
	struct tasks t = { 0 };

	if (err)
		return not_known(err, all);
	print_boot(&kernel);
	print_panic(&kernel);
	err = gdump_tasks(g, take_task, &t);
	if (!err)
		print_tasks(&t, all);
	free(t.list);
	if (t.full)
		say("not enough memory for the list of all tasks");
	return t.full ? EXIT_FAILED : not_known(err, all);
}

struct json_tasks {
	json_t *list;
	bool all;                       /* not only those that were running     */
};

static void add_task(void *arg, const struct gdump_task *task)
{
	const struct json_tasks *t = arg;

	if (t->all || task->running_cpu >= 0)
		json_array_append_new(t->list, json_task(task));
}

static json_t *json_panic(const struct gdump_kernel *k)
{
	if (!k->panicked)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "message", json_string_of(k->panic), "cpu",
			 json_index(k->panic_cpu), "crash_time",
			 k->crash_time ? json_count(k->crash_time) : json_null());
}

/* @k is NULL if nothing is known. */
static void add_kernel(const struct gdump_kernel *k, json_t *o)
{
	const bool has_uptime = k && k->has_uptime;

	json_object_set_new(o, "uptime_seconds", has_uptime ? json_count(k->uptime) : json_null());
	json_object_set_new(o, "uptime_is_lower_bound",
			    json_boolean(has_uptime && k->uptime_is_lower_bound));
	json_object_set_new(o, "boot_time",
			    k && k->boot_time ? json_count(k->boot_time) : json_null());
	json_object_set_new(o, "panic", k ? json_panic(k) : json_null());
}

struct gdump_error *json_guest_kernel(struct gdump *g, bool all, json_t *o)
{
	struct gdump_kernel kernel = { .size = sizeof(kernel) };
	struct gdump_error *err = gdump_kernel(g, &kernel);
	struct json_tasks t = { json_array(), all };

	add_kernel(err ? NULL : &kernel, o);
	if (!err)
		err = gdump_tasks(g, add_task, &t);
	json_object_set_new(o, all ? "tasks" : "running_tasks", err ? json_null() : json_incref(t.list));
	json_decref(t.list);
	if (err && !all) {
		gdump_error_destroy(err);
		return NULL;
	}
	return err;
}
