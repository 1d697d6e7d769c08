/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * output.c - the files of one dump: one, or several if it is split
 */
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ranges.h"
#include "util/bits.h"
#include "util/cleanup.h"

#define OUTPUT_SLACK (UINT64_C(64) << 20)       /* notes, program headers, alignment */

/* The name of output @i; to be freed.  NULL: no memory. */
static char *output_name(const char *path, unsigned int num, unsigned int i)
{
	char *name;

	if (!num)
		return strdup(path);
	return asprintf(&name, "%s-%u", path, i + 1) < 0 ? NULL : name;
}

/* Whether PATH.ranges is written for output @name. */
static bool output_has_ranges(const char *name, const struct format *format)
{
	return format->ranges_file && (sink_is_file(name) || sink_is_object(name));
}

static struct gdump_error *output_check(const char *name, const struct format *format,
					const struct gdump_write_options *opt)
{
	const struct sink_options options = { .force = opt->force, .store = opt->store };
	CLEANUP_FREE char *ranges = output_has_ranges(name, format) ? ranges_path(name) : NULL;
	struct gdump_error *err;

	if (format->ranges_file && sink_is_url(name))
		return error_new(GDUMP_ERR_USAGE,
				 "%s files need a second file that says where memory is, and a URL leads to one: choose another format",
				 format->name);
	err = sink_check(name, &options);
	return err || !ranges ? err : sink_check(ranges, &options);
}

/* A split dump needs a name to derive those of its files from. */
static struct gdump_error *output_check_path(const char *path,
					     const struct gdump_write_options *opt)
{
	if (!*path)
		return error_new(GDUMP_ERR_USAGE, "the output has no name");
	if (opt->split && sink_is_descriptor(path))
		return error_new(GDUMP_ERR_USAGE,
				 "%s is one stream and cannot be split; name a file: its parts get the names FILE-1, FILE-2 and so on",
				 path);
	if (opt->split && sink_is_object(path))
		return error_new(GDUMP_ERR_USAGE, "%s: an object is not split: it is uploaded in parts anyway",
				 path);
	if (opt->split && sink_is_url(path))
		return error_new(GDUMP_ERR_USAGE, "a dump that is uploaded to a URL is one file, and not split");
	return NULL;
}

struct gdump_error *outputs_check(const char *path, const struct gdump_write_options *opt,
				  const struct settings *set)
{
	struct gdump_error *err = output_check_path(path, opt);

	for (unsigned int i = 0; !err && i < MAX(opt->split, 1); i++) {
		CLEANUP_FREE char *name = output_name(path, opt->split, i);

		err = name ? output_check(name, set->format, opt) : error_nomem();
	}
	return err;
}

/* Give each output its slice of the plan, with the same number of kept pages. */
static struct gdump_error *outputs_slice(struct outputs *o, const struct gdump_plan *plan)
{
	const uint64_t kept = gdump_plan_kept(plan);
	struct plan_cursor c = { 0 };
	uint64_t start = 0, n = 0;

	if (kept < o->num)
		return error_new(GDUMP_ERR_USAGE, "%" PRIu64 " pages cannot be split into %u files",
				 kept, o->num);
	for (unsigned int i = 0; i < o->num; i++) {
		struct write_spec *spec = &o->list[i].spec;
		const uint64_t until = kept / o->num * (i + 1) + kept % o->num * (i + 1) / o->num;

		spec->part_start = start;
		for (; n < until; n++)
			spec->part_end = plan_next(plan, &c) + 1;
		if (i + 1 == o->num)
			spec->part_end = plan_end_pfn(plan);
		start = spec->part_end;
	}
	return NULL;
}

/* Open PATH.ranges for the output file @path. */
static struct gdump_error *output_open_ranges(struct output *out, const char *path,
					      const struct sink_options *options)
{
	CLEANUP_FREE char *name = ranges_path(path);
	struct gdump_error *err = name ? sink_open(name, options, &out->ranges_file) : error_nomem();

	out->spec.ranges_file = out->ranges_file;
	return err;
}

/* A file of any format is at most this large: it has the memory, or all up to the highest page of it,
 * and less than a 64th more.
 */
static uint64_t output_max_size(const struct format *format, const struct gdump_plan *plan)
{
	const uint64_t pages = format->seeks ? plan->kept : MAX(plan->num_pages, plan->kept);
	const uint64_t memory = pages * plan->page_size;

	return memory + memory / 64 + plan_end_pfn(plan) / 4 + OUTPUT_SLACK;
}

static bool outputs_are_canceled(void *arg)
{
	const struct outputs *o = arg;

	return o->opt->progress && o->opt->progress(o->opt->progress_arg, o->kept, o->kept);
}

/* Put what is needed around a sink that does not seek.  A source that pushes passes its pages in any
 * order, and must not be stalled by a slow reader of the output: so such an output is spooled.
 */
static struct gdump_error *output_wrap(struct output *out, const struct gdump_write_options *opt,
				       const struct format *format, const struct source *s)
{
	const bool scatters = format->seeks && !opt->flatten && out->sink->scatters;
	const bool spools = s->ops->order == READ_PUSHED || (scatters && format->writes_twice);
	struct gdump_error *err = NULL;

	out->innermost->ascending = !scatters || spools;
	if (format->seeks && (opt->flatten || !(out->sink->seeks || scatters)))
		err = sink_flat_create(TAKE_PTR(out->sink), &out->sink);
	if (!err && spools && !out->sink->seeks)
		err = sink_spool_create(TAKE_PTR(out->sink), opt->spool_dir, &out->sink);
	return err;
}

static struct gdump_error *output_open(struct output *out, const char *path, struct outputs *o,
				       const struct format *format, const struct source *s)
{
	const struct gdump_write_options *opt = o->opt;
	const struct gdump_plan *plan = out->spec.plan;
	const struct sink_options options = {
		.force = opt->force, .store = opt->store, .spool_dir = opt->spool_dir, .debug = s->debug,
		.max_size = output_max_size(format, plan),
		.cancel = outputs_are_canceled, .cancel_arg = o,
	};
	struct gdump_error *err = sink_open(path, &options, &out->sink);

	out->innermost = out->sink;
	if (!err)
		err = output_wrap(out, opt, format, s);
	if (!err && !opt->no_checksum && format->takes_trailer && format->takes_trailer(&s->image))
		err = sink_checksum_create(TAKE_PTR(out->sink), plan->kept * plan->page_size, &out->sink);
	if (!err && output_has_ranges(path, format))
		err = output_open_ranges(out, path, &options);
	out->spec.sink = out->sink;
	return err;
}

struct gdump_error *outputs_open(struct outputs *o, const char *path,
				 const struct gdump_write_options *opt, const struct settings *set,
				 struct source *source, const struct gdump_plan *plan)
{
	struct gdump_error *err = output_check_path(path, opt);

	*o = (struct outputs){ .num = MAX(opt->split, 1), .opt = opt, .kept = plan->kept };
	o->list = calloc(o->num, sizeof(*o->list));
	if (!o->list)
		err = err ? err : error_nomem();
	if (!err && opt->split)
		err = outputs_slice(o, plan);
	for (unsigned int i = 0; !err && i < o->num; i++) {
		struct write_spec *spec = &o->list[i].spec;
		CLEANUP_FREE char *name = output_name(path, opt->split, i);

		spec->plan = plan;
		spec->source = source;
		spec->codec = set->codec;
		spec->level = set->level;
		spec->paging = opt->paging;
		spec->any_order = source->ops->order == READ_PUSHED;
		err = name ? output_open(&o->list[i], name, o, set->format, source) :
			     error_nomem();
	}
	return err;
}

/* The output that page @pfn belongs to */
static struct output *output_at(struct outputs *o, uint64_t pfn)
{
	unsigned int i = 0;

	while (i + 1 < o->num && pfn >= o->list[i].spec.part_end)
		i++;
	return &o->list[i];
}

static uint64_t outputs_slice_end(struct writer *w, uint64_t pfn)
{
	struct outputs *o = (struct outputs *)w;

	return o->num > 1 ? output_at(o, pfn)->spec.part_end : UINT64_MAX;
}

static void outputs_place(struct writer *w, struct batch *b)
{
	struct writer *to = output_at((struct outputs *)w, b->pages[0].pfn)->writer;

	if (to->ops->place)
		to->ops->place(to, b);
}

static struct gdump_error *outputs_store(struct writer *w, const struct batch *b)
{
	struct writer *to = output_at((struct outputs *)w, b->pages[0].pfn)->writer;

	return to->ops->store(to, b);
}

static const struct writer_ops outputs_ops = {
	.slice_end = outputs_slice_end,
	.place = outputs_place,
	.store = outputs_store,
};

struct gdump_error *outputs_begin(struct outputs *o, const struct settings *set,
				  const struct image *image,
				  const struct pv_dump_section *sections)
{
	struct gdump_error *err = NULL;

	for (unsigned int i = 0; !err && i < o->num; i++) {
		struct output *out = &o->list[i];

		out->spec.image = image;
		out->spec.sections = sections;
		err = set->format->create(&out->spec, &out->writer);
	}
	if (!err) {
		o->writer = *o->list[0].writer;
		o->writer.ops = &outputs_ops;
	}
	return err;
}

/* Readers expect the same header in all files: if one has lost pages, all are incomplete. */
struct gdump_error *outputs_complete(struct outputs *o, struct gdump_result *result)
{
	struct gdump_error *err = NULL;

	for (unsigned int i = 0; !err && i < o->num; i++) {
		struct output *out = &o->list[i];

		out->writer->incomplete = o->writer.incomplete;
		err = out->writer->ops->finish(out->writer, &out->size);
		result->bytes += out->size;
		result->unmarked |= out->writer->unmarked;
	}
	return err;
}

struct gdump_error *outputs_finish(struct outputs *o)
{
	struct gdump_error *err = NULL;

	while (!err && o->finished < o->num) {
		struct output *out = &o->list[o->finished];

		err = out->sink->ops->finish(out->sink, out->size);
		o->finished += !err;
	}
	return err;
}

/* Keep all unfinished files, also those without a page: a file of a split dump can be opened only
 * with all others.  A file without its sections is useless, and is not kept.
 */
void outputs_keep_partial(struct outputs *o, struct gdump_result *result)
{
	const struct output *first = result->pages ? &o->list[o->finished] : NULL;

	if (!first || !first->sink->partial_path || first->spec.sections)
		return;
	for (unsigned int i = o->finished; i < o->num; i++)
		o->list[i].sink->keep = true;
	result->partial_path = strdup(first->sink->partial_path);
}

void outputs_interrupt(struct outputs *o)
{
	for (unsigned int i = 0; i < o->num; i++) {
		struct sink *s = o->list[i].innermost;

		if (s->ops->interrupt)
			s->ops->interrupt(s);
	}
}

struct gdump_error *outputs_discard(struct outputs *o, struct gdump_error *err)
{
	for (unsigned int i = o->finished; o->list && i < o->num; i++) {
		struct sink *s = o->list[i].sink ? o->list[i].innermost : NULL;
		CLEANUP_ERROR struct gdump_error *more = s && s->ops->discard ? s->ops->discard(s) : NULL;
		char *message;

		if (!more || err == error_nomem() ||
		    asprintf(&message, "%s; %s", err->message, more->message) < 0)
			continue;
		free(err->message);
		err->message = message;
	}
	return err;
}

void outputs_deinit(struct outputs *o)
{
	for (unsigned int i = 0; o->list && i < o->num; i++) {
		struct output *out = &o->list[i];

		if (out->writer)
			out->writer->ops->close(out->writer);
		sink_close(out->ranges_file);
		sink_close(out->sink);
	}
	free(o->list);
}
