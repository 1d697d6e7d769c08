/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_log.c - the last and the worst lines of the kernel's log
 *
 * Processes write to the log, too, with other facilities: what proves something must be of
 * facility 0.
 */
#include <stdlib.h>
#include <string.h>

#include "../kernel/early_log.h"
#include "../kernel/printk.h"
#include "../util/bits.h"
#include "report.h"

enum { LAST = 12, WORST = 20, ERROR = 3, LINE = 256, PROOF = 4 };

static const uint64_t log_joins_ns = 1000000000;

struct log_line {
	uint64_t ns;
	unsigned int level;
	char text[LINE];
};

/* The last lines of a kind, in a ring */
struct log_lines {
	struct log_line *ring;
	size_t max, num;
};

/* Lines that prove something, by how they begin */
struct log_pattern {
	const char *start;
	enum verdict verdict;
	const char *unless;             /* it contains that; NULL: nothing      */
	bool joins;                     /* it proves nothing by itself, but is part of what the
					 * line before it began                 */
};

static const struct log_pattern log_patterns[] = {
	{ "BUG: ", VERDICT_OOPS, "lockup", false },
	{ "general protection fault", VERDICT_OOPS, NULL, false },
	{ "Unable to handle kernel", VERDICT_OOPS, NULL, false },
	{ "kernel BUG at ", VERDICT_OOPS, NULL, false },
	{ "Internal error: ", VERDICT_OOPS, NULL, true },
	{ "Oops", VERDICT_OOPS, NULL, true },
	{ "RIP: 0010:", VERDICT_OOPS, NULL, true },
	{ "pc : ", VERDICT_OOPS, NULL, true },
	{ "Out of memory: Kill", VERDICT_OOM, NULL, false },
	/* a floppy drive without a disk is no news */
	{ "Buffer I/O error on dev ", VERDICT_IO_ERRORS, "dev fd", false },
	{ "I/O error, dev ", VERDICT_IO_ERRORS, "dev fd", false },
	{ "blk_update_request: I/O error, dev ", VERDICT_IO_ERRORS, "dev fd", false },
	{ "EXT4-fs error ", VERDICT_IO_ERRORS, NULL, false },
	{ "Aborting journal on device ", VERDICT_IO_ERRORS, NULL, false },
};

/* How often, and the lines of the last time */
struct log_proof {
	size_t num, num_lines;
	struct log_line lines[PROOF];
};

struct log {
	struct report *report;
	struct gdump_fact *all;         /* NULL: only some are wanted           */
	struct log_lines last, worst;
	struct log_proof proofs[VERDICT_NOTHING];
	size_t num;
};

static void log_keep(struct log_lines *to, const struct log_line *line)
{
	to->ring[to->num++ % to->max] = *line;
}

static const struct log_pattern *log_match(const struct log_line *line)
{
	for (size_t i = 0; i < ARRAY_SIZE(log_patterns); i++) {
		const struct log_pattern *p = &log_patterns[i];

		if (!strncmp(line->text, p->start, strlen(p->start)) &&
		    !(p->unless && strstr(line->text, p->unless)))
			return p;
	}
	return NULL;
}

static void log_judge(struct log *l, const struct log_line *line)
{
	const struct log_pattern *p = log_match(line);
	struct log_proof *proof = p ? &l->proofs[p->verdict] : NULL;

	if (!proof)
		return;
	if (!p->joins) {
		proof->num++;
		proof->num_lines = 0;
	} else if (!proof->num || line->ns - proof->lines[0].ns > log_joins_ns) {
		return;
	}
	if (proof->num_lines < PROOF)
		proof->lines[proof->num_lines++] = *line;
}

static void log_add_line(struct gdump_fact *to, const struct log_line *line)
{
	struct gdump_fact *group = fact_group(to, "record");

	fact_number(group, "time", line->ns, GDUMP_UNIT_NS);
	fact_number(group, "level", line->level, GDUMP_UNIT_NONE);
	fact_guest_text(group, "text", line->text, sizeof(line->text));
}

static void log_take_record(void *arg, const struct gdump_log_record *record)
{
	struct log *l = arg;
	struct log_line line = { .ns = record->time_ns, .level = record->level };

	memcpy(line.text, record->text, MIN(record->len, sizeof(line.text) - 1));
	l->num++;
	if (l->all)
		log_add_line(l->all, &line);
	log_keep(&l->last, &line);
	if (record->level <= ERROR)
		log_keep(&l->worst, &line);
	if (!record->facility)
		log_judge(l, &line);
}

static void log_add_lines(struct gdump_fact *to, const char *name, const struct log_lines *from)
{
	const size_t num = MIN(from->num, from->max);
	struct gdump_fact *list = fact_list(to, name);

	for (size_t i = from->num - num; i < from->num; i++)
		log_add_line(list, &from->ring[i % from->max]);
}

static void log_add_verdicts(const struct log *l)
{
	static const struct {
		enum verdict verdict;
		const char *text;
	} texts[] = {
		{ VERDICT_OOPS, "the kernel has reported a bug in itself" },
		{ VERDICT_OOM, "out of memory: the kernel has killed processes" },
		{ VERDICT_IO_ERRORS, "there are I/O errors" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct log_proof *p = &l->proofs[texts[i].verdict];
		struct gdump_fact *v;

		if (!p->num)
			continue;
		v = report_verdict(l->report, texts[i].verdict, "%s, %zu time%s, the last one %llu s after boot",
				   texts[i].text, p->num, p->num == 1 ? "" : "s",
				   (unsigned long long)(p->lines[0].ns / 1000000000));
		for (size_t k = 0; k < p->num_lines; k++)
			verdict_evidence(v, "%s", p->lines[k].text);
	}
}

/* Where a kernel is that hangs while it boots */
static void log_prove_booting(const struct log *l)
{
	const struct log_line *line = &l->last.ring[(l->last.num - 1) % l->last.max];

	if (l->last.num)
		verdict_evidence(l->report->booting, "the last line of its log, %llu.%03u s after boot: %s",
				 (unsigned long long)(line->ns / 1000000000),
				 (unsigned int)(line->ns / 1000000 % 1000), line->text);
}

static struct gdump_error *log_read(struct log *l)
{
	struct gdump_system found = { .size = sizeof(found) };
	struct source *s = l->report->source;

	if (s->image.vmcoreinfo)
		return printk_read(s, log_take_record, l);
	return early_log_read(s, &found, log_take_record, l);
}

static struct gdump_error *log_collect(struct report *r, struct gdump_fact *to)
{
	struct log l = { .report = r, .last.max = LAST, .worst.max = WORST };
	struct gdump_error *err = NULL;

	l.last.ring = calloc(LAST, sizeof(*l.last.ring));
	l.worst.ring = calloc(WORST, sizeof(*l.worst.ring));
	if (!l.last.ring || !l.worst.ring)
		err = error_nomem();
	if (!err && r->opt->all)
		l.all = fact_list(to, "all");
	if (!err)
		err = log_read(&l);
	if (!err) {
		fact_number(to, "records", l.num, GDUMP_UNIT_NONE);
		log_add_lines(to, "worst", &l.worst);
		log_add_lines(to, "last", &l.last);
		log_add_verdicts(&l);
		log_prove_booting(&l);
	}
	free(l.last.ring);
	free(l.worst.ring);
	return err;
}

const struct section section_log = {
	.name = "log",
	.collect = log_collect,
};
