/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_modules.c - the loaded modules
 *
 * The kernel keeps the ELF notes of a module for its directory in /sys/module; its build ID is
 * one of them.
 *
 * Facts: Linux's kernel/module/sysfs.c.
 */
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "report.h"

enum { MAX_AREAS = 16, MAX_NOTES = 32, MAX_NOTE = 4096, MAX_ID = 64 };

/* All of its memory, as lsmod shows it; false: unknown. */
static bool modules_read_size(struct kernel *k, uint64_t module, uint64_t *ret)
{
	uint64_t core, init, size;
	struct btf_field areas;
	char member[32];

	if (kernel_member(k, module, "module", "core_layout.size", &core) &&
	    kernel_member(k, module, "module", "init_layout.size", &init)) {
		*ret = core + init;
		return true;
	}
	*ret = 0;
	if (!btf_field(&k->btf, "module", "mem", &areas) || areas.num > MAX_AREAS)
		return false;
	for (unsigned int i = 0; i < areas.num; i++) {
		snprintf(member, sizeof(member), "mem[%u].size", i);
		if (!kernel_member(k, module, "module", member, &size))
			return false;
		*ret += size;
	}
	return *ret;
}

/* Search notes for a build ID; returns its bytes, 0: there is none. */
static size_t modules_find_id(struct cursor *c, unsigned char *id)
{
	while (cursor_left(c) >= sizeof(Elf64_Nhdr)) {
		const uint32_t name_size = get_u32(c), size = get_u32(c), type = get_u32(c);
		const unsigned char *name = cursor_take(c, (size_t)round_up((uint64_t)name_size, 4));
		const unsigned char *bytes = cursor_take(c, (size_t)round_up((uint64_t)size, 4));

		if (!name || !bytes)
			return 0;
		if (type == NT_GNU_BUILD_ID && name_size == 4 && !memcmp(name, "GNU", 4) &&
		    size <= MAX_ID) {
			memcpy(id, bytes, size);
			return size;
		}
	}
	return 0;
}

/* The notes of one section of its file, which are the contents of a struct bin_attribute */
static size_t modules_read_id(struct kernel *k, uint64_t attribute, unsigned char *id)
{
	unsigned char buf[MAX_NOTE];
	uint64_t vaddr, size;
	CLEANUP_ERROR struct gdump_error *err = NULL;
	struct cursor c;

	if (!kernel_member(k, attribute, "bin_attribute", "private", &vaddr) ||
	    !kernel_member(k, attribute, "bin_attribute", "size", &size) || size > sizeof(buf))
		return 0;
	err = walker_read(&k->walker, vaddr, buf, (size_t)size);
	if (err)
		return 0;
	c = cursor_init(buf, (size_t)size, k->source->image.big, k->source->image.is64);
	return modules_find_id(&c, id);
}

/* The i-th of the attributes of its notes; false: there are no more. */
static bool modules_note(struct kernel *k, uint64_t notes, unsigned int i, uint64_t *ret)
{
	const uint64_t word = k->source->image.is64 ? 8 : 4;
	uint64_t num, list;

	*ret = notes + btf_size(&k->btf, "module_notes_attrs") +
	       (uint64_t)btf_size(&k->btf, "bin_attribute") * i;
	if (kernel_member(k, notes, "module_notes_attrs", "notes", &num))
		return i < num;
	/* since Linux 6.14, a list that ends with NULL */
	return kernel_member(k, notes, "module_notes_attrs", "grp.bin_attrs", &list) &&
	       kernel_word(k, list + word * i, ret) && *ret;
}

static void modules_add_id(struct kernel *k, uint64_t module, struct gdump_fact *to)
{
	char text[2 * MAX_ID + 1] = "";
	unsigned char id[MAX_ID];
	uint64_t notes, note;
	size_t len = 0;

	if (!kernel_member(k, module, "module", "notes_attrs", &notes) || !notes)
		return;
	for (unsigned int i = 0; !len && i < MAX_NOTES && modules_note(k, notes, i, &note); i++)
		len = modules_read_id(k, note, id);
	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
	if (len)
		fact_text(to, "build_id", "%s", text);
}

static void modules_add(struct report *r, const struct module *m, struct gdump_fact *to)
{
	struct gdump_fact *group = fact_group(to, "module");
	uint64_t size, taints;

	fact_guest_text(group, "name", m->name, sizeof(m->name));
	if (modules_read_size(&r->kernel, m->vaddr, &size))
		fact_number(group, "size", size, GDUMP_UNIT_BYTES);
	fact_address(group, "text", m->text[0].start);
	fact_number(group, "text_size", m->text[0].size, GDUMP_UNIT_BYTES);
	if (kernel_member(&r->kernel, m->vaddr, "module", "taints", &taints) && taints)
		report_add_taint(group, taints);
	modules_add_id(&r->kernel, m->vaddr, group);
}

static struct gdump_error *modules_collect(struct report *r, struct gdump_fact *to)
{
	const struct modules *modules = r->stacks ? &stacks_text(r->stacks)->modules : NULL;

	for (size_t i = 0; modules && i < modules->num; i++)
		modules_add(r, &modules->list[i], to);
	return NULL;
}

const struct section section_modules = {
	.name = "modules",
	.is_list = true,
	.needs_kernel = true,
	.no_verdict = true,
	.collect = modules_collect,
};
