/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pipeline.h - carry the planned pages from a source to a writer
 */
#pragma once

#include "writer.h"

struct pipeline_options {
	unsigned int threads;           /* at least 1                           */
	bool store_in_order;            /* the sink cannot seek                 */
	bool keep_compressed;           /* pages that are compressed with the writer's
					 * codec already stay as they are       */
	bool pull;                      /* read the pages also of a source that
					 * would push them: this is no dump     */
	uint64_t buffer;                /* read ahead of compressing, up to so many
					 * bytes: somebody waits for all_read   */
	gdump_progress_fn *progress;
	void *progress_arg;
	struct gdump_error *(*all_read)(void *arg);     /* once; may be NULL    */
	void *all_read_arg;
};

/* A page that cannot be read for a reason of its own (it is not there, broken,
 * on a bad disk) is written as lost and counted; other errors end it all.
 * @w NULL: read, decompress and count only.  @result counts what was stored, also
 * on error.
 */
MUST_CHECK struct gdump_error *pipeline_run(struct source *s, const struct gdump_plan *plan,
					    struct writer *w, const struct pipeline_options *opt,
					    struct gdump_result *result);
