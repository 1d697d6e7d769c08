/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_verdict.c - what is wrong
 *
 * All sections add verdicts, as they find them.  This one, which comes last, sorts them: the cause
 * before what follows from it.
 */
#include <stdarg.h>
#include <stdio.h>

#include "report.h"

enum { MAX_SENTENCE = 1024 };

static const char *const verdict_words[] = {
	[VERDICT_NOT_RUNNING] = "not-running",
	[VERDICT_PANIC] = "panic",
	[VERDICT_CRASH_KERNEL] = "crash-kernel",
	[VERDICT_NO_KERNEL] = "no-kernel",
	[VERDICT_BOOTING] = "booting",
	[VERDICT_OOPS] = "oops",
	[VERDICT_HARD_LOCKUP] = "hard-lockup",
	[VERDICT_SOFT_LOCKUP] = "soft-lockup",
	[VERDICT_DEADLOCK] = "deadlock",
	[VERDICT_OOM] = "out-of-memory",
	[VERDICT_PRESSURE] = "memory-pressure",
	[VERDICT_TASKS] = "too-many-tasks",
	[VERDICT_IO_ERRORS] = "io-errors",
	[VERDICT_DISK] = "disk",
	[VERDICT_NFS] = "nfs",
	[VERDICT_RCU] = "rcu-stall",
	[VERDICT_WORKQUEUE] = "workqueue-stall",
	[VERDICT_BLOCKED] = "blocked",
	[VERDICT_UNKNOWN] = "unknown",
	[VERDICT_NOTHING] = "nothing",
};

struct gdump_fact *report_verdict(struct report *r, enum verdict what, const char *fmt, ...)
{
	struct gdump_fact *v = fact_group(r->verdicts, "verdict");
	char buf[MAX_SENTENCE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (v)
		v->number = (uint64_t)what;
	fact_text(v, "what", "%s", verdict_words[what]);
	fact_text(v, "text", "%s", buf);
	return v;
}

void verdict_evidence(struct gdump_fact *verdict, const char *fmt, ...)
{
	const struct gdump_fact *last = verdict ? verdict->children : NULL;
	struct gdump_fact *list;
	char buf[MAX_SENTENCE];
	va_list ap;

	if (!last)
		return;
	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	list = (struct gdump_fact *)(uintptr_t)fact_find(verdict, "evidence");
	fact_text(list ? list : fact_list(verdict, "evidence"), "line", "%s", buf);
}

static struct gdump_error *verdict_collect(struct report *r, struct gdump_fact *to)
{
	if (!to->children && r->is_blind)
		report_verdict(r, VERDICT_UNKNOWN,
			       "nothing unusual found, but not everything could be read");
	else if (!to->children)
		report_verdict(r, VERDICT_NOTHING, "nothing unusual found");
	fact_sort(to);
	return NULL;
}

const struct section section_verdict = {
	.name = "verdict",
	.is_list = true,
	.collect = verdict_collect,
};
