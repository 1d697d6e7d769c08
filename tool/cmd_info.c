/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"
#include "failure.h"
#include "guests.h"
#include "info.h"
#include "kernel.h"
#include "origin.h"
#include "plan.h"
#include "progress.h"
#include "run_state.h"
#include "snapshots.h"
#include "store.h"

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

/* There is no VMCOREINFO: what a search of memory finds */
static void print_system(struct gdump *g)
{
	struct gdump_system found = { .size = sizeof(found) };
	struct gdump_error *err = gdump_find_system(g, &found);

	if (err)
		printf("kernel      unknown: there is no VMCOREINFO; %s\n", gdump_error_message(err));
	else if (found.release[0])
		printf("kernel      Linux %s, %s\n"
		       "            without VMCOREINFO: it is booting, or has no support for crash dumps\n",
		       found.release, found.version);
	else
		printf("kernel      unknown: there is no VMCOREINFO; memory was searched for a Linux "
		       "kernel,\n            other systems, boot loaders and firmware, and has %s\n",
		       found.name[0] ? found.name : "none that is known");
	gdump_error_destroy(err);
}

static void print_kernel(struct gdump *g, const struct gdump_info *info)
{
	if (info->release) {
		printf("kernel      Linux ");
		print_escaped(info->release, strlen(info->release));
		printf("%s", info->version ? ", " : "");
		if (info->version)
			print_escaped(info->version, strlen(info->version));
		printf("\n");
	} else if (!info->is_locked) {
		print_system(g);
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

/* The level by which pages were omitted, if it is known. Level 1 alone says little: kdump has it in
 * any case, as all zero pages share their data.
 */
static struct size_text level_text(const struct gdump_info *info)
{
	struct size_text ret = { "" };

	if (info->dump_level > GDUMP_DROP_ZERO)
		snprintf(ret.text, sizeof(ret.text), " (dump level %u)", info->dump_level);
	return ret;
}

static int print_info(const struct info_found *found, const struct arguments *args)
{
	struct gdump *g = found->g;
	const struct gdump_info *info = gdump_info(g);
	uint64_t bytes = 0;

	for (size_t i = 0; i < info->num_ranges; i++)
		bytes += info->ranges[i].size;
	print_name(shown_name(args->words[0]));
	printf(": ");
	print_escaped(info->detail, strlen(info->detail));
	printf("%s\n", info->incomplete ? ", INCOMPLETE: it was cut short" : "");
	if (info->is_guest)
		printf("state       %srunning%s\n", info->was_running ? "" : "not ",
		       run_state_text(info).text);
	printf("machine     %s, %s-endian, %zu CPU%s, pages of %u bytes\n", info->arch,
	       info->big_endian ? "big" : "little", info->num_cpus,
	       info->num_cpus == 1 ? "" : "s", info->page_size);
	fputs(found->ways ? found->ways : "", stdout);
	if (info->metadata)
		origin_print(info->metadata, info->is_guest);
	print_protection(&found->protection);
	print_kernel(g, info);
	printf("memory      %s in %zu range%s, %s", size_text(bytes).text, info->num_ranges,
	       info->num_ranges == 1 ? "" : "s", pages_text(info->num_pages).text);
	if (!info->is_guest && info->num_excluded)
		printf(", %" PRIu64 " %s%s", info->num_excluded,
		       info->incomplete ? "missing" : "omitted", level_text(info).text);
	else if (!info->is_guest)
		printf(", none omitted");
	printf("\n");
	print_ranges(info);
	if (found->plan)
		print_kinds(g, found->plan);
	print_notes(info);
	print_registers(g, info, args->registers);
	return print_guest_kernel(g, args->tasks);
}

/* Find out what is to be printed, and print it. Returns an exit status. */
static int info_run(struct info_found *found, const struct arguments *args)
{
	struct gdump_error *err = gdump_protection(found->g, &found->protection);
	int status;

	if (!err && args->pages)
		err = gdump_plan_survey(found->g, &found->plan);
	if (err)
		return fail(err);
	status = (args->json ? info_print_json : print_info)(found, args);
	if (!status && found->plan && plan_is_unfiltered(found->plan, 31))
		return failed(FAILURE_UNSUPPORTED, 0, "%s: the kinds of pages are unknown: %s",
			      shown_name(args->words[0]), gdump_plan_warning(found->plan));
	return status;
}

/* It cannot be opened: perhaps one of its snapshots must be chosen. */
static int info_explain(struct gdump_error *err, const struct arguments *args)
{
	int status;

	if (gdump_error_code(err) == GDUMP_ERR_USAGE && !args->open.snapshot && snapshots_show(args)) {
		gdump_error_destroy(err);
		return EXIT_DONE;
	}
	status = fail(err);
	if (args->num_words > 1)
		say("several inputs are the files of one dump; run guestdump info once for each dump");
	return status;
}

int cmd_info(struct arguments *args)
{
	struct info_found found = { .protection.size = sizeof(found.protection) };
	const char *where = args->words[0];
	struct gdump_error *err;
	int status;

	if (is_guest(where) && !args->json)
		found.ways = guests_ways(where, args->verbosity);
	if (args->json)
		found.ways_json = is_guest(where) ? guests_ways_json(where) : json_null();
	confine(args, args->words, args->num_words, NULL);
	take_parts(args);
	args->open.metadata = origin();
	progress_start(args->json ? PROGRESS_NONE : PROGRESS_AUTO, shown_name(where), 1);
	err = gdump_open(where, &args->open, &found.g);
	progress_end();
	if (err) {
		status = info_explain(err, args);
		free(found.ways);
		return finish_stdout(status);
	}
	status = info_run(&found, args);
	gdump_plan_destroy(found.plan);
	gdump_close(found.g);
	free(found.ways);
	json_decref(found.ways_json);
	return finish_stdout(status);
}
