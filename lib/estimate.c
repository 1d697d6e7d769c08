/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * estimate.c - how large a dump would be, from a sample of its pages
 */
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "pipeline.h"
#include "settings.h"
#include "util/bits.h"
#include "util/cleanup.h"

enum { SAMPLE_PAGES = 16384 };

/* A writer that only adds up. */
struct counter {
	struct writer writer;
	uint64_t bytes;
};

static struct gdump_error *counter_place(struct writer *w, struct batch *b)
{
	((struct counter *)w)->bytes += b->data_len;
	return NULL;
}

static struct gdump_error *counter_store(struct writer *w, const struct batch *b)
{
	(void)w, (void)b;
	return NULL;
}

static const struct writer_ops counter_ops = {
	.place = counter_place,
	.store = counter_store,
};

/* The same plan with only one in @step of the pages that it keeps. */
static struct gdump_error *plan_thin(const struct gdump_plan *plan, uint64_t step,
				     struct gdump_plan **ret)
{
	const size_t words = (size_t)div_up(plan->num_pages, 64) + 1;
	CLEANUP_PLAN struct gdump_plan *thin = malloc(sizeof(*thin));
	struct plan_cursor c = { 0 };
	uint64_t n = 0;

	if (!thin)
		return error_nomem();
	*thin = *plan;
	thin->borrows_keep = false;
	thin->keep = calloc(words, sizeof(*thin->keep));
	thin->extents = malloc((plan->num_extents + 1) * sizeof(*thin->extents));
	if (!thin->keep || !thin->extents)
		return error_nomem();
	memcpy(thin->extents, plan->extents, plan->num_extents * sizeof(*thin->extents));
	thin->kept = 0;
	while (plan_next(plan, &c) != UINT64_MAX) {
		if (n++ % step == 0) {
			bit_set(thin->keep, plan->extents[c.extent].index + c.page - 1);
			thin->kept++;
		}
	}
	*ret = TAKE_PTR(thin);
	return NULL;
}

struct gdump_error *gdump_estimate(struct gdump *g, const struct gdump_plan *plan,
				   const struct gdump_write_options *options, uint64_t *ret)
{
	const uint64_t kept = gdump_plan_kept(plan), step = MAX(kept / SAMPLE_PAGES, 1);
	CLEANUP_PLAN struct gdump_plan *thin = NULL;
	struct counter counter = { .writer.ops = &counter_ops };
	struct gdump_result result = { 0 };
	struct pipeline_options run = { 0 };
	struct settings set = { 0 };
	struct gdump_write_options opt;
	struct gdump_error *err;

	write_options_copy(&opt, options);
	err = settings_find(&opt, &set);
	if (!err)
		err = plan_thin(plan, step, &thin);
	if (err)
		return err;
	counter.writer.codec = set.codec;
	counter.writer.level = set.level;
	run.threads = set.threads;
	err = pipeline_run(g->source, thin, &counter.writer, &run, &result);
	free(result.why);
	if (err)
		return error_prefix(err, "%s", g->where);
	*ret = counter.bytes * step + image_notes_size(&g->source->image) +
	       (set.format->packs ? kept * 24 + plan_end_pfn(plan) / 4 : 0);
	return NULL;
}
