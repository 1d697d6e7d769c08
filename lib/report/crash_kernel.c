/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "crash_kernel.h"

#include "../arch/arch.h"

static bool crash_kernel_memory(struct report *r, uint64_t *start, uint64_t *end)
{
	const uint64_t vaddr = r->has_kernel ? kernel_symbol(&r->kernel, "crashk_res") : 0;

	return vaddr && kernel_member(&r->kernel, vaddr, "resource", "start", start) &&
	       kernel_member(&r->kernel, vaddr, "resource", "end", end) && *start < *end;
}

bool crash_kernel_runs(struct report *r, size_t cpu, uint64_t *tables)
{
	struct paging paging;
	uint64_t start, end;

	if (!crash_kernel_memory(r, &start, &end) || !paging_of_cpu(r->source, cpu, &paging))
		return false;
	*tables = paging.root;
	paging_deinit(&paging);
	return *tables >= start && *tables <= end;
}

void crash_kernel_judge(struct report *r, uint64_t time)
{
	struct gdump_fact *v = NULL;
	uint64_t tables, start, end;

	for (size_t cpu = 0; cpu < r->source->image.num_cpus; cpu++) {
		if (!crash_kernel_runs(r, cpu, &tables) || !crash_kernel_memory(r, &start, &end))
			continue;
		v = v ? v : report_verdict(r, VERDICT_CRASH_KERNEL, "its crash kernel runs");
		verdict_evidence(v, "the page tables of CPU %zu are at 0x%llx, in the memory of the crash "
				 "kernel, 0x%llx to 0x%llx", cpu, (unsigned long long)tables,
				 (unsigned long long)start, (unsigned long long)end);
	}
	if (!time)
		return;
	v = v ? v : report_verdict(r, VERDICT_CRASH_KERNEL, "the crash kernel was started");
	verdict_evidence(v, "VMCOREINFO has CRASHTIME=%llu", (unsigned long long)time);
}
