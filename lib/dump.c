/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * dump.c - start at gdump_write(): check, plan, open the outputs, run the pipeline, finish
 */
#include "dump.h"

#include <inttypes.h>

#include "codec/codec.h"
#include "damage.h"
#include "format/format.h"
#include "metadata.h"
#include "output.h"
#include "write/pipeline.h"
#include "settings.h"
#include "util/bits.h"
#include "util/cleanup.h"

enum { DEFAULT_BUFFER = 256 << 20 };

/* How much memory may be read before it is compressed, so that the guest can be resumed
 * earlier.  This helps small (filtered) dumps and makes no difference for large ones.  A
 * guest that keeps running uses it only when the output is slow.
 */
static uint64_t dump_buffer_size(const struct gdump *g, const struct gdump_plan *plan,
				 const struct gdump_write_options *opt)
{
	if (!opt->resume_guest || !g->source->ops->guest || !g->source->was_running)
		return 0;
	if (opt->buffer)
		return opt->buffer;
	if (g->source->ops->order == READ_PUSHED)
		return DEFAULT_BUFFER;
	return plan->drop & ~(unsigned int)GDUMP_DROP_ZERO ? DEFAULT_BUFFER : 0;
}

static struct gdump_error *dump_all_read(void *arg)
{
	return source_resume(arg);
}

static void dump_interrupt(void *arg)
{
	outputs_interrupt(arg);
}

/* Write the planned pages to the outputs, and complete the outputs. */
static struct gdump_error *dump_write_pages(struct gdump *g, const struct gdump_plan *plan,
					    struct outputs *o, const struct settings *set,
					    const struct gdump_write_options *opt,
					    struct gdump_result *result)
{
	const struct output *first = &o->list[0];
	const struct guest_ops *guest = g->source->ops->guest;
	const struct pipeline_options run = {
		.threads = set->threads, .store_in_order = !first->sink->seeks,
		.buffer = dump_buffer_size(g, plan, opt),
		/* if the user asked for a level, pages are compressed anew with it */
		.keep_compressed = !opt->level && !opt->has_level,
		.progress = opt->progress, .progress_arg = opt->progress_arg,
		/* the sections are fetched after the pages */
		.all_read = opt->resume_guest && !first->spec.sections ? dump_all_read : NULL,
		.all_read_arg = g->source,
		.resume_now = opt->resume_now, .resume_now_arg = opt->resume_now_arg,
		.interrupt = dump_interrupt, .interrupt_arg = o,
	};
	struct gdump_error *err;

	result->zero_filled = o->writer.zero_filled;
	result->lost_are_zero = !set->format->marks_lost;
	result->lost_cpus += o->writer.lost_cpus;
	err = pipeline_run(g->source, plan, &o->writer, &run, result);
	if (guest && guest->stalled_us)
		result->stalled_us = guest->stalled_us(g->source);
	return err ? err : outputs_complete(o, result);
}

/* Write all files, between source_begin() and source_end(). */
static struct gdump_error *dump_write_outputs(struct gdump *g, const struct gdump_plan *plan,
					      struct outputs *o, const struct settings *set,
					      const struct gdump_write_options *opt,
					      struct gdump_result *result)
{
	const struct pv_dump_section *sections;
	const struct image *image;
	struct gdump_error *err, *end_err;

	err = source_begin(g->source, &image, &sections);
	if (err)
		return error_prefix(err, "%s", g->where);
	if (g->source->ops->order == READ_PUSHED)
		g->metadata.time_ms = metadata_stamp(g->source);
	result->lost_cpus = image->num_lost_cpus - g->source->image.num_lost_cpus;
	err = outputs_begin(o, set, image, sections);
	if (!err)
		err = dump_write_pages(g, plan, o, set, opt, result);
	end_err = source_end(g->source, opt->resume_guest);
	g->source->moment_ms = 0;
	if (err && end_err)
		err = error_prefix(err, "%s", gdump_error_message(end_err));
	else if (end_err)
		return end_err;
	gdump_error_destroy(end_err);
	return err;
}

struct gdump_error *gdump_write_check(const char *path, const struct gdump_write_options *options)
{
	struct gdump_write_options opt;
	struct settings set;
	struct gdump_error *err;

	err = settings_take(&opt, options, &set);
	return err ? err : outputs_check(path, &opt, &set);
}

/* Check that @g can be written with these options, and fit the settings to it. */
static struct gdump_error *dump_check_input(const struct gdump *g,
					    const struct gdump_plan *plan,
					    const struct gdump_write_options *opt,
					    struct settings *set)
{
	struct gdump_error *err = settings_fit(set, opt, g->source);

	if (!err)
		err = source_dumpable(g->source, !plan || plan->kept == plan->num_pages);
	if (!err && g->source->resumed_early)
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest was resumed early, so its memory is not of one moment any more; open it again");
	if (!err && g->of_one_moment && g->source->is_mutable)
		err = error_new(GDUMP_ERR_USAGE,
				"the guest was resumed, so its memory is not of one moment any more; open it again");
	if (!err && !g->source->image.num_ranges)
		err = error_new(GDUMP_ERR_NODATA, "there is no memory to dump");
	if (!err)
		err = write_plan_check(g, plan);
	if (!err && plan && plan->survey)
		err = error_new(GDUMP_ERR_USAGE,
				"a plan of gdump_plan_survey() is only for statistics; create one with gdump_plan_create()");
	return error_prefix(err, "%s", g->where);
}

/* The plan that is written: @plan or all pages, without those that the format cannot hold.  The
 * plans that are created for this are returned in @whole and @trimmed.
 */
static struct gdump_error *dump_effective_plan(const struct gdump *g, const struct settings *set,
					       const struct gdump_plan **plan,
					       struct gdump_plan **whole,
					       struct gdump_plan **trimmed)
{
	struct gdump_error *err = NULL;

	if (!*plan) {
		err = plan_create(g->source, whole);
		*plan = *whole;
	}
	if (err || !set->format->drops_top_device_memory)
		return err;
	err = plan_share(*plan, trimmed);
	if (err)
		return err;
	plan_trim(*trimmed, &g->source->image);
	*plan = *trimmed;
	return NULL;
}

struct gdump_error *gdump_plan_fit(struct gdump *g, struct gdump_plan *plan,
				   const struct gdump_write_options *options)
{
	struct gdump_write_options opt;
	struct settings set;
	struct gdump_error *err;

	err = settings_take(&opt, options, &set);
	if (!err)
		err = write_plan_check(g, plan);
	if (!err && set.format->drops_top_device_memory)
		plan_trim(plan, &g->source->image);
	return err;
}

static void dump_log_settings(const struct gdump *g, const struct settings *set,
			      const struct gdump_plan *plan, const struct gdump_write_options *opt,
			      const char *path)
{
	debug_log(&g->source->debug, GDUMP_DEBUG_STEP,
		  "%" PRIu64 " of %" PRIu64 " pages are written to %s: format %s, codec %s, "
		  "level %d, %u threads, %" PRIu64 " bytes of buffer, %u file%s",
		  plan->kept, plan->num_pages, path, set->format->name,
		  set->codec ? set->codec->name : "none", set->level, set->threads,
		  dump_buffer_size(g, plan, opt), MAX(opt->split, 1), opt->split > 1 ? "s" : "");
}

/* A dump that is made of a damaged one must not look as if it were whole. */
static struct gdump_error *dump_avoid_damage(struct gdump *g, const struct gdump_write_options *opt,
					     const struct settings *set,
					     struct gdump_result *result)
{
	struct gdump_error *err = damage_avoid(g->source, opt->salvage, set->threads, result);

	g->info.incomplete = g->source->image.incomplete;
	return error_prefix(err, "%s", g->where);
}

struct gdump_error *gdump_write(struct gdump *g, const struct gdump_plan *plan, const char *path,
				const struct gdump_write_options *options)
{
	CLEANUP_PLAN struct gdump_plan *whole = NULL, *trimmed = NULL;
	struct gdump_write_options opt;
	struct gdump_result result = { 0 };
	struct settings set;
	struct outputs o;
	struct gdump_error *err;

	err = settings_take(&opt, options, &set);
	if (!err)
		err = dump_check_input(g, plan, &opt, &set);
	if (!err)
		err = dump_effective_plan(g, &set, &plan, &whole, &trimmed);
	if (!err && opt.paging)
		err = source_pause(g->source, true);
	if (err)
		return err;
	dump_log_settings(g, &set, plan, &opt, path);
	err = dump_avoid_damage(g, &opt, &set, &result);
	if (err)
		return err;
	err = outputs_open(&o, path, &opt, &set, g->source, plan);
	if (!err)
		err = dump_write_outputs(g, plan, &o, &set, &opt, &result);
	if (!err)
		err = outputs_finish(&o);
	if (err) {
		outputs_keep_partial(&o, &result);
		err = outputs_discard(&o, err);
	}
	outputs_deinit(&o);
	write_result(opt.result, &result);
	return err;
}

struct gdump_error *gdump_verify(struct gdump *g, const struct gdump_write_options *options)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_write_options opt;
	struct gdump_result result = { 0 };
	struct gdump_error *err = write_options_take(&opt, options);

	if (err)
		return err;
	err = source_usable(g->source);
	if (!err && !info->num_ranges && !info->incomplete)
		err = error_new(GDUMP_ERR_CORRUPT, "it holds no memory");
	if (!err)
		err = damage_find(g->source, &opt, &result);
	write_result(opt.result, &result);
	return error_prefix(err, "%s", g->where);
}
