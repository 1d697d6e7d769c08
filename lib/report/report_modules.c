/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_modules.c - the loaded modules
 */
#include "report.h"

static struct gdump_error *modules_collect(struct report *r, struct gdump_fact *to)
{
	const struct modules *modules = r->stacks ? &stacks_text(r->stacks)->modules : NULL;

	for (size_t i = 0; modules && i < modules->num; i++) {
		const struct module *m = &modules->list[i];
		struct gdump_fact *group = fact_group(to, "module");
		uint64_t taints;

		fact_guest_text(group, "name", m->name, sizeof(m->name));
		fact_address(group, "text", m->text[0].start);
		fact_number(group, "text_size", m->text[0].size, GDUMP_UNIT_BYTES);
		if (kernel_member(&r->kernel, m->vaddr, "module", "taints", &taints) && taints)
			fact_address(group, "taints", taints);
	}
	return NULL;
}

const struct section section_modules = {
	.name = "modules",
	.is_list = true,
	.needs_kernel = true,
	.collect = modules_collect,
};
