/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "confine.h"
#include "json.h"
#include "kernel.h"
#include "origin.h"
#include "plan.h"
#include "progress.h"
#include "run_state.h"
#include "tool.h"

static const char *kind_name(uint32_t kind)
{
	return kind == GDUMP_RANGE_DEVICE ? "device" : "RAM";
}

static void print_ranges(const struct gdump_info *info)
{
	for (size_t i = 0; i < info->num_ranges; i++) {
		const struct gdump_range *r = &info->ranges[i];

		printf("  %016" PRIx64 "-%016" PRIx64 "  %10s  %s\n", r->start,
		       r->start + (r->size - 1), size_text(r->size).text, kind_name(r->kind));
	}
}

/* Each kind of note once, with the number of such notes */
static void print_notes(const struct gdump_info *info)
{
	const char *sep = "";

	printf("notes       ");
	for (size_t i = 0; i < info->num_notes; i++) {
		const struct gdump_note *n = &info->notes[i];
		size_t count = 0;
		bool seen = false;

		for (size_t k = 0; k < info->num_notes; k++) {
			const struct gdump_note *o = &info->notes[k];

			if (o->type != n->type || strcmp(o->name, n->name))
				continue;
			seen |= k < i;
			count++;
		}
		if (seen)
			continue;
		printf("%s", sep);
		print_escaped(n->name, strlen(n->name));
		printf("/0x%x", n->type);
		if (count > 1)
			printf(" x%zu", count);
		sep = ", ";
	}
	printf("%s\n", *sep ? "" : "none");
}

enum { LINE = 84, INDENT = 11 };

/* One register, in a column of its own, or in two if it is wide */
static void print_register(const struct gdump_register *r, int *column)
{
	const int digits = (int)(2 * r->size);
	const int width = 10 + (digits > 16 ? digits : 16);

	if (*column + width > LINE) {
		printf("\n%*s", INDENT, "");
		*column = 0;
	}
	if (r->size > 8)
		printf(" %-8s %0*" PRIx64 "%016" PRIx64, r->name, digits - 16, r->high, r->value);
	else
		printf(" %-8s %*s%0*" PRIx64, r->name, 16 - digits, "", digits, r->value);
	*column += width;
}

static void print_registers(const struct gdump *g, const struct gdump_info *info, bool all)
{
	struct gdump_register r;

	for (size_t cpu = 0; cpu < info->num_cpus; cpu++) {
		const char *set = NULL;
		int column = 0;

		printf("CPU %-7zu", cpu);
		for (size_t i = 0; gdump_register_at(g, cpu, i, &r); i++) {
			if (!all && !r.key)
				continue;
			if (set && set != r.set) {
				printf("\n  %-9s", r.set);
				column = 0;
			}
			set = r.set;
			print_register(&r, &column);
		}
		printf("%s\n", set ? "" :
		       info->is_locked ? " encrypted" : " no registers in the dump");
	}
}

static void print_kernel(const struct gdump_info *info)
{
	if (info->release) {
		printf("kernel      Linux ");
		print_escaped(info->release, strlen(info->release));
		printf("%s", info->version ? ", " : "");
		if (info->version)
			print_escaped(info->version, strlen(info->version));
		printf("\n");
	} else if (!info->is_locked) {
		printf("kernel      unknown: there is no VMCOREINFO\n");
	}
	if (info->vmcoreinfo)
		printf("vmcoreinfo  %zu bytes, phys_base 0x%" PRIx64 "\n", info->vmcoreinfo_size,
		       info->phys_base);
}

static void print_protection(const struct gdump_protection *p)
{
	if (!p->kind)
		return;
	printf("protected   %s, version %" PRIu32 ": %s\n", p->kind, p->version,
	       p->problem ? p->problem : p->decrypted ? "decrypted" :
	       "encrypted; the owner's key is needed (--key)");
	printf("pages       %" PRIu64 " encrypted, %" PRIu64 " shared, %" PRIu64 " zero, %" PRIu64
	       " invalid\n", p->encrypted, p->shared, p->zero, p->invalid);
}

static int print_info(struct gdump *g, const struct gdump_protection *protection,
		      const struct gdump_plan *plan, const struct arguments *args)
{
	const struct gdump_info *info = gdump_info(g);
	uint64_t bytes = 0;

	for (size_t i = 0; i < info->num_ranges; i++)
		bytes += info->ranges[i].size;
	print_name(args->words[0]);
	printf(": ");
	print_escaped(info->detail, strlen(info->detail));
	printf("%s\n", info->incomplete ? ", INCOMPLETE: it was cut short" : "");
	if (info->is_guest)
		printf("state       %srunning%s\n", info->was_running ? "" : "not ",
		       run_state_text(info).text);
	printf("machine     %s, %s-endian, %zu CPU%s, pages of %u bytes\n", info->arch,
	       info->big_endian ? "big" : "little", info->num_cpus,
	       info->num_cpus == 1 ? "" : "s", info->page_size);
	if (info->metadata)
		origin_print(info->metadata, info->is_guest);
	print_protection(protection);
	print_kernel(info);
	printf("memory      %s in %zu range%s, %" PRIu64 " pages", size_text(bytes).text,
	       info->num_ranges, info->num_ranges == 1 ? "" : "s", info->num_pages);
	if (!info->is_guest && info->num_excluded)
		printf(", %" PRIu64 " omitted (dump level %u)", info->num_excluded,
		       info->dump_level);
	else if (!info->is_guest)
		printf(", none omitted");
	printf("\n");
	print_ranges(info);
	if (plan)
		print_kinds(g, plan);
	print_notes(info);
	print_registers(g, info, args->registers);
	return print_guest_kernel(g, args->tasks);
}

/* The object for a set of registers; the general ones are called "registers". */
static json_t *json_set(json_t *sets, const char *name)
{
	const char *key = strcmp(name, "general") ? name : "registers";

	if (!json_object_get(sets, key))
		json_object_set_new(sets, key, json_object());
	return json_object_get(sets, key);
}

static json_t *json_cpus(const struct gdump *g, const struct gdump_info *info)
{
	json_t *cpus = json_array();
	struct gdump_register r;
	char hex[40];

	for (size_t cpu = 0; cpu < info->num_cpus; cpu++) {
		json_t *sets = json_pack("{s:{}}", "registers"), *set = NULL;
		const char *name = NULL;

		for (size_t i = 0; gdump_register_at(g, cpu, i, &r); i++) {
			if (name != r.set)
				set = json_set(sets, r.set);
			name = r.set;
			if (r.high)
				snprintf(hex, sizeof(hex), "0x%" PRIx64 "%016" PRIx64, r.high,
					 r.value);
			else
				snprintf(hex, sizeof(hex), "0x%" PRIx64, r.value);
			json_object_set_new(set, r.name, json_string(hex));
		}
		json_array_append_new(cpus, sets);
	}
	return cpus;
}

static json_t *json_metadata(const struct gdump_metadata *m)
{
	if (!m)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "guest", json_string_of(m->guest),
			 "uuid", json_string_of(m->uuid), "host", json_string_of(m->host),
			 "vmm", json_string_of(m->vmm), "creator", json_string_of(m->creator),
			 "command", json_string_of(m->command),
			 "time_ms", (json_int_t)m->time_ms);
}

static json_t *json_protection(const struct gdump_protection *p)
{
	if (!p->kind)
		return json_null();
	return json_pack("{s:s, s:I, s:b, s:s?, s:I, s:I, s:I, s:I}", "kind", p->kind,
			 "version", (json_int_t)p->version, "decrypted", p->decrypted,
			 "problem", p->problem, "encrypted", (json_int_t)p->encrypted,
			 "shared", (json_int_t)p->shared, "zero", (json_int_t)p->zero,
			 "invalid", (json_int_t)p->invalid);
}

static json_t *json_ranges(const struct gdump_info *info)
{
	json_t *ranges = json_array();

	for (size_t i = 0; i < info->num_ranges; i++) {
		const struct gdump_range *r = &info->ranges[i];

		json_array_append_new(ranges, json_pack("{s:I, s:I, s:s}",
							"start", (json_int_t)r->start,
							"size", (json_int_t)r->size,
							"kind", kind_name(r->kind)));
	}
	return ranges;
}

static json_t *json_notes(const struct gdump_info *info)
{
	json_t *notes = json_array();

	for (size_t i = 0; i < info->num_notes; i++) {
		const struct gdump_note *n = &info->notes[i];

		json_array_append_new(notes, json_pack("{s:o, s:I, s:i, s:I}",
						       "name", json_string_of(n->name),
						       "type", (json_int_t)n->type,
						       "cpu", (int)n->cpu,
						       "size", (json_int_t)n->size));
	}
	return notes;
}

/* The outline: what costs nothing to know */
static json_t *json_outline(const char *where, const struct gdump_info *info)
{
	return json_pack("{s:o, s:s, s:o, s:s, s:i, s:b, s:b, s:b, s:b, s:b, s:o, s:o, s:I, s:I, s:i, s:I, s:I}",
			 "input", json_string_of(where), "format", info->format,
			 "detail", json_string_of(info->detail), "arch", info->arch,
			 "page_size", (int)info->page_size, "big_endian", info->big_endian,
			 "is_64bit", info->is_64bit, "incomplete", info->incomplete,
			 "is_guest", info->is_guest, "was_running", info->was_running,
			 "release", json_string_of(info->release),
			 "version", json_string_of(info->version),
			 "pages", (json_int_t)info->num_pages,
			 "excluded", (json_int_t)info->num_excluded,
			 "dump_level", (int)info->dump_level,
			 "phys_base", (json_int_t)info->phys_base,
			 "lost_cpus", (json_int_t)info->num_lost_cpus);
}

static int print_json_info(struct gdump *g, const struct gdump_protection *protection,
			   const struct gdump_plan *plan, const struct arguments *args)
{
	const struct gdump_info *info = gdump_info(g);
	json_t *o = json_outline(args->words[0], info);
	int status;

	json_object_set_new(o, "metadata", json_metadata(info->metadata));
	json_object_set_new(o, "ranges", json_ranges(info));
	json_object_set_new(o, "notes", json_notes(info));
	json_object_set_new(o, "cpus", json_cpus(g, info));
	json_object_set_new(o, "protection", json_protection(protection));
	if (info->vmcoreinfo)
		json_object_set_new(o, "vmcoreinfo",
				    json_text(info->vmcoreinfo, info->vmcoreinfo_size));
	if (plan) {
		json_object_set_new(o, "page_kinds", json_kinds(g, plan));
		json_object_set_new(o, "page_kinds_warning",
				    json_string_of(gdump_plan_warning(plan)));
	}
	status = json_guest_kernel(g, args->tasks, o);
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
	return status;
}

int cmd_info(struct arguments *args)
{
	struct gdump_protection protection = { .size = sizeof(protection) };
	const char *where = args->words[0];
	struct gdump_plan *plan = NULL;
	struct gdump_error *err;
	int status = EXIT_DONE;
	struct gdump *g;

	confine(args, args->words, args->num_words, NULL);
	args->open.parts = (const char *const *)args->words + 1;
	args->open.num_parts = (size_t)args->num_words - 1;
	args->open.metadata = origin();
	progress_start(args->json ? PROGRESS_NONE : PROGRESS_AUTO, where, 1);
	err = gdump_open(where, &args->open, &g);
	progress_end();
	if (err && args->num_words > 1) {
		status = fail(err);
		say("several inputs are the parts of one split dump; run guestdump info once for each dump");
		return status;
	}
	if (err)
		return fail(err);
	err = gdump_protection(g, &protection);
	if (!err && args->pages)
		err = gdump_plan_survey(g, &plan);
	if (!err)
		status = (args->json ? print_json_info : print_info)(g, &protection, plan, args);
	if (!status && plan && plan_is_unfiltered(plan, 31))
		status = EXIT_FAILED;
	gdump_plan_destroy(plan);
	gdump_close(g);
	return finish_stdout(err ? fail(err) : status);
}
