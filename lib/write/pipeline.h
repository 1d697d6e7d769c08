/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pipeline.h - copy the planned pages from a source to a writer
 */
#pragma once

#include "writer.h"

struct pipeline_options {
	unsigned int threads;           /* at least 1                           */
	bool store_in_order;            /* the sink cannot seek                 */
	bool keep_compressed;           /* do not recompress pages that the input has
					 * compressed with the same codec       */
	bool pull;                      /* read the pages of a source that could
					 * push them too: this is no dump       */
	uint64_t buffer;                /* bytes that may be read ahead of compression,
					 * so that all_read() is called sooner  */
	struct spans *lost;             /* the memory of lost pages is added; NULL: it is not */
	gdump_progress_fn *progress;
	void *progress_arg;
	struct gdump_error *(*all_read)(void *arg);     /* called once; may be NULL */
	void *all_read_arg;
	gdump_cancel_fn *resume_now;    /* see gdump_write_options; may be NULL */
	void *resume_now_arg;
	void (*interrupt)(void *arg);   /* called when progress() cancels, or not all is read
					 * before the guest is resumed, so that store() waits
					 * for nothing; may be NULL             */
	void *interrupt_arg;
};

/* A page that cannot be read although others may be readable (it is absent, broken, or
 * on a bad disk) is written as lost and counted; any other error ends the run.  @w NULL:
 * only read, decompress and count.  @result counts the stored pages, also after an error.
 * all_read() is called on the calling thread as soon as the source is no longer needed.
 */
MUST_CHECK struct gdump_error *pipeline_run(struct source *s, const struct gdump_plan *plan,
					    struct writer *w, const struct pipeline_options *opt,
					    struct gdump_result *result);
