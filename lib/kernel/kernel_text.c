/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "kernel_text.h"

#include "../machine/vmcoreinfo.h"
#include "../util/bits.h"

static const uint64_t max_image = (uint64_t)1 << 30;

static void text_find_parts(const struct kernel *k, struct text *t)
{
	uint64_t start = kernel_symbol(k, "_stext"), end = kernel_symbol(k, "_etext");

	if (!start)
		vmcoreinfo_symbol(&k->source->image, "_stext", &start);
	t->parts[0].start = start;
	t->parts[0].end = end > start ? end : start ? start + max_image : 0;
	start = kernel_symbol(k, "_sinittext");
	end = kernel_symbol(k, "_einittext");
	t->parts[1].start = start;
	t->parts[1].end = start && end > start ? end : 0;
}

struct gdump_error *text_read(struct kernel *k, struct text *ret)
{
	*ret = (struct text){ .kernel = k };
	text_find_parts(k, ret);
	return modules_read(k, &ret->modules);
}

void text_deinit(struct text *t)
{
	modules_deinit(&t->modules);
}

bool text_in_image(const struct text *t, uint64_t vaddr, uint64_t *end)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->parts); i++) {
		if (vaddr >= t->parts[i].start && vaddr < t->parts[i].end) {
			*end = t->parts[i].end;
			return true;
		}
	}
	return false;
}

bool text_has(const struct text *t, uint64_t vaddr)
{
	uint64_t end;

	return text_in_image(t, vaddr, &end) || modules_at(&t->modules, vaddr, &end);
}

bool text_at(const struct text *t, uint64_t vaddr, struct text_symbol *ret)
{
	const bool in_image = text_in_image(t, vaddr, &ret->size);
	const struct module *m = in_image ? NULL : modules_at(&t->modules, vaddr, &ret->size);
	const struct symtab *symbols = m ? &m->symbols : &t->kernel->symbols;
	const uint64_t end = ret->size;
	struct symbol s;

	if (!in_image && !m)
		return false;
	*ret = (struct text_symbol){ .module = m, .vaddr = vaddr };
	if (symtab_at(symbols, vaddr, end, &s)) {
		ret->name = s.name;
		ret->vaddr = s.vaddr;
		ret->size = s.size;
	}
	return true;
}
