/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <stdio.h>
#include <string.h>

#include "info.h"
#include "json.h"
#include "kernel.h"
#include "plan.h"
#include "store.h"

/* The object for a set of registers; the general ones are called "registers". */
static json_t *registers_of_set(json_t *sets, const char *name)
{
	const char *key = strcmp(name, "general") ? name : "registers";

	if (!json_object_get(sets, key))
		json_object_set_new(sets, key, json_object());
	return json_object_get(sets, key);
}

static json_t *json_cpu(const struct gdump *g, size_t cpu)
{
	json_t *sets = json_pack("{s:{}}", "registers"), *set = NULL;
	const char *name = NULL;
	struct gdump_register r;

	for (size_t i = 0; gdump_register_at(g, cpu, i, &r); i++) {
		if (name != r.set)
			set = registers_of_set(sets, r.set);
		name = r.set;
		json_object_set_new(set, r.name, json_wide(r.high, r.value));
	}
	return sets;
}

static json_t *json_cpus(const struct gdump *g, const struct gdump_info *info)
{
	json_t *cpus = json_array();

	for (size_t cpu = 0; cpu < info->num_cpus; cpu++)
		json_array_append_new(cpus, json_cpu(g, cpu));
	return cpus;
}

static json_t *json_metadata(const struct gdump_metadata *m)
{
	if (!m)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "guest", json_string_of(m->guest),
			 "uuid", json_string_of(m->uuid), "host", json_string_of(m->host),
			 "vmm", json_string_of(m->vmm), "creator", json_string_of(m->creator),
			 "command", json_string_of(m->command), "dump_time",
			 m->time_ms ? json_real((double)m->time_ms / 1e3) : json_null());
}

static json_t *json_protection(const struct gdump_protection *p)
{
	if (!p->kind)
		return json_null();
	return json_pack("{s:s, s:o, s:b, s:s?, s:o, s:o, s:o, s:o}", "kind", p->kind,
			 "version", json_count(p->version), "decrypted", p->decrypted,
			 "problem", p->problem, "encrypted", json_count(p->encrypted),
			 "shared", json_count(p->shared), "zero", json_count(p->zero),
			 "invalid", json_count(p->invalid));
}

static json_t *json_ranges(const struct gdump_info *info)
{
	json_t *ranges = json_array();

	for (size_t i = 0; i < info->num_ranges; i++) {
		const struct gdump_range *r = &info->ranges[i];

		json_array_append_new(ranges, json_pack(
			"{s:o, s:o, s:s}", "start", json_address(r->start), "size",
			json_count(r->size), "kind", r->kind == GDUMP_RANGE_DEVICE ? "device" : "ram"));
	}
	return ranges;
}

static json_t *json_notes(const struct gdump_info *info)
{
	json_t *notes = json_array();

	for (size_t i = 0; i < info->num_notes; i++) {
		const struct gdump_note *n = &info->notes[i];

		json_array_append_new(notes, json_pack("{s:o, s:o, s:o, s:o}",
						       "name", json_string_of(n->name),
						       "type", json_count(n->type),
						       "cpu", json_index(n->cpu),
						       "size", json_count(n->size)));
	}
	return notes;
}

/* What costs nothing to know */
static json_t *json_outline(const char *input, const struct gdump_info *info)
{
	json_t *o = json_pack("{s:o, s:s, s:o, s:b, s:b, s:o, s:b}", "input", json_string_of(input),
			      "format", info->format, "detail", json_string_of(info->detail),
			      "is_guest", info->is_guest, "was_running", info->was_running,
			      "run_state", json_string_of(info->run_state), "incomplete", info->incomplete);

	json_object_update_new(o, json_pack(
		"{s:s, s:b, s:b, s:o, s:o, s:o}", "arch", info->arch, "big_endian", info->big_endian,
		"is_64bit", info->is_64bit, "page_size", json_count(info->page_size),
		"kernel_release", json_string_of(info->release),
		"kernel_version", json_string_of(info->version)));
	json_object_update_new(o, json_pack(
		"{s:o, s:o, s:o, s:o, s:o}", "pages", json_count(info->num_pages),
		"omitted", json_count(info->num_excluded),
		"dump_level", json_count(info->dump_level),
		"lost_cpus", json_count(info->num_lost_cpus),
		"phys_base", json_address(info->phys_base)));
	return o;
}

static json_t *json_vmcoreinfo(const struct gdump_info *info)
{
	return info->vmcoreinfo ? json_text(info->vmcoreinfo, info->vmcoreinfo_size) : json_null();
}

/* Which system it is; without VMCOREINFO, this takes a search of memory. */
static void json_add_system(json_t *o, struct gdump *g, const struct gdump_info *info)
{
	struct gdump_system found = { .size = sizeof(found) };
	struct gdump_error *err = NULL;

	if (info->release)
		snprintf(found.name, sizeof(found.name), "Linux");
	else if (!info->is_locked)
		err = gdump_find_system(g, &found);
	gdump_error_destroy(err);
	json_object_set_new(o, "system", json_string_of(found.name[0] ? found.name : NULL));
	if (!found.release[0])
		return;
	json_object_set_new(o, "kernel_release", json_string_of(found.release));
	json_object_set_new(o, "kernel_version", json_string_of(found.version));
}

int info_print_json(const struct info_found *found, const struct arguments *args)
{
	const struct gdump_info *info = gdump_info(found->g);
	json_t *o = json_outline(shown_name(args->words[0]), info);
	struct gdump_error *err;

	json_add_system(o, found->g, info);
	json_object_set_new(o, "metadata", json_metadata(info->metadata));
	json_object_set(o, "ways", found->ways_json);
	json_object_set_new(o, "ranges", json_ranges(info));
	json_object_set_new(o, "notes", json_notes(info));
	json_object_set_new(o, "cpus", json_cpus(found->g, info));
	json_object_set_new(o, "protection", json_protection(&found->protection));
	json_object_set_new(o, "vmcoreinfo", json_vmcoreinfo(info));
	if (found->plan)
		json_object_update_new(o, json_page_kinds(found->g, found->plan));
	err = json_guest_kernel(found->g, args->tasks, o);
	json_line(stdout, "info", o);
	return err ? fail(err) : EXIT_DONE;
}
