/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy.h - dump and convert: what is under way, and how it is reported
 */
#pragma once

#include "tool.h"

struct copy {
	struct arguments *args;
	const char *from, *to;          /* to NULL: a dry run without OUTPUT    */
	struct gdump_result result;
	uint64_t paused_us;
	double canceled_at;             /* seconds: a running guest's dump was  */
};

/* The dump is written: the summary, and what is missing from it. What to exit with */
int copy_report_success(const struct copy *c, const struct gdump_info *info);
/* It failed with @err, which is freed: why, and what there is of the dump nevertheless. What
 * to exit with
 */
int copy_report_failure(const struct copy *c, struct gdump_error *err);
/* What became of the guest */
void copy_report_guest(const struct copy *c, const struct gdump_info *info);
/* The guest was running meanwhile, and the dump was canceled. */
void copy_report_canceled(const struct copy *c);
/* Of a dry run, on standard output */
void copy_report_estimate(const struct gdump_plan *plan, uint64_t pages, uint64_t bytes);
