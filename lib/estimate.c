/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * estimate.c - how large a dump would be, from a sample of its pages
 */
#include <stdlib.h>

#include "dump.h"
#include "write/pipeline.h"
#include "settings.h"
#include "util/bits.h"

enum { SAMPLE_PAGES = 16384 };

/* A writer that only counts bytes */
struct counter {
	struct writer writer;
	uint64_t bytes;
};

static void counter_place(struct writer *w, struct batch *b)
{
	((struct counter *)w)->bytes += b->data_len;
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

struct gdump_error *gdump_estimate(struct gdump *g, const struct gdump_plan *plan,
				   const struct gdump_write_options *options, uint64_t *ret)
{
	CLEANUP_PLAN struct gdump_plan *all = NULL, *thin = NULL;
	uint64_t kept = 0, step = 1;
	struct counter counter = { .writer.ops = &counter_ops };
	struct gdump_result result = { 0 };
	struct pipeline_options run = { .pull = true };
	struct settings set;
	struct gdump_write_options opt;
	struct gdump_error *err;

	err = settings_take(&opt, options, &set);
	if (!err)
		err = write_plan_check(g, plan);
	if (!err && !plan)
		err = plan_create(g->source, &all);
	if (!err) {
		plan = plan ? plan : all;
		if (set.format->check)
			err = set.format->check(g->source, plan);
	}
	if (!err) {
		kept = gdump_plan_kept(plan);
		step = MAX(kept / SAMPLE_PAGES, 1);
		err = plan_thin(plan, step, &thin);
	}
	if (err)
		return err;
	counter.writer.codec = set.codec;
	counter.writer.level = set.level;
	run.threads = set.threads;
	err = pipeline_run(g->source, thin, &counter.writer, &run, &result);
	free(result.first_error);
	if (err)
		return error_prefix(err, "%s", g->where);
	*ret = counter.bytes * step + image_notes_size(&g->source->image) +
	       (set.format->codec ? kept * 24 + plan_end_pfn(plan) / 4 : 0);
	return NULL;
}
