/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "write/pipeline.h"
#include "util/bits.h"
#include "util/cleanup.h"

struct part {
	struct gdump_plan *slice;       /* of the plan: what this part has      */
	struct sink *sink;
	struct write_spec spec;
	struct writer *writer;
	uint64_t size;                  /* of the file                          */
};

struct split {
	struct gdump *g;
	const struct gdump_plan *plan;
	const struct gdump_write_options *opt;
	const struct settings *set;
	struct gdump_result *result;
	struct part *parts;
	unsigned int num;
	uint64_t done;                  /* pages of the parts that are written  */
	unsigned int finished;          /* parts that have their names          */
};

static struct gdump_error *part_sink(const char *path, unsigned int i, bool force,
				     struct sink **ret)
{
	CLEANUP_FREE char *name = NULL;

	if (asprintf(&name, "%s-%u", path, i + 1) < 0)
		return error_nomem();
	return sink_file_create(name, force, ret);
}

struct gdump_error *split_check(const char *path, unsigned int num)
{
	struct gdump_error *err = NULL;

	for (unsigned int i = 0; !err && i < num; i++) {
		struct sink *sink = NULL;

		err = part_sink(path, i, false, &sink);
		sink_close(sink);
	}
	return err;
}

/* The pages of each part: as many of the kept ones in each. */
static struct gdump_error *slice(struct split *s)
{
	const uint64_t kept = gdump_plan_kept(s->plan);
	struct plan_cursor c = { 0 };
	uint64_t start = 0, n = 0;

	if (kept < s->num)
		return error_new(GDUMP_ERR_USAGE, "%llu pages cannot be split into %u files",
				 (unsigned long long)kept, s->num);
	for (unsigned int i = 0; i < s->num; i++) {
		struct part *p = &s->parts[i];
		const uint64_t until = kept / s->num * (i + 1) + kept % s->num * (i + 1) / s->num;
		uint64_t end = plan_end_pfn(s->plan);
		struct gdump_error *err;

		for (; n < until; n++)
			end = plan_next(s->plan, &c) + 1;
		if (i + 1 == s->num)
			end = plan_end_pfn(s->plan);
		p->spec.part_start = start;
		p->spec.part_end = end;
		err = plan_slice(s->plan, start, end, &p->slice);
		if (err)
			return err;
		start = end;
	}
	return NULL;
}

/* Make all files, so that what cannot be written is known before anything is. */
static struct gdump_error *create(struct split *s, const char *path)
{
	struct gdump_error *err = NULL;

	for (unsigned int i = 0; !err && i < s->num; i++) {
		struct part *p = &s->parts[i];

		err = part_sink(path, i, s->opt->force, &p->sink);
		if (!err && !s->opt->no_checksum)
			err = sink_checksum_create(TAKE_PTR(p->sink), &p->sink);
		p->spec.image = &s->g->source->image;
		p->spec.plan = s->plan;
		p->spec.source = s->g->source;
		p->spec.codec = s->set->codec;
		p->spec.level = s->set->level;
		p->spec.sink = p->sink;
	}
	for (unsigned int i = 0; !err && i < s->num; i++)
		err = s->set->format->create(&s->parts[i].spec, &s->parts[i].writer);
	return err;
}

static bool show_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct split *s = arg;

	(void)total;
	return s->opt->progress(s->opt->progress_arg, s->done + done, gdump_plan_kept(s->plan));
}

static struct gdump_error *resume(void *arg)
{
	return source_resume(arg);
}

static void add_result(struct gdump_result *to, struct gdump_result *from)
{
	to->pages += from->pages;
	to->zero += from->zero;
	to->compressed += from->compressed;
	to->uncompressed += from->uncompressed;
	to->unreadable += from->unreadable;
	if (!to->first_error)
		to->first_error = TAKE_PTR(from->first_error);
	free(from->first_error);
}

static struct gdump_error *write_part(struct split *s, struct part *p)
{
	const bool last = p == &s->parts[s->num - 1];
	struct pipeline_options run = {
		.threads = s->set->threads,
		.progress = s->opt->progress ? show_progress : NULL, .progress_arg = s,
		.all_read = s->opt->resume_guest && last ? resume : NULL,
		.all_read_arg = s->g->source,
	};
	struct gdump_result result = { 0 };
	struct gdump_error *err = pipeline_run(s->g->source, p->slice, p->writer, &run, &result);

	s->done += gdump_plan_kept(p->slice);
	add_result(s->result, &result);
	return err;
}

/* Readers want the same header in all parts: if one has lost pages, all are
 * incomplete.
 */
static struct gdump_error *finish(struct split *s)
{
	struct gdump_error *err = NULL;
	bool incomplete = false;

	for (unsigned int i = 0; i < s->num; i++)
		incomplete |= s->parts[i].writer->incomplete;
	for (unsigned int i = 0; !err && i < s->num; i++) {
		struct part *p = &s->parts[i];

		p->writer->incomplete = incomplete;
		err = p->writer->ops->finish(p->writer, &p->size);
		s->result->bytes += p->size;
	}
	while (!err && s->finished < s->num) {
		struct part *p = &s->parts[s->finished];

		err = p->sink->ops->finish(p->sink, p->size);
		s->finished += !err;
	}
	return err;
}

/* What was cut short is kept where it holds pages, and all of it: no part can be opened
 * without the others.
 */
static void keep_rest(struct split *s)
{
	if (!s->result->pages)
		return;
	for (unsigned int i = s->finished; i < s->num; i++)
		s->parts[i].sink->keep = true;
	s->result->partial_path = strdup(s->parts[s->finished].sink->partial_path);
}

static void split_deinit(struct split *s)
{
	for (unsigned int i = 0; s->parts && i < s->num; i++) {
		struct part *p = &s->parts[i];

		if (p->writer)
			p->writer->ops->close(p->writer);
		sink_close(p->sink);
		gdump_plan_destroy(p->slice);
	}
	free(s->parts);
}

struct gdump_error *split_write(struct gdump *g, const struct gdump_plan *plan, const char *path,
				const struct settings *set,
				const struct gdump_write_options *opt,
				struct gdump_result *result)
{
	struct split s = {
		.g = g, .plan = plan, .opt = opt, .set = set, .result = result,
		.num = opt->split, .parts = calloc(opt->split, sizeof(*s.parts)),
	};
	struct gdump_error *err = s.parts ? slice(&s) : error_nomem();

	if (!err)
		err = create(&s, path);
	for (unsigned int i = 0; !err && i < s.num; i++)
		err = write_part(&s, &s.parts[i]);
	if (!err)
		err = finish(&s);
	if (err)
		keep_rest(&s);
	split_deinit(&s);
	return err;
}
