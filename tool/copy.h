/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * copy.h - dump and convert: the state of a copy, and reports on it
 */
#pragma once

#include "tool.h"

struct copy {
	struct arguments *args;
	const char *from;
	const char *to;                 /* NULL: a dry run without OUTPUT       */
	char *absolute;                 /* OUTPUT, for a job                    */
	struct gdump_result result;
	uint64_t planned;               /* pages that the output is to have     */
	uint64_t paused_us;
	bool resumed_early;                    /* the guest was resumed to stop us     */
	bool look_first;                /* something is to be found out before the pause */
	bool unfiltered;                /* a level was asked for, and could not be had */
	double canceled_at;             /* of a live dump: seconds since the start; 0: it
					 * was not canceled                     */
};

/* The dump was written: print a summary and everything that is missing from the dump. Returns
 * the exit status.
 */
int copy_report_success(const struct copy *c, const struct gdump_info *info);
/* Writing failed: print and free @err, and name the partial dump, if there is one. Returns the
 * exit status.
 */
int copy_report_failure(const struct copy *c, struct gdump_error *err);
/* The beginning, for programs */
void copy_report_start(const struct copy *c);
/* How long the guest was paused, for programs */
void copy_report_pause(const struct copy *c, const struct gdump_info *info);
/* Whether the guest runs again, and how long it was paused */
void copy_report_guest(const struct copy *c, const struct gdump_info *info);
/* A live dump was canceled. */
void copy_report_canceled(const struct copy *c);
/* The result of a dry run, on standard output: also what would be done to the process of a guest */
void copy_report_estimate(const char *input, const struct gdump_plan *plan,
			  const struct gdump_info *info, uint64_t bytes);
