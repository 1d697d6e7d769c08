/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_guests.c - guests: the running guests of this host
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest_way.h"
#include "json.h"
#include "tool.h"

static const char *guest_kind_name(enum gdump_guest_kind kind)
{
	static const char *const names[] = {
		[GDUMP_GUEST_OTHER] = "kvm",
		[GDUMP_GUEST_QEMU] = "qemu",
		[GDUMP_GUEST_FIRECRACKER] = "firecracker",
		[GDUMP_GUEST_CLOUD_HYPERVISOR] = "cloud-hypervisor",
		[GDUMP_GUEST_CROSVM] = "crosvm",
		[GDUMP_GUEST_KVMTOOL] = "kvmtool",
	};

	return names[kind];
}

static const char *guest_state_name(enum gdump_guest_state state)
{
	static const char *const names[] = {
		[GDUMP_GUEST_UNKNOWN] = NULL,
		[GDUMP_GUEST_RUNNING] = "running",
		[GDUMP_GUEST_PAUSED] = "paused",
	};

	return names[state];
}

static void print_guest(void *arg, const struct gdump_host_guest *g)
{
	const char *state = guest_state_name(g->state);
	char cpus[16] = "-";
	size_t *num = arg;

	if (!(*num)++)
		printf("%-20s %7s  %-16s %9s  %4s  %s\n", "NAME", "PID", "KIND", "MEMORY", "CPUS", "STATE");
	if (g->num_cpus)
		snprintf(cpus, sizeof(cpus), "%u", g->num_cpus);
	print_name(g->name ? g->name : "-");
	printf("%*s %7d  %-16s %9s  %4s  %s\n",
	       (int)(g->name && strlen(g->name) < 20 ? 20 - strlen(g->name) : g->name ? 0 : 19), "",
	       (int)g->pid, g->kind ? guest_kind_name(g->kind) : g->program,
	       g->memory ? size_text(g->memory).text : "-", cpus, state ? state : "-");
	for (size_t i = 0; i < g->num_ways; i++)
		guest_way_print(&g->ways[i]);
	if (!g->num_ways)
		puts("    guestdump cannot read guests of this kind");
}

static json_t *json_count_or_null(uint64_t n)
{
	return n ? json_count(n) : json_null();
}

static void add_guest(void *arg, const struct gdump_host_guest *g)
{
	json_t *ways = json_array();

	for (size_t i = 0; i < g->num_ways; i++)
		json_array_append_new(ways, guest_way_json(&g->ways[i]));
	json_array_append_new(arg, json_pack("{s:o, s:o, s:o, s:s, s:o, s:b, s:o, s:o, s:o, s:o}",
		"name", json_string_of(g->name), "uuid", json_string_of(g->uuid),
		"pid", json_count_or_null((uint64_t)g->pid), "kind", guest_kind_name(g->kind),
		"program", json_string_of(g->program), "kvm", g->kvm,
		"state", json_string_of(guest_state_name(g->state)), "memory", json_count_or_null(g->memory),
		"num_cpus", json_count_or_null(g->num_cpus), "ways", ways));
}

static int print_json_guests(const struct gdump_guests_options *opt)
{
	json_t *guests = json_array();
	struct gdump_error *err = gdump_guests(opt, add_guest, guests);

	if (err) {
		json_decref(guests);
		return finish_stdout(fail(err));
	}
	json_line(stdout, "guests", json_pack("{s:o}", "guests", guests));
	return finish_stdout(EXIT_DONE);
}

int cmd_guests(struct arguments *args)
{
	const struct gdump_guests_options opt = {
		.size = sizeof(opt), .ask_state = true,
		.debug = args->open.debug, .debug_arg = args->open.debug_arg,
	};
	struct gdump_error *err;
	size_t num = 0;

	if (args->json)
		return print_json_guests(&opt);
	err = gdump_guests(&opt, print_guest, &num);
	if (err)
		return fail(err);
	if (!num)
		say("this user can see no running guest%s", geteuid() ? "; root sees all of this host" : "");
	return finish_stdout(EXIT_DONE);
}
