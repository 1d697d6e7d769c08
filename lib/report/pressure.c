/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pressure.c - how much time tasks lose because they wait for memory, I/O or CPUs
 *
 * The kernel keeps averages of this, in parts of 2048 of a percent, and updates them every two
 * seconds while there is something to count; since then they decay.
 *
 * Facts: Linux's kernel/sched/psi.c and include/linux/psi_types.h.
 */
#include "pressure.h"

#include <stdio.h>
#include <string.h>

#include "../util/bits.h"

enum { AVERAGES = 3, ONE = 2048, MAX_PERIODS = 1000, HIGH = 20, MAX_STATES = 16 };

static const uint64_t pressure_period_ns = 2000000000;

/* The averages of 10, 60 and 300 s; what remains of them after two seconds */
static const struct {
	const char *some, *full;
	uint64_t remains;
} pressure_averages[AVERAGES] = {
	{ "some_10s", "full_10s", 1677 }, { "some_60s", "full_60s", 1981 },
	{ "some_300s", "full_300s", 2034 },
};

static const struct {
	const char *name, *some, *full;
} pressure_resources[] = {
	{ "cpu", "PSI_CPU_SOME", NULL },        /* the kernel does not count the other */
	{ "memory", "PSI_MEM_SOME", "PSI_MEM_FULL" },
	{ "io", "PSI_IO_SOME", "PSI_IO_FULL" },
};

struct pressure {
	struct kernel *kernel;
	uint64_t table;                 /* of averages                          */
	uint64_t periods;               /* since they were updated              */
};

static bool pressure_init(struct report *r, struct pressure *p)
{
	struct kernel *k = &r->kernel;
	const uint64_t group = kernel_symbol(k, "psi_system");
	struct btf_field f;
	uint64_t updated;

	/* it was never updated if the kernel does not count */
	if (!group || !btf_field(&k->btf, "psi_group", "avg", &f) ||
	    !kernel_member(k, group, "psi_group", "avg_last_update", &updated) || !updated)
		return false;
	*p = (struct pressure){ .kernel = k, .table = group + f.off };
	if (r->sched_ns > updated)
		p->periods = MIN((r->sched_ns - updated) / pressure_period_ns, MAX_PERIODS);
	return true;
}

/* Thousandths of a percent */
static bool pressure_read(const struct pressure *p, const char *state, unsigned int average, uint64_t *ret)
{
	const unsigned int word = p->kernel->source->image.is64 ? 8 : 4;
	uint64_t value;
	uint32_t i;

	if (!btf_enumerator(&p->kernel->btf, "psi_states", state, &i) || i >= MAX_STATES ||
	    !kernel_word(p->kernel, p->table + (uint64_t)word * (i * AVERAGES + average), &value) ||
	    value > 100 * ONE)
		return false;
	for (uint64_t n = 0; n < p->periods; n++)
		value = value * pressure_averages[average].remains / ONE;
	*ret = value * 1000 / ONE;
	return true;
}

static void pressure_judge(struct report *r, const struct pressure *p)
{
	uint64_t now, minute;

	if (!pressure_read(p, "PSI_MEM_FULL", 0, &now) || now < HIGH * 1000 ||
	    !pressure_read(p, "PSI_MEM_FULL", 1, &minute))
		return;
	verdict_evidence(report_verdict(r, VERDICT_PRESSURE,
					"memory is short: tasks wait for it for %llu %% of the time",
					(unsigned long long)(now / 1000)),
			 "its pressure, full, was %llu.%02llu %% of the last 10 s, and %llu.%02llu %% of 60 s",
			 (unsigned long long)(now / 1000), (unsigned long long)(now % 1000 / 10),
			 (unsigned long long)(minute / 1000), (unsigned long long)(minute % 1000 / 10));
}

void pressure_add(struct report *r, struct gdump_fact *to)
{
	struct gdump_fact *list, *row;
	struct pressure p;
	uint64_t value;

	if (!pressure_init(r, &p))
		return;
	list = fact_list(to, "pressure");
	for (size_t i = 0; i < ARRAY_SIZE(pressure_resources); i++) {
		row = fact_group(list, "resource");
		fact_text(row, "name", "%s", pressure_resources[i].name);
		for (unsigned int a = 0; a < AVERAGES; a++) {
			if (pressure_read(&p, pressure_resources[i].some, a, &value))
				fact_number(row, pressure_averages[a].some, value, GDUMP_UNIT_MILLI);
			if (pressure_resources[i].full &&
			    pressure_read(&p, pressure_resources[i].full, a, &value))
				fact_number(row, pressure_averages[a].full, value, GDUMP_UNIT_MILLI);
		}
	}
	if (!r->panic)
		pressure_judge(r, &p);
}
