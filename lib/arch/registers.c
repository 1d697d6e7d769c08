/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arch/registers.c - the registers of the CPUs, from their notes
 */
#include <elf.h>
#include <string.h>

#include "../machine/image.h"
#include "../util/bits.h"
#include "../util/cursor.h"
#include "arch.h"

static const struct gdump_note *register_find_note(const struct image *image, size_t cpu,
						   const char *owner, uint32_t type)
{
	const struct gdump_note *n;

	for (size_t i = 0; (n = image_cpu_note(image, cpu, i)); i++) {
		if (n->type == type && !strcmp(n->name, owner))
			return n;
	}
	return NULL;
}

/* How many of @regs, from the first on, are inside the descriptor of @note. */
static size_t register_count(const struct reg *regs, const struct gdump_note *note)
{
	size_t n = 0;

	while (note && regs[n].name && regs[n].off + (size_t)regs[n].size <= note->size)
		n++;
	return n;
}

static void register_get(const struct image *image, const struct reg *reg,
			 const struct gdump_note *note, struct gdump_register *ret)
{
	struct cursor c = cursor_init(note->desc, note->size, image->big, true);
	uint64_t half[2] = { 0 };

	cursor_take(&c, reg->off);
	half[0] = get_uint(&c, MIN(reg->size, 8));
	if (reg->size > 8)
		half[1] = get_uint(&c, reg->size - 8u);
	ret->name = reg->name;
	ret->size = reg->size;
	ret->key = reg->key;
	ret->value = half[image->big && reg->size > 8];
	ret->high = reg->size > 8 ? half[!image->big] : 0;
}

bool register_at(const struct image *image, size_t cpu, size_t i, struct gdump_register *ret)
{
	const struct arch *arch = image->arch;
	const struct gdump_note *note = register_find_note(image, cpu, "CORE", NT_PRSTATUS);
	const struct reg *regs = arch->regs;
	const struct reg_set *set = arch->sets;
	size_t n = note && note->size == arch->prstatus_size ? register_count(regs, note) : 0;

	ret->set = "general";
	for (; i >= n && set && set->name; set++) {
		i -= n;
		note = register_find_note(image, cpu, set->owner, set->type);
		regs = set->regs;
		n = register_count(regs, note);
		ret->set = set->name;
	}
	if (i >= n)
		return false;
	register_get(image, &regs[i], note, ret);
	return true;
}

bool register_find(const struct image *image, size_t cpu, const char *name, uint64_t *ret)
{
	const struct arch *arch = image->arch;
	const struct gdump_note *note = register_find_note(image, cpu, "CORE", NT_PRSTATUS);
	const size_t num = note && note->size == arch->prstatus_size ?
			   register_count(arch->regs, note) : 0;
	struct gdump_register r;

	for (size_t i = 0; i < num; i++) {
		if (strcmp(arch->regs[i].name, name))
			continue;
		register_get(image, &arch->regs[i], note, &r);
		*ret = r.value;
		return true;
	}
	return false;
}
