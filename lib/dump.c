/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * dump.c - READ FIRST: gdump_write() is the data's way as one function
 */
#include "dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "checksum.h"
#include "codec/codec.h"
#include "format/format.h"
#include "format/ranges.h"
#include "parallel.h"
#include "write/pipeline.h"
#include "settings.h"
#include "split.h"
#include "util/bits.h"
#include "util/cleanup.h"

/* Files are made under another name; pipes and devices are written as they are. */
static struct gdump_error *open_path(const char *path, bool force, int *fd, struct sink **ret)
{
	struct stat st;

	if (!strcmp(path, "-"))
		return sink_stream_create(STDOUT_FILENO, ret);
	if (lstat(path, &st) || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		return sink_file_create(path, force, ret);
	/* a guest may stand still: no waiting for somebody to read a FIFO */
	*fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0 && errno == ENXIO)
		return error_os(errno, "%s: nobody reads from it", path);
	if (*fd < 0 || fcntl(*fd, F_SETFL, O_WRONLY))
		return error_os(errno, "%s: opening it", path);
	return sink_stream_create(*fd, ret);
}

/* A source that pushes gives its pages in no order, and a slow reader of our output must not
 * hold it up: then the output is spooled.
 */
static struct gdump_error *open_sink(const char *path, const struct gdump_write_options *opt,
				     const struct format *format, const struct source *s,
				     int *fd, struct sink **ret)
{
	struct sink *sink;
	struct gdump_error *err = open_path(path, opt->force, fd, &sink);

	if (!err && format->seeks && (opt->flatten || !sink->seeks))
		err = sink_flat_create(sink, &sink);
	if (!err && s->ops->order == READ_PUSHED && !sink->seeks)
		err = sink_spool_create(sink, opt->spool_dir, &sink);
	if (!err && !opt->no_checksum && format->takes_trailer && format->takes_trailer(&s->image))
		err = sink_checksum_create(sink, &sink);
	if (err)
		return err;
	*ret = sink;
	return NULL;
}

/* PATH.ranges, where @path is a file that we make and its format has one. */
static struct gdump_error *open_ranges_file(const char *path, bool force,
					    const struct format *format,
					    const struct sink *sink, struct sink **ret)
{
	CLEANUP_FREE char *name = NULL;

	if (!format->ranges_file || !sink->partial_path)
		return NULL;
	name = ranges_path(path);
	return name ? sink_file_create(name, force, ret) : error_nomem();
}

enum { DEFAULT_BUFFER = 256 << 20 };

static struct gdump_error *resume(void *arg)
{
	return source_resume(arg);
}

/* What was cut short is kept where it holds pages and can be opened; @whole: only all of it
 * could be.
 */
static void keep_rest(struct sink *sink, struct gdump_result *result, bool whole)
{
	if (sink->partial_path && result->pages && !whole) {
		sink->keep = true;
		result->partial_path = strdup(sink->partial_path);
	}
}

/* How much memory may be read ahead, so that a guest may go on before it is
 * compressed: a small dump is worth it, for a large one it makes no difference.  One that
 * runs on waits only if there is no room.
 */
static uint64_t buffer_size(const struct gdump *g, const struct gdump_plan *plan,
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

static struct gdump_error *write_pages(struct gdump *g, struct write_spec *spec,
				       const struct settings *set,
				       const struct gdump_write_options *opt,
				       struct gdump_result *result)
{
	const struct pipeline_options run = {
		.threads = set->threads, .store_in_order = !spec->sink->seeks,
		.buffer = buffer_size(g, spec->plan, opt),
		/* a level that was asked for is worth compressing anew */
		.keep_compressed = !opt->level && !opt->has_level,
		.progress = opt->progress, .progress_arg = opt->progress_arg,
		.all_read = opt->resume_guest && !spec->sections ? resume : NULL,
		.all_read_arg = g->source,
	};
	const struct guest_ops *guest = g->source->ops->guest;
	CLEANUP_WRITER struct writer *writer = NULL;
	struct gdump_error *err = set->format->create(spec, &writer);

	if (!err) {
		result->zero_filled = writer->zero_filled;
		result->lost_cpus += writer->lost_cpus;
	}
	if (!err)
		err = pipeline_run(g->source, spec->plan, writer, &run, result);
	if (guest && guest->stalled_us)
		result->stalled_us = guest->stalled_us(g->source);
	if (!err)
		err = writer->ops->finish(writer, &result->bytes);
	return err;
}

/* A protected guest: KVM and its owner need all of its memory, and a file that can hold
 * what belongs to it.
 */
static struct gdump_error *check_whole(const struct settings *set, const struct gdump_plan *plan,
				       const struct gdump_write_options *opt)
{
	if (!set->format->sections || opt->paging)
		return error_new(GDUMP_ERR_USAGE,
				 "the guest is protected: it can be dumped as plain ELF only, not as %s",
				 opt->paging ? "ELF with --paging" : set->format->name);
	if (plan && (plan->drop || plan->kept != plan->num_pages))
		return error_new(GDUMP_ERR_USAGE,
				 "the guest is protected: of its encrypted memory nothing can be left out");
	return NULL;
}

/* Write between the beginning and the end of what the source has to do for a dump. */
static struct gdump_error *write_begun(struct gdump *g, struct write_spec *spec,
				       const struct settings *set,
				       const struct gdump_write_options *opt,
				       struct gdump_result *result)
{
	struct gdump_error *err, *end_err;

	err = source_begin(g->source, &spec->image, &spec->sections);
	if (err)
		return error_prefix(err, "%s", g->where);
	result->lost_cpus = spec->image->num_lost_cpus - g->source->image.num_lost_cpus;
	err = write_pages(g, spec, set, opt, result);
	end_err = source_end(g->source, opt->resume_guest);
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
	struct settings set = { 0 };
	struct gdump_error *err;
	CLEANUP_SINK struct sink *sink = NULL, *ranges_file = NULL;
	struct stat st;

	write_options_copy(&opt, options);
	err = settings_find(&opt, &set);
	if (!err && opt.split && !strcmp(path, "-"))
		err = error_new(GDUMP_ERR_USAGE, "standard output is one file: it cannot be split");
	if (!err && opt.split)
		return opt.force ? NULL : split_check(path, opt.split);
	/* what is to be replaced stays until there is something better */
	if (err || opt.force || !strcmp(path, "-") || (!lstat(path, &st) && !S_ISREG(st.st_mode)))
		return err;
	err = sink_file_create(path, false, &sink);
	return err ? err : open_ranges_file(path, false, set.format, sink, &ranges_file);
}

/* A guest that runs on gives its pages in an order of its own, and waits for us. */
static struct gdump_error *settle(const struct gdump *g, const struct gdump_write_options *opt,
				  struct settings *set)
{
	if (g->source->ops->order != READ_PUSHED)
		return NULL;
	if (!set->format->any_order)
		return error_new(GDUMP_ERR_USAGE,
				 "format '%s' has its pages in order, and a guest that runs on does not give them so; write kdump or elf and convert that",
				 set->format->name);
	if (opt->split)
		return error_new(GDUMP_ERR_USAGE,
				 "a guest that runs on does not give its pages in order: write one file, and split that with guestdump convert");
	if (set->codec && !opt->level && !opt->has_level)
		set->level = set->codec->live_level;
	return opt->paging ? source_pause(g->source) : NULL;
}

/* Whether what is in @g can be written as it is asked for. */
static struct gdump_error *check_input(const struct gdump *g, const struct settings *set,
				       const struct gdump_plan *plan,
				       const struct gdump_write_options *opt)
{
	struct gdump_error *err = g->source->ops->pv_dump ? check_whole(set, plan, opt) :
						    source_usable(g->source);

	if (!err && !g->source->image.num_ranges)
		err = error_new(GDUMP_ERR_NODATA, "holds no memory");
	if (!err && plan && plan->survey)
		err = error_new(GDUMP_ERR_USAGE, "this plan is only to look at");
	return error_prefix(err, "%s", g->where);
}

/* @plan, or all pages, without what the format cannot take; what is made for that is in
 * @whole and @trimmed.
 */
static struct gdump_error *choose_plan(const struct gdump *g, const struct settings *set,
				       const struct gdump_plan **plan, struct gdump_plan **whole,
				       struct gdump_plan **trimmed)
{
	struct gdump_error *err = NULL;

	if (!*plan) {
		err = plan_create(g->source, whole);
		*plan = *whole;
	}
	if (!err && set->format->drops_top_device_memory) {
		err = plan_trim(*plan, &g->source->image, trimmed);
		*plan = *trimmed;
	}
	return err;
}

static struct gdump_error *write_one(struct gdump *g, const struct gdump_plan *plan,
				     const char *path, const struct settings *set,
				     const struct gdump_write_options *opt,
				     struct gdump_result *result)
{
	CLEANUP_SINK struct sink *sink = NULL, *ranges_file = NULL;
	CLEANUP_FD int fd = -1;
	struct write_spec spec;
	struct gdump_error *err;

	err = open_sink(path, opt, set->format, g->source, &fd, &sink);
	if (!err)
		err = open_ranges_file(path, opt->force, set->format, sink, &ranges_file);
	if (err)
		return err;
	spec = (struct write_spec){
		.image = &g->source->image, .plan = plan, .source = g->source,
		.codec = set->codec, .level = set->level, .paging = opt->paging, .sink = sink,
		.ranges_file = ranges_file, .any_order = g->source->ops->order == READ_PUSHED,
	};
	err = write_begun(g, &spec, set, opt, result);
	if (!err)
		err = sink->ops->finish(sink, result->bytes);
	if (err)
		keep_rest(sink, result, spec.sections);
	return err;
}

static void log_settings(const struct gdump *g, const struct settings *set,
			 const struct gdump_plan *plan, const struct gdump_write_options *opt,
			 const char *path)
{
	debug_log(&g->source->debug, GDUMP_DEBUG_STEP,
		  "%llu of %llu pages are written to %s: format %s, codec %s, level %d, %u threads, %llu bytes of buffer, %u files",
		  (unsigned long long)plan->kept, (unsigned long long)plan->num_pages, path,
		  set->format->name, set->codec ? set->codec->name : "none", set->level,
		  set->threads, (unsigned long long)buffer_size(g, plan, opt), MAX(opt->split, 1));
}

struct gdump_error *gdump_write(struct gdump *g, const struct gdump_plan *plan, const char *path,
				const struct gdump_write_options *options)
{
	CLEANUP_PLAN struct gdump_plan *whole = NULL, *trimmed = NULL;
	struct gdump_write_options opt;
	struct gdump_result result = { 0 };
	struct settings set = { 0 };
	struct gdump_error *err;

	write_options_copy(&opt, options);
	err = settings_find(&opt, &set);
	if (!err)
		err = check_input(g, &set, plan, &opt);
	if (!err)
		err = choose_plan(g, &set, &plan, &whole, &trimmed);
	if (!err)
		err = settle(g, &opt, &set);
	if (err)
		return err;
	log_settings(g, &set, plan, &opt, path);
	err = (opt.split ? split_write : write_one)(g, plan, path, &set, &opt, &result);
	write_result(opt.result, &result);
	return err;
}

/* Of several files each must have one, for the dump to have it. */
static struct gdump_error *check_sum(const struct source *s, size_t i, unsigned int threads,
				     struct gdump_result *result)
{
	bool there;
	struct gdump_error *err = checksum_verify(s->files[i], threads, &there);

	result->has_checksum = there && (!i || result->has_checksum);
	return err;
}

struct gdump_error *gdump_verify(struct gdump *g, const struct gdump_write_options *options)
{
	struct gdump_write_options opt;
	struct gdump_result result = { 0 };
	CLEANUP_PLAN struct gdump_plan *plan = NULL;
	struct pipeline_options run;
	struct gdump_error *err;

	write_options_copy(&opt, options);
	run = (struct pipeline_options){
		.threads = parallel_threads(opt.threads),
		.progress = opt.progress, .progress_arg = opt.progress_arg, .pull = true,
	};
	err = source_usable(g->source);
	if (!err)
		err = plan_create(g->source, &plan);
	if (!err && g->source->ops->verify)
		err = g->source->ops->verify(g->source);
	if (!err)
		err = pipeline_run(g->source, plan, NULL, &run, &result);
	if (!err && result.unreadable)
		err = error_new(GDUMP_ERR_CORRUPT, "%llu pages are broken; the first: %s",
				(unsigned long long)result.unreadable,
				result.first_error ? result.first_error : "unknown");
	for (size_t i = 0; !err && i < g->source->num_files; i++)
		err = check_sum(g->source, i, run.threads, &result);
	write_result(opt.result, &result);
	return error_prefix(err, "%s", g->where);
}
